/** The cache: a directory that only the caller can write. */
import { readdirSync, unlinkSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { errnoMessage } from '../kernel/errno.js'
import { systemFault } from '../kernel/systemError.js'
import { isWithin } from '../policy/path.js'
import { HostError } from '../text/error.js'
import { isOwnDirectory, trustedDirectory } from './trust.js'

/** `$VIAL_CACHE`, else `$XDG_CACHE_HOME/vial`, else `~/.cache/vial`. Of the last two only an absolute one counts, as for the front. */
export function cacheFolder(): string {
  const { VIAL_CACHE, XDG_CACHE_HOME } = process.env
  if (VIAL_CACHE) return resolve(VIAL_CACHE)
  return join(XDG_CACHE_HOME?.startsWith('/') ? XDG_CACHE_HOME : join(home(), '.cache'), 'vial')
}

function home(): string {
  const { HOME } = process.env
  if (HOME?.startsWith('/')) return HOME
  try {
    return userInfo().homedir
  } catch {
    throw new HostError('there is no directory for the cache, for the caller has no home', {
      hint: 'set VIAL_CACHE to a directory of yours',
    })
  }
}

/**
 * Does something in the cache, which is made if it is not there.
 * @param action gets the cache's real path
 * @throws {HostError} when the directory cannot be used; the message says how to choose another.
 */
export function inCache<Value>(what: string, action: (folder: string) => Value, folder = cacheFolder()): Value {
  try {
    return action(usable(folder))
  } catch (error) {
    const { code, errno, path = '' } = error as NodeJS.ErrnoException
    // No fault of the cache's.
    if (code === 'EMFILE') throw error
    // What lies in the cache is of no interest by name.
    const cause = errno !== undefined && isWithin(path, folder) ? errnoMessage(-errno) : systemFault(error)
    throw new HostError(`${what} cannot be stored in ${folder}: ${cause}`, {
      code,
      hint: 'set VIAL_CACHE to a directory of yours that has room and is not mounted noexec',
      cause: error,
    })
  }
}

/** Real paths, of the directories that were walked to: no other user can make them lead elsewhere. */
const known = new Map<string, string>()

function usable(folder: string): string {
  const before = known.get(folder)
  if (before !== undefined && isOwnDirectory(before)) return before
  const real = trustedDirectory(folder)
  if (before === undefined) sweep(real)
  known.set(folder, real)
  return real
}

/** A name that no other process uses, for a file that is to be renamed to `path`. No secret: the directory is the caller's. */
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
