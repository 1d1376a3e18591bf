/**
 * Compiles for the front, which starts it: `startFront.cjs FD CALLED ARGUMENT…`. FD is a file in memory that holds the key and gets
 * the vial, or `-` when the front could not make out the arguments, and then there is only something to say about them. CALLED is the
 * name that the front was called by.
 */
import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { readKey, readWhole, storeFrontVial } from '../cache/frontVials.js'
import { none } from '../front/format.js'
import { systemFault } from '../kernel/systemError.js'
import { write } from '../text/write.js'
import { compileParsed } from './compileRequest.js'
import { inheritedFds, readInherited } from './inheritedFds.js'
import { parse } from './parseRequest.js'
import { BwrapError } from './state.js'

export async function main([memory = none, called = 'bwrap', ...args]: readonly string[]): Promise<void> {
  try {
    await compile(memory, called, args)
  } catch (error) {
    write(2, `${args.includes('--level-prefix') ? '<3>' : ''}bwrap: ${systemFault(error)}\n`)
    process.exitCode = 1
  }
}

async function compile(memory: string, called: string, args: readonly string[]): Promise<void> {
  const key = memory === none ? undefined : takeKey(Number(memory))
  if (key?.text === false) throw new BwrapError('arguments must be UTF-8')
  const read = readInherited(inheritedFds())
  const parsed = parse(args, (fd) => {
    const data = read(fd)
    closeSync(fd)
    return data
  })
  if (parsed.kind !== 'run') {
    const { show } = await import('./bwrapCommand.js')
    // With no argv at all the kernel gives an empty name (fs/exec.c).
    show(parsed.kind, called === '' ? 'bwrap' : called)
    return
  }
  const { bytes, options, warnings } = compileParsed(parsed)
  if (key === undefined || key.words.length !== options || key.words.some((word, index) => word !== args[index]))
    throw new BwrapError('the front and the compiler do not agree about these arguments; use "vial bwrap"')
  const vial = Buffer.concat([bytes, key.bytes])
  writeAll(Number(memory), vial)
  for (const warning of warnings) write(2, `${parsed.request.levelPrefix ? '<4>' : ''}bwrap: ${warning}\n`)
  // A vial from the cache would not warn.
  if (warnings.length === 0) storeFrontVial(vial, key.bytes)
}

function takeKey(fd: number) {
  const key = readKey(readWhole(fd))
  ftruncateSync(fd, 0)
  return key
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at)
}
