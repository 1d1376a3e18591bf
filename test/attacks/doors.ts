/** Whatever starts a sandbox: each as a command line of its own, with `/attack` in the sandbox. */
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { type Caller, root, workDirectory } from '../support/user.js'
import { attackProgram } from './attack.js'

const command = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const library = fileURLToPath(new URL('../support/child.js', import.meta.url))

/** What the sandbox shows besides: a directory of the caller's, as /shared. */
export interface Shows {
  readonly shared?: string
}

export interface Start {
  readonly program: string
  readonly args: readonly string[]
  /** The vial that is executed lies below it. */
  readonly vials: string
  /** Whether standard output is the library's answer about the run. */
  readonly isAnswer?: boolean
  /** Whether descriptor 3 is told about the sandbox. */
  readonly told?: boolean
}

export interface Ending {
  /** The last word of the payload; or why there is none. */
  readonly answer: string
  readonly status: number | null
  /** What came on descriptor 3. */
  readonly told: string
}

export type Door = (caller: Caller, words: readonly string[], shows?: Shows) => Start

const environment = (caller: Caller) => ({ HOME: workDirectory(caller, 'home'), PATH: '/usr/bin:/bin' })

/** How `start` is spawned as the caller. */
export const spawned = (caller: Caller, start: Start) => ({
  env: environment(caller),
  stdio: ['pipe', 'pipe', 'pipe', ...(start.told ? ['pipe' as const] : [])] as 'pipe'[],
  ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
})

export function enter(caller: Caller, start: Start): Ending {
  const { stdout, stderr, status, signal, output } = spawnSync(start.program, start.args, {
    ...spawned(caller, start),
    encoding: 'utf8',
  })
  const told = output[3] ?? ''
  if (!start.isAnswer) return { answer: signal ?? (stdout.trim() || stderr), status, told }
  const { exitCode = null, ...answer } = JSON.parse(stdout) as Record<string, string> & { exitCode?: number }
  return { answer: answer.error ?? answer.signal ?? (answer.stdout?.trim() || answer.stderr!), status: exitCode, told }
}

const cache = (caller: Caller) => join(workDirectory(caller, 'home'), '.cache')

const policyOf = ({ shared }: Shows) => ({
  preset: 'system' as const,
  filesystem: [
    { bind: '/attack', from: attackProgram() },
    ...(shared === undefined ? [] : [{ bind: '/shared', from: shared, writable: true }]),
  ],
})

const run =
  (...flags: string[]): Door =>
  (caller, words, { shared } = {}) => ({
    program: process.execPath,
    args: [
      ...[command, 'run', ...flags, '--ro', `${attackProgram()}:/attack`],
      ...(shared === undefined ? [] : ['--rw', `${shared}:/shared`]),
      ...['--', ...words],
    ],
    vials: cache(caller),
  })

const system = ['--ro-bind', '/usr', '/usr', '--proc', '/proc', '--dev', '/dev']
for (const name of ['bin', 'lib', 'lib64']) system.push('--symlink', `usr/${name}`, `/${name}`)

const bwrap =
  (program: readonly string[], options: readonly string[], more: Pick<Start, 'told'> = {}): Door =>
  (caller, words, { shared } = {}) => ({
    program: program[0]!,
    args: [
      ...[...program.slice(1), ...system, ...options, '--ro-bind', attackProgram(), '/attack'],
      ...(shared === undefined ? [] : ['--bind', shared, '/shared']),
      ...words,
    ],
    vials: cache(caller),
    ...more,
  })

/** Root's payload keeps what root has, as with bwrap, unless it is told otherwise: then it may look at pid 1. */
const dropped = ['--unshare-all', '--cap-drop', 'ALL']

const everyDoor: Readonly<Record<string, Door>> = {
  'the library': (caller, words, shows = {}) => ({
    program: process.execPath,
    args: [library, JSON.stringify({ policy: policyOf(shows), command: words[0], args: words.slice(1) })],
    vials: cache(caller),
    isAnswer: true,
  }),
  'the command': run(),
  'the command in root mode': run('--root', '--uid', '0', '--gid', '0'),
  'a compiled vial': (caller, words, shows = {}) => {
    const directory = workDirectory(caller, 'compiled')
    const name = shows.shared === undefined ? 'vial' : basename(shows.shared)
    const [policy, vial] = [join(directory, `${name}.json`), join(directory, name)]
    if (!existsSync(vial)) {
      writeFileSync(policy, JSON.stringify(policyOf(shows)))
      const compile = { program: process.execPath, args: [command, 'compile', policy, '-o', vial], vials: directory }
      spawnSync(compile.program, compile.args, spawned(caller, compile))
    }
    return { program: vial, args: words, vials: directory }
  },
  'vial-bwrap': bwrap([frontPath], ['--unshare-all']),
  'vial-bwrap, whose pid others are told': bwrap([frontPath], [...dropped, '--json-status-fd', '3'], { told: true }),
  'vial-bwrap with a payload that is root inside': bwrap(
    [frontPath],
    ['--uid', '0', '--gid', '0', ...dropped, '--info-fd', '3'],
    { told: true },
  ),
  'vial bwrap': bwrap([process.execPath, command, 'bwrap'], ['--unshare-all']),
  'vial-bwrap without a user namespace': bwrap([frontPath], ['--unshare-pid', '--cap-drop', 'ALL']),
  'vial-bwrap without one, whose pid others are told': bwrap(
    [frontPath],
    ['--unshare-pid', '--cap-drop', 'ALL', '--json-status-fd', '3'],
    { told: true },
  ),
}

/** Those that only root can take. */
const ofRoot = ['the command in root mode']

export const doorsOf = (caller: Caller): [string, Door][] =>
  Object.entries(everyDoor).filter(([name]) => caller.uid === root.uid || !ofRoot.includes(name))
