/**
 * Vials that are found again by what they were compiled from: `run/HASH` in the cache. Behind the vial lies what fill looked at, then the
 * key, each with its length behind it; the hash only has to spread, for the whole key is compared. The directory and its files
 * are trusted on the same terms as the front's: docs/front.md.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { entryMode } from '../front/format.js'
import { cacheFolder } from './cacheDirectory.js'
import type { OpenVial } from './executable.js'
import { storeKeyed } from './frontCache.js'
import { isOwnDirectory, trustedDirectory } from './trust.js'

export const rememberedFolder = 'run'

/**
 * The vial that was stored for this key, open, if it may be executed.
 * @param isCurrent is asked whether what fill looked at is as it was
 */
export function findVial(key: string, isCurrent: (seen: string) => boolean): OpenVial | undefined {
  try {
    const folder = join(trustedDirectory(cacheFolder(), { missing: 'refuse' }), rememberedFolder)
    if (!isOwnDirectory(folder)) return undefined
    const path = join(folder, nameOf(key))
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if (isFor(fd, key, isCurrent)) return { fd, path }
    closeSync(fd)
  } catch {}
  return undefined
}

/**
 * The vial, open, where it is stored now; undefined if it cannot be stored there or others could change it.
 * @param seen what fill looked at for it
 */
export function rememberVial(key: string, bytes: Uint8Array, seen: string): OpenVial | undefined {
  try {
    storeKeyed(rememberedFolder, nameOf(key), Buffer.concat([bytes, measured(seen), measured(key)]))
  } catch {
    return undefined
  }
  return findVial(key, (found) => found === seen)
}

function isFor(fd: number, key: string, isCurrent: (seen: string) => boolean): boolean {
  const { mode, uid, nlink, size } = fstatSync(fd)
  if (mode !== (constants.S_IFREG | entryMode) || uid !== process.geteuid!() || nlink !== 1) return false
  const expected = measured(key)
  const start = size - expected.length - lengthSize
  const end = readAt(fd, start, lengthSize + expected.length)
  if (end === undefined || !end.subarray(lengthSize).equals(expected)) return false
  const length = end.readUIntLE(0, 6)
  const seen = readAt(fd, start - length, length)
  return seen !== undefined && isCurrent(seen.toString())
}

function readAt(fd: number, position: number, length: number): Buffer | undefined {
  if (position < 0) return undefined
  const bytes = Buffer.alloc(length)
  return readSync(fd, bytes, 0, length, position) === length ? bytes : undefined
}

const lengthSize = 8

/** A text with its length behind it. */
function measured(text: string): Buffer {
  const bytes = Buffer.from(`${text}12345678`)
  bytes.writeUIntLE(bytes.length - lengthSize, bytes.length - lengthSize, 6)
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
