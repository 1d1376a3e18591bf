/**
 * Compiles for the front, which starts it: `startFront.cjs FD NAME CALLED ARGUMENT…`. FD is a file in memory that holds the
 * key and gets the vial, NAME what the vial is stored as, CALLED the name that the front was called by; the first two are `-` when the front could not make out the arguments, and then
 * there is only something to say about them.
 */
import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { readKey, readWhole, storeFrontVial } from '../cache/frontCache.js'
import { none } from '../front/format.js'
import { systemFault } from '../kernel/systemError.js'
import { write } from '../text/write.js'
import { compileParsed } from './compileRequest.js'
import { inheritedFds, readInherited } from './inheritedFds.js'
import { parse } from './parseRequest.js'
import { BwrapError } from './state.js'

export async function main([memory = none, name = none, called = 'bwrap', ...args]: readonly string[]): Promise<void> {
  try {
    await compile(memory, name, called, args)
  } catch (error) {
    write(2, `${args.includes('--level-prefix') ? '<3>' : ''}bwrap: ${systemFault(error)}\n`)
    process.exitCode = 1
  }
}

async function compile(memory: string, name: string, called: string, args: readonly string[]): Promise<void> {
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
    throw new Error('the front and the compiler do not agree about these arguments; use "vial bwrap"')
  const vial = Buffer.concat([bytes, key.bytes])
  writeAll(Number(memory), vial)
  for (const warning of warnings) write(2, `${parsed.request.levelPrefix ? '<4>' : ''}bwrap: ${warning}\n`)
  // A vial from the cache would not warn.
  if (warnings.length === 0) store(name, vial)
}

function takeKey(fd: number) {
  const key = readKey(readWhole(fd))
  ftruncateSync(fd, 0)
  return key
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at)
}

/** Where it cannot be stored, or others could change it, it is compiled again next time. */
function store(name: string, vial: Uint8Array): void {
  try {
    storeFrontVial(name, vial)
  } catch {}
}
