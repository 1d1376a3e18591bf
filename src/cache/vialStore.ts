/**
 * Vials in the cache by their names: how one is found, and how one is stored. What is found is executed by the descriptor that it was looked
 * at through. The front looks by itself, by the same rules: `trusted` of front/format.ts.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { trusted } from '../front/format.js'
import type { EntryKind } from './entryKinds.js'
import type { OpenVial } from './executable.js'
import { trimSometimes } from './trim.js'
import { isOwnDirectory, ownDirectory } from './trust.js'
import { writeWhole } from './wholeFile.js'

/**
 * The vial of this name, open, if it may be executed.
 * @param cache the cache's real path, as of `trustedCache`
 * @param isRight whether the file, of so many bytes, is the one that is looked for
 */
export function findVial(
  cache: string,
  kind: EntryKind,
  name: string,
  isRight: (fd: number, size: number) => boolean,
): OpenVial | undefined {
  const directory = join(cache, kind.directory)
  if (directory !== cache && !isOwnDirectory(directory)) return undefined
  const path = join(directory, name)
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  try {
    const { mode, uid, nlink, size } = fstatSync(fd)
    const { vial } = trusted
    if (uid === process.geteuid!() && mode === vial.mode && nlink === vial.links && isRight(fd, size))
      return { fd, path }
  } catch {}
  closeSync(fd)
  return undefined
}

/**
 * Stores a vial, in place of what has its name, and gives it open.
 * @throws {Error} when its directory cannot be used, or others could write there
 */
export function storeVial(cache: string, kind: EntryKind, name: string, bytes: Uint8Array): OpenVial {
  const directory = join(cache, kind.directory)
  const path = join(directory === cache ? cache : ownDirectory(directory), name)
  const fd = writeWhole(path, bytes, trusted.vial.mode & 0o7777)
  trimSometimes(cache, kind)
  return { fd, path }
}
