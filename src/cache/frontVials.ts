/** The vials of the front, each with its key at its end: Node.js writes them, and front/lookup.ts reads. */
import { isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, readSync } from 'node:fs'
import { key, nameOf } from '../front/format.js'
import { attempt } from '../text/attempt.js'
import { namedCache, trustedCache } from './cacheDirectory.js'
import { entryKinds } from './entryKinds.js'
import { storeVial } from './vialStore.js'

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

/**
 * Stores a vial that has this key at its end, where the front looks, if it looks anywhere. Where it cannot be stored, or others could
 * change it, it is compiled again next time.
 */
export function storeFrontVial(vial: Uint8Array, key: Uint8Array): void {
  const cache = namedCache()
  if (cache === undefined) return
  attempt(() => closeSync(storeVial(trustedCache(cache, { trusts: 'front' }), entryKinds.front, nameOf(key), vial).fd))
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
