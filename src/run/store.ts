/** Vials by content. */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, inCache, temporaryName } from './cache.js'

/**
 * The path of an executable file with these bytes, written if it is not there. A file counts only if it is the
 * caller's, of mode 0500, and its content has the hash in its name.
 * @throws {Error} as {@link inCache} does.
 */
export function storeVial(bytes: Uint8Array, folder = cacheFolder()): string {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 40)
  const path = join(folder, hash)
  return inCache(
    'the vial',
    () => {
      if (!isGood(path, hash)) write(path, bytes)
      return path
    },
    folder,
  )
}

/** Whether the file may be executed: read through one descriptor, so that what is checked is one file. */
function isGood(path: string, hash: string): boolean {
  let fd: number
  try {
    if (lstatSync(path).isSymbolicLink()) return false
    fd = openSync(path, 'r')
  } catch {
    return false
  }
  try {
    const status = fstatSync(fd)
    if (!status.isFile() || status.uid !== process.geteuid!() || (status.mode & 0o7777) !== 0o500) return false
    return createHash('sha256').update(readFileSync(fd)).digest('hex').startsWith(hash)
  } finally {
    closeSync(fd)
  }
}

/** Written under another name and renamed, so that nobody ever sees half a vial. */
function write(path: string, bytes: Uint8Array): void {
  const temporary = temporaryName(path)
  try {
    const fd = openSync(temporary, 'wx', 0o500)
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written)
    } finally {
      closeSync(fd)
    }
    chmodSync(temporary, 0o500)
    renameSync(temporary, path)
  } catch (error) {
    try {
      unlinkSync(temporary)
    } catch {}
    throw error
  }
}
