/** The cache: a folder that only the caller can write. */
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** `$VIAL_CACHE`, else `$XDG_CACHE_HOME/vial`, else `~/.cache/vial`. */
export function cacheFolder(): string {
  const { VIAL_CACHE, XDG_CACHE_HOME } = process.env
  if (VIAL_CACHE) return resolve(VIAL_CACHE)
  return join(XDG_CACHE_HOME?.startsWith('/') ? XDG_CACHE_HOME : join(home(), '.cache'), 'vial')
}

function home(): string {
  try {
    return homedir()
  } catch {
    throw new Error(
      'there is no folder for the cache, for the caller has no home\n      set VIAL_CACHE to a folder of yours',
    )
  }
}

/**
 * Does something in the cache, which is made if it is not there.
 * @throws {Error} when the folder cannot be used; the message says how to choose another.
 */
export function inCache<Value>(what: string, action: (folder: string) => Value, folder = cacheFolder()): Value {
  try {
    makeFolder(folder)
    if (!swept.has(folder)) sweep(folder)
    swept.add(folder)
    return action(folder)
  } catch (error) {
    throw new Error(
      `${what} cannot be stored in ${folder}: ${(error as Error).message}\n      set VIAL_CACHE to a folder of yours that has room and is not mounted noexec`,
      { cause: error },
    )
  }
}

const swept = new Set<string>()

/** One by one: where mkdir(2) answers ENOENT beneath a folder that is there, as in /proc, `recursive` tries for ever. */
export function makeFolders(folder: string): void {
  if (existsSync(folder)) return
  if (dirname(folder) !== folder) makeFolders(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** user_namespaces(7): whoever has no id inside is seen as this one, and in a container that may be root. */
const overflowId = 65534

/**
 * Whoever owns a folder on the way can put another in the place of ours, between a look at a vial and its start. Those of a
 * group are let through: a user's own group is usual, and cannot be told from others.
 */
function requireWay(folder: string): void {
  const caller = process.geteuid!()
  for (let path = folder; path !== dirname(path); ) {
    path = dirname(path)
    const found = lstatSync(path, { throwIfNoEntry: false })
    for (const status of found?.isSymbolicLink() ? [found, statSync(path, { throwIfNoEntry: false })] : [found]) {
      if (status === undefined) continue
      if (![0, caller, overflowId].includes(status.uid)) throw new Error(`${path} belongs to somebody else`)
      if (status.isDirectory() && (status.mode & 0o1002) === 0o002) throw new Error(`others can write to ${path}`)
    }
  }
}

function makeFolder(folder: string): void {
  if (!swept.has(folder)) requireWay(folder)
  makeFolders(folder)
  const status = lstatSync(folder)
  if (!status.isDirectory()) throw new Error('it is not a folder')
  if (status.uid !== process.geteuid!()) throw new Error('it belongs to somebody else')
  if ((status.mode & 0o022) !== 0) throw new Error('others can write to it')
}

/** Nobody else's name for a file that is to be renamed to `path`. No secret: the folder is the caller's. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}.${Math.trunc(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0')}`
}

/** Removes what writers and runs that were killed left behind. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^(?:[0-9a-f]{40}|status)\.(\d+)\.[0-9a-f]{8}$/.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    try {
      unlinkSync(join(folder, name))
    } catch {}
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
