/** The vials of the front: `bwrap/HASH` in the cache, each with its key at its end. Node.js writes them, the front reads. */
import { isUtf8 } from 'node:buffer'
import {
  closeSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { entryFolder, entryMode, key } from '../front/format.js'
import { cacheFolder, temporaryName } from './cacheDirectory.js'
import { trim, unlinkIfThere } from './trim.js'
import { ownDirectory, trustedDirectory, type Walk } from './trust.js'

/** What a key says. */
export interface FrontKey {
  readonly build: string
  readonly uid: number
  readonly gid: number
  /** The options as they were given. */
  readonly words: readonly string[]
  /** The words that --args descriptors gave, in their order. */
  readonly args: readonly (readonly string[])[]
}

export interface FrontVial {
  readonly path: string
  /** Bytes, with the key. */
  readonly size: number
  /** When it was stored. */
  readonly time: Date
  /** None: the file is damaged. */
  readonly key?: FrontKey
}

/** Stores a vial of the front, if it looks anywhere: without a HOME it does not ask who the caller is. @throws {Error} */
export function storeFrontVial(name: string, vial: Uint8Array): void {
  const { VIAL_CACHE, XDG_CACHE_HOME, HOME } = process.env
  if (VIAL_CACHE || XDG_CACHE_HOME?.startsWith('/') || HOME) storeKeyed(entryFolder, name, vial, { trusts: 'front' })
}

/**
 * Stores a vial for the next time, in a directory of the cache, and says where.
 * @throws {Error} when the directory cannot be used, or others could write there.
 */
export function storeKeyed(directory: string, name: string, vial: Uint8Array, walk: Walk = {}): string {
  const folder = ownDirectory(join(trustedDirectory(cacheFolder(), walk), directory))
  const temporary = temporaryName(join(folder, name))
  try {
    const fd = openSync(temporary, 'wx', entryMode)
    try {
      for (let written = 0; written < vial.length; ) written += writeSync(fd, vial, written)
      fchmodSync(fd, entryMode)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, join(folder, name))
  } catch (error) {
    unlinkIfThere(temporary)
    throw error
  }
  trim(folder, { vial: vialName, temporary: /^[0-9a-f]{16}\.\d+\.[0-9a-f]{8}$/ })
  return join(folder, name)
}

const vialName = /^[0-9a-f]{16}$/

/** Every vial of the front. */
export function frontVials(folder: string): FrontVial[] {
  return namesIn(folder).flatMap((name) => {
    const path = join(folder, name)
    try {
      const { size, mtime } = lstatSync(path)
      return [{ path, size, time: mtime, ...keyOf(path) }]
    } catch {
      return []
    }
  })
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => vialName.test(name))
  } catch {
    return []
  }
}

function keyOf(path: string): { key?: FrontKey } {
  try {
    const { bytes, text, ...key } = readKey(readFileSync(path))
    return { key }
  } catch {
    return {}
  }
}

/** The key at the end of a vial, or of the bytes that the front sends. */
export function readKey(file: Uint8Array): FrontKey & {
  readonly bytes: Uint8Array
  /** Whether all words are UTF-8, so that nothing is lost in strings. */
  readonly text: boolean
} {
  const all = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const number = (view: DataView, offset: number) => Number(view.getBigUint64(offset, true))
  const bytes = file.subarray(file.length - number(all, file.length - key.total))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (start: number, length: number) => Buffer.from(bytes.subarray(start, start + length)).toString('latin1')
  if (text(key.header.magic, 8) !== key.magic) throw new Error('no key')
  const words = number(view, key.header.words)
  const given = bytes.subarray(words, words + number(view, key.header.wordsLength))
  let isText = isUtf8(given)
  const args: string[][] = []
  for (let at: number = key.header.size; at < words; ) {
    const length = number(view, at + key.piece.length)
    const piece = bytes.subarray(at + key.piece.size, at + key.piece.size + length)
    isText &&= isUtf8(piece)
    args.push(split(piece))
    at += key.piece.size + Math.ceil(length / 8) * 8
  }
  return {
    bytes,
    build: Buffer.from(bytes.subarray(key.header.build, key.header.build + key.buildSize)).toString('hex'),
    uid: view.getUint32(key.header.ids, true),
    gid: view.getUint32(key.header.ids + 8, true),
    words: split(given),
    args,
    text: isText,
  }
}

/** Words that each end in a NUL, which the last one may lack. */
function split(bytes: Uint8Array): string[] {
  const words = Buffer.from(bytes).toString().split('\0')
  if (words.at(-1) === '') words.pop()
  return words
}

/** All that a descriptor's file holds, whatever its position is. */
export function readWhole(fd: number): Uint8Array {
  const bytes = new Uint8Array(fstatSync(fd).size)
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(fd, bytes, at, bytes.length - at, at)
    if (count === 0) throw new Error('the file became shorter')
    at += count
  }
  return bytes
}
