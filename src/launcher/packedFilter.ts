/**
 * A seccomp filter in a vial, and the code that unpacks it: an instruction takes 4 bytes on average instead of 8.
 *
 *     packed      which operation, and the length of its value | jump targets, of a jump | value
 *     unpacked    struct sock_filter: u16 operation, u8 yes, u8 no, u32 value
 */
import { BPF } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Builder } from '../machine/builder.js'
import type { Address } from '../machine/instruction.js'

/** All that our filters are made of, see seccomp/graph.ts; jumps last, and no more than a word has bytes. */
const operations = [
  BPF.LD | BPF.W | BPF.ABS,
  BPF.ALU | BPF.AND | BPF.K,
  BPF.RET | BPF.K,
  BPF.JMP | BPF.JA,
  BPF.JMP | BPF.JEQ | BPF.K,
  BPF.JMP | BPF.JGT | BPF.K,
  BPF.JMP | BPF.JGE | BPF.K,
]
const firstJump = operations.indexOf(BPF.JMP | BPF.JA)
const { size } = structs.sock_filter

/** From an array of struct sock_filter; behind the last instruction is a zero, which is none. */
export function packFilter(program: Uint8Array): Uint8Array {
  const view = new DataView(program.buffer, program.byteOffset, program.length)
  const packed: number[] = []
  for (let at = 0; at < program.length; at += size) {
    const which = operations.indexOf(view.getUint16(at, true))
    if (which === -1) throw new Error(`a filter has an operation that is not packed: ${view.getUint16(at, true)}`)
    const length = 4 - (Math.clz32(view.getUint32(at + 4, true) | 1) >> 3)
    packed.push((which << 3) | length)
    if (which >= firstJump) packed.push(program[at + 2]!, program[at + 3]!)
    packed.push(...program.subarray(at + 4, at + 4 + length))
  }
  return Uint8Array.from([...packed, 0])
}

/** Unpacks a filter into memory of its own, and gives the address. */
export function unpackFilter(b: Builder, program: Uint8Array): Address {
  const unpacked = b.reserve(program.length)
  const [from, to, head, value] = [b.temporary(), b.temporary(), b.temporary(), b.temporary()]
  b.move(from, b.bytes(packFilter(program)))
  b.move(to, unpacked)
  b.loop(({ leave }) => {
    b.load(head, 8, from)
    b.when(head, 'eq', 0, leave)
    b.compute(from, from, 'add', 1)
    b.when(head, 'ge', firstJump << 3, () => {
      // Two bytes too many, over which the value is written.
      b.load(value, 32, from)
      b.store(32, to, 2, value)
      b.compute(from, from, 'add', 2)
    })
    b.load(value, 64, from)
    // Shifted to the top, and back.
    const [length, rest] = [b.temporary(), b.temporary()]
    b.compute(length, head, 'and', 7)
    b.compute(from, from, 'add', length)
    b.compute(rest, length, 'shl', 3)
    b.compute(rest, 64, 'sub', rest)
    b.compute(value, value, 'shl', rest)
    b.compute(value, value, 'shr', rest)
    b.store(32, to, 4, value)
    b.compute(head, head, 'and', 0x38)
    b.compute(value, Buffer.from([...operations, 0]).readBigUInt64LE(), 'shr', head)
    b.store(8, to, 0, value)
    b.compute(to, to, 'add', size)
  })
  return unpacked
}
