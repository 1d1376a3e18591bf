/** `vial front`. */
import { resolve } from 'node:path'
import { frontPath, writeFront } from '../bwrap/frontFile.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { fileFault } from './obstacle.js'

export function frontCommand({ output }: { output?: string }): void {
  const path = output === undefined ? frontPath : resolve(output)
  try {
    writeFront(path)
  } catch (error) {
    throw new UsageError(`--output ${path}: ${fileFault(error, path, 'write')}`)
  }
  write(1, `${path}\n`)
}
