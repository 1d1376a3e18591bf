/** `vial front`. */
import { resolve } from 'node:path'
import { frontPath, writeFront } from './bwrap/frontFile.js'

export function frontCommand({ output }: { output?: string }): void {
  const path = output === undefined ? frontPath : resolve(output)
  writeFront(path)
  process.stdout.write(`${path}\n`)
}
