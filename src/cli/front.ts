/** `vial front`. */
import { resolve } from 'node:path'
import { frontPath, writeFront } from './bwrap/frontFile.js'
import { write } from './write.js'

export function frontCommand({ output }: { output?: string }): void {
  const path = output === undefined ? frontPath : resolve(output)
  writeFront(path)
  write(1, `${path}\n`)
}
