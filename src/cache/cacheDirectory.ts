/** The cache: a directory that only the caller can write. */
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { cachePlaces } from '../front/format.js'
import { errnoMessage } from '../kernel/errno.js'
import { isShortage, shortageError } from '../kernel/shortage.js'
import { systemFault } from '../kernel/systemError.js'
import { isWithin } from '../policy/path.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { sweep } from './trim.js'
import { isOwnDirectory, trustedDirectory, type Walk } from './trust.js'

/** The cache that the environment names; undefined: it names none, and the front looks nowhere. */
export function namedCache(): string | undefined {
  for (const { variable, any, below } of cachePlaces) {
    const value = process.env[variable]
    if (value && (any || value.startsWith('/'))) return join(resolve(value), below)
  }
  return undefined
}

/** `$VIAL_CACHE`, else `$XDG_CACHE_HOME/vial`, else `~/.cache/vial`. */
export function cacheDirectory(): string {
  const named = namedCache() ?? attempt(() => join(userInfo().homedir, '.cache/vial'))
  if (named !== undefined) return named
  throw new HostError('there is no directory for the cache, for the caller has no home', {
    hint: 'set VIAL_CACHE to a directory of yours',
  })
}

/**
 * Does something in the cache, which is made if it is not there.
 * @param action gets the cache's real path
 * @throws {HostError} when the directory cannot be used; the message says how to choose another.
 */
export function inCache<Value>(what: string, action: (cache: string) => Value, directory = cacheDirectory()): Value {
  try {
    const cache = trustedCache(directory)
    if (!swept.has(cache)) sweep(cache)
    swept.add(cache)
    return action(cache)
  } catch (error) {
    const { code, errno, path = '' } = error as NodeJS.ErrnoException
    // No fault of the cache's.
    if (isShortage(error)) throw shortageError(error)
    // What lies in the cache is of no interest by name.
    const cause = errno !== undefined && isWithin(path, directory) ? errnoMessage(-errno) : systemFault(error)
    throw new HostError(`${what} cannot be stored in ${directory}: ${cause}`, {
      code,
      hint: 'set VIAL_CACHE to a directory of yours that has room and is not mounted noexec',
      cause: error,
    })
  }
}

/** Caches from which this process has removed what killed writers left. */
const swept = new Set<string>()

/** Real paths, of the directories that were walked to, by who is trusted: no other user can make them lead elsewhere. */
const known = new Map<string, string>()

/**
 * The cache's real path.
 * @throws {Error} as {@link trustedDirectory} does
 */
export function trustedCache(directory = cacheDirectory(), walk: Walk = {}): string {
  const asked = `${walk.trusts ?? ''}:${directory}`
  const before = known.get(asked)
  if (before !== undefined && isOwnDirectory(before)) return before
  const real = trustedDirectory(directory, walk)
  known.set(asked, real)
  return real
}
