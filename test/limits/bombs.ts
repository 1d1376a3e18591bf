/** The bombs, each with its limits and the verdict it must get. */
import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Policy, Verdict } from '../../src/index.js'
import { type Caller, workDirectory } from '../support/user.js'

const MiB = 2 ** 20

export interface Bomb {
  readonly args: readonly [string, string | number]
  readonly limits: NonNullable<Policy['limits']>
  readonly verdict: Verdict
  /** On cgroup v2, where that is another. */
  readonly verdictV2?: Verdict
  /** How much the output must be, exactly. */
  readonly bytes?: number
}

const wall = (milliseconds: number): Verdict => ({ kind: 'time-limit', clock: 'wall', limit: milliseconds })
/** Each is also held to what the others test: a bomb that gets away is caught by another limit, and fails the test. */
const net = { memory: '96M', pids: 80, cpuTime: '8s', wallTime: '15s', output: '2M' } as const

export const bombs: Readonly<Record<string, Bomb>> = {
  'a memory bomb': {
    args: ['memory', 32 * MiB],
    limits: { ...net, memory: '32M' },
    verdict: { kind: 'memory-limit', limit: 32 * MiB },
  },
  'a memory bomb in a child': {
    args: ['memory-of-a-child', 32 * MiB],
    limits: { ...net, memory: '32M' },
    verdict: { kind: 'memory-limit', limit: 32 * MiB },
  },
  'a fork bomb': {
    args: ['forks', 24],
    limits: { ...net, pids: 24 },
    verdict: { kind: 'pids-limit', limit: 24 },
  },
  'a fork bomb that does not give up': {
    args: ['forks-for-ever', 24],
    limits: { ...net, pids: 24, wallTime: '500ms' },
    verdict: wall(500),
  },
  'a flood of zombies': {
    args: ['zombies', 24],
    limits: { ...net, pids: 24 },
    verdict: { kind: 'pids-limit', limit: 24 },
  },
  'a bomb of file descriptors': {
    args: ['descriptors', 64],
    limits: { ...net, openFiles: 64 },
    verdict: { kind: 'exit', code: 4 },
  },
  'a flood of TCP buffers': {
    args: ['tcp', 32 * MiB],
    limits: { ...net, memory: '32M' },
    // v1 counts the buffers of sockets by themselves, and then refuses them; v2 counts them as memory.
    verdict: { kind: 'exit', code: 10 },
    verdictV2: { kind: 'memory-limit', limit: 32 * MiB },
  },
  'a flood of output': {
    args: ['output', MiB],
    limits: { ...net, output: '1M' },
    verdict: { kind: 'output-limit', stream: 'both', limit: MiB },
    bytes: MiB,
  },
  'a flood of bytes in a file': {
    args: ['flood', 4 * MiB],
    limits: { ...net, disk: '4M' },
    verdict: { kind: 'exit', code: 6 },
  },
  'a flood of files': {
    args: ['inodes', 100],
    limits: { ...net, disk: { inodes: 100 } },
    verdict: { kind: 'exit', code: 7 },
  },
  'a flood of files where only bytes are limited': {
    args: ['inodes', 2048],
    limits: { ...net, disk: '4M' },
    verdict: { kind: 'exit', code: 7 },
  },
  'a sparse file': {
    args: ['sparse', MiB],
    limits: { ...net, fileSize: '1M' },
    verdict: { kind: 'signal', signal: 'SIGXFSZ' },
  },
  'a sparse file, its signal ignored': {
    args: ['sparse-ignored', MiB],
    limits: { ...net, fileSize: '1M' },
    verdict: { kind: 'exit', code: 8 },
  },
  'a long file': {
    args: ['long', MiB],
    limits: { ...net, fileSize: '1M' },
    verdict: { kind: 'signal', signal: 'SIGXFSZ' },
  },
  'a long file, its signal ignored': {
    args: ['long-ignored', MiB],
    limits: { ...net, fileSize: '1M' },
    verdict: { kind: 'exit', code: 9 },
  },
  'spinning with 64 threads': {
    args: ['spin', 64],
    limits: { ...net, cpuTime: '200ms' },
    verdict: { kind: 'time-limit', clock: 'cpu', limit: 200 },
  },
  'sleeping for ever': { args: ['sleep', 0], limits: { ...net, wallTime: '200ms' }, verdict: wall(200) },
  'ignoring every signal': { args: ['ignore', 0], limits: { ...net, wallTime: '300ms' }, verdict: wall(300) },
  'daemons that no process waits for': { args: ['daemons', 5], limits: net, verdict: { kind: 'ok' } },
}

/** A sandbox in which the bombs run and may look at their own groups. */
export function bombPolicy(program: string): Policy {
  return {
    preset: 'system',
    namespaces: { cgroup: 'host' },
    filesystem: [{ bind: '/bomb', from: program }, { bind: '/sys/fs/cgroup' }],
  }
}

/** The compiled program. */
export function compileBomb(caller: Caller): string {
  const source = fileURLToPath(new URL('../../../test/limits/bomb.c', import.meta.url))
  const program = join(workDirectory(caller, 'bomb'), 'bomb')
  execFileSync('gcc', ['-O1', '-static', '-pthread', '-o', program, source])
  chmodSync(program, 0o755)
  return program
}
