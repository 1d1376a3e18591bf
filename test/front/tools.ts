/** Runs the front as root or as an ordinary user, each time with a cache that the test chooses. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compileFront, frontPath } from '../../src/bwrap/frontFile.js'
import { type Caller, user, workDirectory } from '../support/user.js'

let directories = 0
/** A new directory of the caller's. */
export const newDirectory = (caller: Caller) => workDirectory(caller, `front-${directories++}`)

export interface Run {
  readonly cache?: string
  readonly env?: Record<string, string | undefined>
  readonly cwd?: string
  readonly stdio?: readonly ('pipe' | 'ignore' | number)[]
  readonly input?: string
}

/** Runs a command of the caller's; `cache` is VIAL_CACHE. */
export function runAs(
  caller: Caller,
  command: string,
  args: readonly string[],
  options: Run = {},
): SpawnSyncReturns<string> {
  const home = workDirectory(caller, 'home')
  const env = { PATH: process.env.PATH, HOME: home, VIAL_CACHE: options.cache, ...options.env }
  return spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 20_000,
    cwd: options.cwd ?? home,
    env,
    ...(options.input === undefined ? {} : { input: options.input }),
    stdio: [...(options.stdio ?? ['pipe', 'pipe', 'pipe'])],
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

export const front = (caller: Caller, args: readonly string[], options: Run = {}) =>
  runAs(caller, frontPath, args, options)

/** The same front, but without a Node.js to turn to: it runs what is in the cache, and nothing else. */
export function cachedOnlyPath(): string {
  if (cachedOnly !== undefined) return cachedOnly
  const directory = newDirectory(user)
  cachedOnly = join(directory, 'front')
  writeFileSync(cachedOnly, compileFront('/no/programs/node'))
  for (const path of [cachedOnly, directory, dirname(directory), dirname(dirname(directory))]) chmodSync(path, 0o755)
  return cachedOnly
}
let cachedOnly: string | undefined

/** Runs {@link cachedOnlyPath}. */
export const fromCache = (caller: Caller, args: readonly string[], options: Run = {}) =>
  runAs(caller, cachedOnlyPath(), args, { ...options, env: { PATH: '/no/programs', ...options.env } })

/** What {@link fromCache} ends with when nothing is in the cache that it may run: env(1) finds no node. */
export const notCached = 127

/** Names of the vials in a cache. */
export function entries(cache: string): string[] {
  try {
    return readdirSync(join(cache, 'bwrap')).sort()
  } catch {
    return []
  }
}

/** Everything of the host, as it is. */
export const everything = ['--bind', '/', '/'] as const
