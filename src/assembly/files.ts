/** Open files. */
import { POLL } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Builder, LoopControl } from '../machine/builder.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { Assembler } from './assembler.js'

/**
 * Writes the `left` bytes at `from`, however few write(2) takes at a time.
 * @param write makes one such call, and goes elsewhere when it fails: how that is told differs between programs
 */
export function writeAllBy(
  { b, result }: Assembler,
  { from, left }: { readonly from: Slot; readonly left: Slot },
  write: (again: LoopControl['again']) => void,
): void {
  b.loop(({ leave, again }) => {
    b.when(left, 'eq', 0, leave)
    write(again)
    b.compute(from, from, 'add', result)
    b.compute(left, left, 'sub', result)
  })
}

/** No descriptor, which ppoll(2) passes over. */
export const noFile = 0xffffffff

/** For ppoll(2): each descriptor, until it can be read. What has happened to one is in the upper half of its second word: {@link ifReady}. */
export function pollsOf(b: Builder, fds: readonly Operand[]): Address {
  const { size, fields } = structs.pollfd
  const polls = b.reserve(fds.length * size)
  for (const [index, fd] of fds.entries()) {
    b.store(32, polls, index * size + fields.fd.offset, fd)
    b.store(32, polls, index * size + fields.events.offset, POLL.IN)
  }
  return polls
}

/** Whether something has happened to one of them, by its place. */
export function ifReady(b: Builder, polls: Operand, index: number, then: () => void): void {
  const { size, fields } = structs.pollfd
  const found = b.temporary()
  b.load(found, 32, polls, index * size + fields.events.offset)
  b.when(found, 'gt', 0xffff, then)
}
