/** Runs vial as root or as an ordinary user, each with a work directory of its own that is removed at the end. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'

export interface Caller {
  readonly name: string
  readonly uid: number
  readonly gid: number
}
/** Another number where several suites run on one machine at once. */
const ordinaryId = Number(process.env.VIAL_TEST_UID ?? 12345)
export const ordinary: Caller = { name: 'ordinary user', uid: ordinaryId, gid: ordinaryId }
export const root: Caller = { name: 'root', uid: 0, gid: 0 }
/** One who is not root. */
export const user: Caller =
  process.getuid?.() === 0 ? ordinary : { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }
/** Root is only covered when the tests run as root, and alone where an ordinary user has run them by himself. */
const ofRoot = process.env.VIAL_TEST_CALLERS === 'root' ? [root] : [ordinary, root]
export const callers: readonly Caller[] = process.getuid?.() === 0 ? ofRoot : [user]

const dist = resolve(fileURLToPath(import.meta.url), '../../..')
const work = mkdtempSync(join(tmpdir(), 'vial-test-'))
// Each caller reaches its own directory through it.
chmodSync(work, 0o711)
process.on('exit', () => {
  // A test may leave directories that are closed to their owner, who is not always root.
  spawnSync('chmod', ['-R', 'u+rwX', work], { stdio: 'ignore' })
  rmSync(work, { recursive: true, force: true })
})

/** A directory that this caller owns. */
export function workDirectory(caller: Caller, name: string): string {
  const path = join(work, `${caller.uid}`, name)
  mkdirSync(path, { recursive: true })
  for (const directory of [join(work, `${caller.uid}`), path])
    if (process.getuid?.() === 0) chownSync(directory, caller.uid, caller.gid)
  return path
}

interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly input?: string
}

function spawnAs(caller: Caller, args: readonly string[], options: Options): SpawnSyncReturns<string> {
  const home = workDirectory(caller, 'home')
  return spawnSync(process.execPath, args, {
    encoding: 'utf8',
    cwd: options.cwd ?? home,
    env: { PATH: process.env.PATH ?? '', HOME: home, ...options.env },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
    ...(options.input === undefined ? {} : { input: options.input }),
  })
}

/** The command line: `vial ARGS`. */
export function vial(caller: Caller, args: readonly string[], options: Options = {}): SpawnSyncReturns<string> {
  return spawnAs(caller, [join(dist, 'src/cli/main.cjs'), ...args], options)
}

export interface Answer {
  readonly error?: string
  readonly code?: string
  readonly exitCode: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  readonly usage: {
    readonly userMs: number
    readonly systemMs: number
    readonly maxRss: number
    readonly minorFaults: number
  }
}

/** The library: `sandbox(policy).run(command, args)` in a Node process of the caller's. */
export function runAs(
  caller: Caller,
  policy: Policy,
  command: string,
  args: readonly string[] = [],
  options: Options = {},
): Answer {
  const { stdout, stderr } = spawnAs(
    caller,
    [join(dist, 'test/support/child.js'), JSON.stringify({ policy, command, args })],
    options,
  )
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Answer
}
