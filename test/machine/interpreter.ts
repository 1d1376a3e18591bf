/** What a {@link Program} means, without machine code: the reference that the encoders are compared with. */
import { link } from '../../src/machine/assemble.js'
import { type Layout, resolve } from '../../src/machine/code.js'
import {
  type Arithmetic,
  type Comparison,
  firstError,
  type Operand,
  type Program,
  type Slot,
} from '../../src/machine/instruction.js'

const arithmetic: Record<Arithmetic, (left: bigint, right: bigint) => bigint> = {
  add: (left, right) => left + right,
  sub: (left, right) => left - right,
  mul: (left, right) => left * right,
  and: (left, right) => left & right,
  or: (left, right) => left | right,
  xor: (left, right) => left ^ right,
  shl: (left, right) => left << (right & 63n),
  shr: (left, right) => left >> (right & 63n),
}

const comparison: Record<Comparison, (left: bigint, right: bigint) => boolean> = {
  eq: (left, right) => left === right,
  ne: (left, right) => left !== right,
  lt: (left, right) => left < right,
  le: (left, right) => left <= right,
  gt: (left, right) => left > right,
  ge: (left, right) => left >= right,
}

const ENOSYS = 38n
const stackPointer = 0x7ffc_0000_0000n
const stepLimit = 1_000_000

/** Runs the program until it calls exit_group. Knows write, getpid and exit_group; the stack holds argc and no more. */
export const interpret = (program: Program, argc = 1) => {
  const layout: Layout = { constants: 0x10000, code: 0x20000, slots: 0x40000000, memory: 0x50000000 }
  const slots = new BigUint64Array(program.slots)
  const stack = new Uint8Array(8)
  stack[0] = argc
  const areas = [
    { start: BigInt(layout.constants), bytes: link(program, layout), writable: false },
    { start: BigInt(layout.memory), bytes: new Uint8Array(program.memory), writable: true },
    { start: stackPointer, bytes: stack, writable: true },
  ]
  const labels = new Map(program.instructions.flatMap((one, i) => (one.op === 'label' ? [[one.label.id, i]] : [])))
  const returns: number[] = []
  const output: Uint8Array[] = []

  const value = (operand: Operand): bigint => {
    const known = resolve(operand, layout)
    return typeof known === 'object' ? slots[known.index]! : BigInt.asUintN(64, BigInt(known))
  }
  const set = (slot: Slot, result: bigint) => {
    slots[slot.index] = BigInt.asUintN(64, result)
  }
  const bytes = (address: bigint, size: number, write: boolean): Uint8Array => {
    const start = BigInt.asUintN(64, address)
    const area = areas.find(
      (one) =>
        start >= one.start && start + BigInt(size) <= one.start + BigInt(one.bytes.length) && (one.writable || !write),
    )
    if (area === undefined) throw new Error(`bad access of ${size} bytes at 0x${start.toString(16)}`)
    const from = Number(start - area.start)
    return area.bytes.subarray(from, from + size)
  }

  for (let at = 0, steps = 0; steps < stepLimit; at++, steps++) {
    const one = program.instructions[at]
    if (one === undefined) throw new Error('the program runs past its end')
    switch (one.op) {
      case 'entry':
        set(one.to, stackPointer)
        break
      case 'move':
        set(one.to, value(one.from))
        break
      case 'load': {
        const read = bytes(value(one.address) + BigInt(one.offset), one.width / 8, false)
        set(
          one.to,
          read.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
        )
        break
      }
      case 'store': {
        const target = bytes(value(one.address) + BigInt(one.offset), one.width / 8, true)
        const stored = value(one.from)
        for (let i = 0; i < target.length; i++) target[i] = Number((stored >> BigInt(8 * i)) & 0xffn)
        break
      }
      case 'compute':
        set(one.to, arithmetic[one.operator](value(one.left), value(one.right)))
        break
      case 'syscall': {
        const args = one.args.map(value)
        if (one.name === 'exit_group') {
          return { status: Number(args[0]! & 0xffn), signal: null, output: Buffer.concat(output).toString('hex') }
        }
        if (one.name === 'write') {
          output.push(bytes(args[1]!, Number(args[2]), false).slice())
          set(one.to, args[2]!)
        } else if (one.name === 'getpid') {
          set(one.to, 4321n)
        } else {
          set(one.to, -ENOSYS)
        }
        if (one.failing !== undefined && value(one.to) >= BigInt.asUintN(64, BigInt(firstError)))
          at = labels.get(one.failing.id)!
        break
      }
      case 'branch':
        if (comparison[one.comparison](value(one.left), value(one.right))) at = labels.get(one.target.id)!
        break
      case 'jump':
        at = labels.get(one.target.id)!
        break
      case 'call':
        returns.push(at)
        at = labels.get(one.target.id)!
        break
      case 'return':
        at = returns.pop()!
        break
      case 'label':
      case 'mark':
        break
    }
  }
  throw new Error('the program does not end')
}
