/** `vial front`. */
import { resolve } from 'node:path'
import { frontPath, writeFront } from './bwrap/frontFile.js'
import { fileFault } from './obstacle.js'
import { write } from './write.js'

export function frontCommand({ output }: { output?: string }): void {
  const path = output === undefined ? frontPath : resolve(output)
  try {
    writeFront(path)
  } catch (error) {
    throw new Error(`--output ${path}: ${fileFault(error, path, 'write')}`)
  }
  write(1, `${path}\n`)
}
