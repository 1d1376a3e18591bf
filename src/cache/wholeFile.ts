/** Files that are written whole or not at all. */
import { closeSync, fchmodSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'

/** A name that no other process uses, for a file that is to be renamed to `path`. No secret: it is opened only where nothing is. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}.${Math.trunc(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0')}`
}

/**
 * Writes a file under another name and renames it, so that no process ever sees half of it. Gives a descriptor of the very file,
 * to be read or executed, whatever others do with its name meanwhile: `vial cache clear`, or another process that stores the same.
 * @throws {Error} of Node's, about the file or the temporary one beside it
 */
export function writeWhole(path: string, content: Uint8Array, mode: number): number {
  const temporary = temporaryName(path)
  const fd = openSync(temporary, 'wx', mode)
  try {
    try {
      writeFileSync(fd, content)
      // Whatever the umask says.
      fchmodSync(fd, mode)
    } finally {
      closeSync(fd)
    }
    // Execution is refused while anything has it open for writing: ETXTBSY of execve(2).
    const written = openSync(temporary, 'r')
    try {
      renameSync(temporary, path)
    } catch (error) {
      closeSync(written)
      throw error
    }
    return written
  } catch (error) {
    unlinkIfThere(temporary)
    throw error
  }
}

/** The same, of a file that is not used at once. */
export function replaceFile(path: string, content: Uint8Array, mode: number): void {
  closeSync(writeWhole(path, content, mode))
}

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch {}
}
