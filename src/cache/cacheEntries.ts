/** What lies in the cache: vials of the library and the command line, by content, and those of the front, by key. */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { entryFolder } from '../front/format.js'
import { systemFault } from '../kernel/systemError.js'
import { HostError } from '../text/error.js'
import { cacheFolder } from './cacheDirectory.js'
import { type FrontKey, frontVials } from './frontCache.js'
import { rememberedFolder } from './remember.js'

export interface CacheEntry {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** When it was stored. */
  readonly time: Date
  /** `sandbox`: made by the library or `vial run`; `bwrap`: by `vial-bwrap`. */
  readonly kind: 'sandbox' | 'bwrap'
  /** Of a `bwrap` entry, unless its file is damaged. */
  readonly key?: FrontKey
}

/** All vials in the cache, newest first. */
export function cacheEntries(folder = cacheFolder()): CacheEntry[] {
  const sandboxes = namesIn(folder)
    .filter((name) => /^[0-9a-f]{40}$/.test(name))
    .flatMap((name): CacheEntry[] => {
      const path = join(folder, name)
      try {
        const { size, mtime } = lstatSync(path)
        return [{ path, size, time: mtime, kind: 'sandbox' }]
      } catch {
        return []
      }
    })
  const remembered = frontVials(join(folder, rememberedFolder)).map(
    ({ key, ...entry }): CacheEntry => ({ ...entry, kind: 'sandbox' }),
  )
  const fronts = frontVials(join(folder, entryFolder)).map((entry): CacheEntry => ({ ...entry, kind: 'bwrap' }))
  return [...sandboxes, ...remembered, ...fronts].sort((a, b) => b.time.getTime() - a.time.getTime())
}

/** Removes all vials from the cache, and gives those that were removed. A sandbox that runs is not disturbed. */
export function clearCache(folder = cacheFolder()): CacheEntry[] {
  return cacheEntries(folder).filter(({ path }) => {
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

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
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
