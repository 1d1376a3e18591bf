/** What lies in the cache, of all kinds. */
import { lstatSync, readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { systemFault } from '../kernel/systemError.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { cacheDirectory } from './cacheDirectory.js'
import { type EntryKind, entryKinds } from './entryKinds.js'
import { type FrontKey, readKey } from './frontVials.js'

export interface CacheEntry {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** When it was stored. */
  readonly time: Date
  /** `sandbox`: made by the library or `vial run`; `bwrap`: by `vial-bwrap`. */
  readonly kind: EntryKind['of']
  /** Of a `bwrap` entry, unless its file is damaged. */
  readonly key?: FrontKey
}

/** All vials in the cache, newest first. */
export function cacheEntries(cache = cacheDirectory()): CacheEntry[] {
  const all = Object.values(entryKinds).flatMap((kind) => entriesOf(join(cache, kind.directory), kind))
  return all.sort((a, b) => b.time.getTime() - a.time.getTime())
}

/** Removes all vials from the cache, and gives those that were removed. A sandbox that runs is not disturbed. */
export function clearCache(cache = cacheDirectory()): CacheEntry[] {
  return cacheEntries(cache).filter(({ path }) => {
    try {
      unlinkSync(path)
      return true
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return false
      throw new HostError(`the cache cannot be cleared: ${systemFault(error)}`, { code, cause: error })
    }
  })
}

function entriesOf(directory: string, { name: form, of: kind }: EntryKind): CacheEntry[] {
  return namesIn(directory)
    .filter((name) => form.test(name))
    .flatMap((name) => {
      const path = join(directory, name)
      const status = lstatSync(path, { throwIfNoEntry: false })
      if (status === undefined) return []
      return [{ path, size: status.size, time: status.mtime, kind, ...(kind === 'bwrap' ? keyOf(path) : {}) }]
    })
}

/** Nothing of a file that is damaged. */
function keyOf(path: string): { key?: FrontKey } | undefined {
  return attempt(() => {
    const { bytes, text, ...key } = readKey(readFileSync(path))
    return { key }
  })
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    throw new HostError(`the cache cannot be read: ${systemFault(error)}`, {
      code,
      hint: 'set VIAL_CACHE to a directory of yours',
      cause: error,
    })
  }
}
