/**
 * Vials that are found again by what they were compiled from. Behind the vial lies what fill looked at, then the key, each with its
 * length behind it, as the front's key has: docs/front.md.
 */
import { readSync } from 'node:fs'
import { nameOf } from '../front/format.js'
import { attempt } from '../text/attempt.js'
import { cacheDirectory, trustedCache } from './cacheDirectory.js'
import { entryKinds } from './entryKinds.js'
import type { OpenVial } from './executable.js'
import { findVial, storeVial } from './vialStore.js'

/**
 * The vial that was stored for this key, open, if it may be executed.
 * @param isCurrent is asked whether what fill looked at is as it was
 */
export function findRemembered(key: string, isCurrent: (seen: string) => boolean): OpenVial | undefined {
  const end = measured(key)
  const isRight = (fd: number, size: number) => isFor(fd, size, end, isCurrent)
  const cache = attempt(() => trustedCache(cacheDirectory(), { missing: 'refuse' }))
  return cache === undefined ? undefined : findVial(cache, entryKinds.request, nameOf(end), isRight)
}

/**
 * The vial, open, where it is stored now; undefined if it cannot be stored there or others could change it.
 * @param seen what fill looked at for it
 */
export function rememberVial(key: string, bytes: Uint8Array, seen: string): OpenVial | undefined {
  const end = measured(key)
  const file = Buffer.concat([bytes, measured(seen), end])
  return attempt(() => storeVial(trustedCache(), entryKinds.request, nameOf(end), file))
}

function isFor(fd: number, size: number, end: Buffer, isCurrent: (seen: string) => boolean): boolean {
  const start = size - end.length
  const tail = readAt(fd, start - lengthSize, lengthSize + end.length)
  if (tail === undefined || !tail.subarray(lengthSize).equals(end)) return false
  const length = Number(tail.readBigUInt64LE())
  const seen = readAt(fd, start - length, length - lengthSize)
  return seen !== undefined && isCurrent(seen.toString())
}

function readAt(fd: number, position: number, length: number): Buffer | undefined {
  if (position < 0 || length < 0) return undefined
  const bytes = Buffer.alloc(length)
  return readSync(fd, bytes, 0, length, position) === length ? bytes : undefined
}

const lengthSize = 8

/** A text, and behind it how long both are. */
function measured(text: string): Buffer {
  const bytes = Buffer.from(`${text}12345678`)
  bytes.writeBigUInt64LE(BigInt(bytes.length), bytes.length - lengthSize)
  return bytes
}
