/**
 * Compiles for the front, which starts it: `front.js FD NAME ARGUMENT…`. FD is a file in memory that holds the key and
 * gets the vial, NAME what the vial is stored as; both are `-` when the front could not make out the arguments, and then there is
 * only something to say about them.
 */
import { ftruncateSync, writeSync } from 'node:fs'
import { none } from '../../front/format.js'
import { frontFolder, readKey, readWhole, storeFrontVial } from '../../run/frontCache.js'
import { compileBwrap } from './compile.js'

const [fd = none, name = none, ...args] = process.argv.slice(2)
const memory = fd === none ? undefined : Number(fd)

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(memory!, bytes, at, bytes.length - at, at)
}

try {
  const key = memory === undefined ? undefined : readKey(readWhole(memory))
  if (memory !== undefined) ftruncateSync(memory, 0)
  if (key?.text === false) throw new Error('arguments must be UTF-8')
  const caller = { uid: process.getuid!(), gid: process.getgid!() }
  const { bytes, options } = compileBwrap(args, caller)
  if (key === undefined || key.words.length !== options || key.words.some((word, index) => word !== args[index]))
    throw new Error('the fast front and the compiler understand these arguments differently; run: vial bwrap')
  const vial = Buffer.concat([bytes, key.bytes])
  writeAll(vial)
  const folder = frontFolder()
  try {
    if (folder !== undefined) storeFrontVial(folder, name, vial)
  } catch {
    // Next time it is compiled again.
  }
} catch (error) {
  process.stderr.write(`bwrap: ${(error as Error).message}\n`)
  process.exit(1)
}
