/** Vials by content. */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { entryMode } from '../front/format.js'
import { cacheFolder, inCache, temporaryName } from './cacheDirectory.js'
import type { OpenVial } from './executable.js'
import { trim } from './trim.js'

/**
 * An executable file with these bytes, written if it is not there, and open. A file counts only if it is the caller's, of mode
 * 0500, and its content has the hash in its name: all read through the descriptor that is then executed.
 * @throws {Error} as {@link inCache} does.
 */
export function openStored(bytes: Uint8Array, folder = cacheFolder()): OpenVial {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 40)
  return inCache(
    'the vial',
    (real) => {
      const path = join(real, hash)
      return { fd: openGood(path, hash) ?? add(path, bytes), path }
    },
    folder,
  )
}

/** The path of {@link openStored}'s file, for others to execute. */
export function storeVial(bytes: Uint8Array, folder = cacheFolder()): string {
  const { fd, path } = openStored(bytes, folder)
  closeSync(fd)
  return path
}

/** How many vials this process adds before it trims the cache again: a server of one-off policies need not look at all of them each time. */
const untrimmed = 32
let added = 0

function add(path: string, bytes: Uint8Array): number {
  const fd = write(path, bytes)
  if (added++ % untrimmed === 0) tryTrim(dirname(path))
  return fd
}

/** A cache that cannot be trimmed can be used all the same. */
function tryTrim(folder: string): void {
  try {
    trim(folder, { vial: /^[0-9a-f]{40}$/ })
  } catch {}
}

/** A descriptor of the file, if it may be executed. */
function openGood(path: string, hash: string): number | undefined {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  try {
    const { uid, mode } = fstatSync(fd)
    if (uid === process.geteuid!() && mode === (constants.S_IFREG | entryMode) && hasHash(fd, hash)) return fd
  } catch {}
  closeSync(fd)
  return undefined
}

const hasHash = (fd: number, hash: string) =>
  createHash('sha256').update(readFileSync(fd)).digest('hex').startsWith(hash)

/**
 * Written under another name and renamed, so that no process ever sees half a vial. Gives a descriptor of the very file, whatever
 * others do with its name meanwhile: `vial cache clear`, or another process that stores the same.
 */
function write(path: string, bytes: Uint8Array): number {
  const temporary = temporaryName(path)
  try {
    const fd = openSync(temporary, 'wx', 0o500)
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written)
    } finally {
      closeSync(fd)
    }
    chmodSync(temporary, 0o500)
    const stored = openSync(temporary, 'r')
    try {
      renameSync(temporary, path)
    } catch (error) {
      closeSync(stored)
      throw error
    }
    return stored
  } catch (error) {
    try {
      unlinkSync(temporary)
    } catch {}
    throw error
  }
}
