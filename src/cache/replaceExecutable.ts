/** Writes an executable, whole or not at all. */
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { temporaryName } from './cacheDirectory.js'

/** @throws {Error} of Node's, about the file or the temporary one beside it */
export function replaceExecutable(path: string, content: Uint8Array): void {
  const temporary = temporaryName(path)
  let written = false
  try {
    writeFileSync(temporary, content, { flag: 'wx', mode: 0o755 })
    written = true
    chmodSync(temporary, 0o755)
    renameSync(temporary, path)
  } catch (error) {
    if (written) rmSync(temporary, { force: true })
    throw error
  }
}
