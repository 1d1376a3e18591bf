/**
 * Vials that are found again by what they were compiled from: `run/HASH` in the cache. The key lies at the end of the file, and
 * its length behind it; the hash only has to spread, for the whole key is compared. The directory and its files are
 * trusted on the same terms as the front's: docs/front.md.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { entryMode } from '../front/format.js'
import { cacheFolder } from './cache.js'
import type { OpenVial } from './executable.js'
import { storeKeyed } from './frontCache.js'
import { isOwnDirectory, trustedDirectory } from './trust.js'

export const rememberedFolder = 'run'

/** The vial that was stored for this key, open, if it may be executed. */
export function findVial(key: string): OpenVial | undefined {
  try {
    const folder = join(trustedDirectory(cacheFolder(), { missing: 'refuse' }), rememberedFolder)
    if (!isOwnDirectory(folder)) return undefined
    const path = join(folder, nameOf(key))
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if (isFor(fd, key)) return { fd, path }
    closeSync(fd)
  } catch {}
  return undefined
}

/** The vial, open, where it is stored now; undefined if it cannot be stored there or others could change it. */
export function rememberVial(key: string, bytes: Uint8Array): OpenVial | undefined {
  try {
    storeKeyed(rememberedFolder, nameOf(key), Buffer.concat([bytes, trailer(key)]))
  } catch {
    return undefined
  }
  return findVial(key)
}

function isFor(fd: number, key: string): boolean {
  const { mode, uid, nlink, size } = fstatSync(fd)
  if (mode !== (constants.S_IFREG | entryMode) || uid !== process.geteuid!() || nlink !== 1) return false
  const expected = trailer(key)
  const found = Buffer.alloc(expected.length)
  return readSync(fd, found, 0, found.length, size - found.length) === found.length && found.equals(expected)
}

function trailer(key: string): Buffer {
  const bytes = Buffer.from(`${key}12345678`)
  bytes.writeUIntLE(bytes.length - 8, bytes.length - 8, 6)
  bytes.writeUInt16LE(0, bytes.length - 2)
  return bytes
}

/** FNV-1a of 32 bits, of the characters and of what it was before each: two such make sixteen digits. */
function nameOf(key: string): string {
  let low = 0x811c9dc5
  let high = 0
  for (let at = 0; at < key.length; at++) {
    low = Math.imul(low ^ key.charCodeAt(at), 0x01000193)
    high = Math.imul(high ^ low, 0x01000193)
  }
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
}
