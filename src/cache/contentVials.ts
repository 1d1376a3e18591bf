/**
 * Vials by their content. Their paths are handed out, to be executed by name: so the name is a digest for which no two contents can be
 * found, where the names of the other kinds need only spread. Apart from those: node:crypto takes long to load.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cacheDirectory, inCache } from './cacheDirectory.js'
import { entryKinds } from './entryKinds.js'
import type { OpenVial } from './executable.js'
import { findVial, storeVial } from './vialStore.js'

/**
 * An executable file with these bytes, written if it is not there, and open.
 * @throws {Error} as {@link inCache} does.
 */
export function openStored(bytes: Uint8Array, directory = cacheDirectory()): OpenVial {
  const name = createHash('sha256').update(bytes).digest('hex').slice(0, 40)
  const isRight = (fd: number, size: number) => size === bytes.length && readFileSync(fd).equals(bytes)
  return inCache(
    'the vial',
    (cache) => findVial(cache, entryKinds.content, name, isRight) ?? storeVial(cache, entryKinds.content, name, bytes),
    directory,
  )
}
