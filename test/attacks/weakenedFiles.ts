/** The files of an open sandbox by a program that lacks one of its walls: so what attacks it is seen to be able to succeed. */
import { openStored } from '../../src/cache/contentVials.js'
import { hostArchitecture } from '../../src/host/thisHost.js'
import type { Box, Policy } from '../../src/index.js'
import { openFlags, RESOLVE } from '../../src/kernel/flags.js'
import { structs } from '../../src/kernel/structs.js'
import { filer } from '../../src/launcher/filer.js'
import { ofName } from '../../src/launcher/filesAssembler.js'
import { BoxFiles } from '../../src/live/boxFiles.js'
import { FilesHelper } from '../../src/live/filesHelper.js'
import { identityOf } from '../../src/live/processes.js'
import { assemble } from '../../src/machine/assemble.js'

/** `links`: it follows them, wherever they lead. `waits`: it opens what waits for its other end. */
export type Weakness = 'links' | 'waits'

const open = openFlags(hostArchitecture())
const ways: readonly number[] = [ofName, ofName | RESOLVE.NO_XDEV, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS]

export function weakenedFiles(box: Box, policy: Policy, weakness: Weakness): BoxFiles {
  const program = filer(hostArchitecture(), { ownUser: true })
  const view = Buffer.from(program.constants.buffer, program.constants.byteOffset, program.constants.length)
  const { flags, mode, resolve } = structs.open_how.fields
  const weaker = (bits: number) => bits & ~(weakness === 'links' ? open.NOFOLLOW : open.NONBLOCK)
  let changed = 0
  for (let at = 0; at + structs.open_how.size <= view.length; at += 8) {
    const way = view.readBigUInt64LE(at + resolve.offset)
    if (!ways.some((one) => BigInt(one) === way) || view.readBigUInt64LE(at + mode.offset) !== 0n) continue
    view.writeBigUInt64LE(BigInt(weaker(view.readUInt32LE(at + flags.offset))), at + flags.offset)
    if (weakness === 'links') view.writeBigUInt64LE(0n, at + resolve.offset)
    changed++
  }
  if (changed < 5) throw new Error(`only ${changed} ways of opening were found`)
  const bytes = assemble(program, hostArchitecture())
  const { start } = identityOf(box.pid)!
  const helper = new FilesHelper({ monitor: { pid: box.pid, start }, policy, base: '/' }, () => openStored(bytes))
  return new BoxFiles({ shared: async () => helper, own: async () => helper })
}
