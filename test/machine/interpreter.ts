/** What a {@link Program} means, without machine code: the reference that the encoders are compared with. */
import type { SyscallName } from '../../src/kernel/syscalls.js'
import { link } from '../../src/machine/assemble.js'
import { type Layout, resolve } from '../../src/machine/code.js'
import {
  type Arithmetic,
  type Comparison,
  firstError,
  type Label,
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
const layout: Layout = { constants: 0x10000, code: 0x20000, slots: 0x40000000, memory: 0x50000000 }

/** What a system call does: its raw result, or the end of the process. */
export type Answer = bigint | 'ended'

/** A system call, as the program makes it. */
export interface Made {
  readonly name: SyscallName
  /** Modulo 2^64. */
  readonly args: readonly bigint[]
}

interface Area {
  readonly start: bigint
  readonly bytes: Uint8Array
  readonly writable: boolean
}

/** One process that executes a program. */
export class Machine {
  readonly #instructions: Program['instructions']
  readonly #labels: ReadonlyMap<number, number>
  readonly #slots: BigUint64Array
  readonly #areas: Area[]
  readonly #returns: number[]
  #at: number

  private constructor(
    instructions: Program['instructions'],
    labels: ReadonlyMap<number, number>,
    state: { slots: BigUint64Array; areas: Area[]; returns: number[]; at: number },
  ) {
    this.#instructions = instructions
    this.#labels = labels
    this.#slots = state.slots
    this.#areas = state.areas
    this.#returns = state.returns
    this.#at = state.at
  }

  /** `stack`: what lies at the initial stack pointer, whose address is {@link Machine.stack}. */
  static of(program: Program, stack: Uint8Array): Machine {
    const labels = program.instructions.flatMap((one, i): [number, number][] =>
      one.op === 'label' ? [[one.label.id, i]] : [],
    )
    return new Machine(program.instructions, new Map(labels), {
      slots: new BigUint64Array(program.slots),
      areas: [
        { start: BigInt(layout.constants), bytes: link(program, layout), writable: false },
        { start: BigInt(layout.memory), bytes: new Uint8Array(program.memory), writable: true },
        { start: stackPointer, bytes: stack, writable: true },
      ],
      returns: [],
      at: 0,
    })
  }

  static readonly stack = stackPointer

  /** The child of a clone(2) that is being made, in which it gives 0. `shared`: it has the same memory, CLONE_VM. */
  fork(shared: boolean): Machine {
    const child = new Machine(this.#instructions, this.#labels, {
      slots: shared ? this.#slots : this.#slots.slice(),
      areas: shared
        ? this.#areas
        : this.#areas.map((one) => (one.writable ? { ...one, bytes: one.bytes.slice() } : one)),
      returns: [...this.#returns],
      at: this.#at,
    })
    child.#finish(0n)
    return child
  }

  /** More memory, as mmap(2) gives it. */
  map(size: number): bigint {
    const start = 0x7f00_0000_0000n + 0x1_0000_0000n * BigInt(this.#areas.length)
    this.#areas.push({ start, bytes: new Uint8Array(size), writable: true })
    return start
  }

  /** The bytes of an address, to read or to write. */
  bytes(address: bigint, size: number, write: boolean): Uint8Array {
    const bytes = this.find(address, size, write)
    if (bytes === undefined) throw new Error(`bad access of ${size} bytes at 0x${address.toString(16)}`)
    return bytes
  }

  /** The same; undefined where the program has no such memory. */
  find(address: bigint, size: number, write: boolean): Uint8Array | undefined {
    const start = BigInt.asUintN(64, address)
    for (const { start: from, bytes, writable } of this.#areas)
      if (start >= from && start + BigInt(size) <= from + BigInt(bytes.length) && (writable || !write))
        return bytes.subarray(Number(start - from), Number(start - from) + size)
    return undefined
  }

  /** Up to the NUL. */
  text(address: bigint): string {
    let end = address
    while (this.bytes(end, 1, false)[0] !== 0) end++
    return Buffer.from(this.bytes(address, Number(end - address), false)).toString('latin1')
  }

  /** Runs until a system call ends it; `most` instructions are taken as a loop for ever. */
  run(kernel: (made: Made, machine: Machine) => Answer, most = 1_000_000): void {
    for (let steps = 0; steps < most; steps++) {
      const one = this.#instructions[this.#at]
      if (one === undefined) throw new Error('the program runs past its end')
      switch (one.op) {
        case 'entry':
          this.#set(one.to, stackPointer)
          break
        case 'move':
          this.#set(one.to, this.#value(one.from))
          break
        case 'load': {
          const read = this.bytes(this.#value(one.address) + BigInt(one.offset), one.width / 8, false)
          let sum = 0n
          for (let i = read.length - 1; i >= 0; i--) sum = (sum << 8n) | BigInt(read[i]!)
          this.#set(one.to, sum)
          break
        }
        case 'store': {
          const target = this.bytes(this.#value(one.address) + BigInt(one.offset), one.width / 8, true)
          let stored = this.#value(one.from)
          for (let i = 0; i < target.length; i++, stored >>= 8n) target[i] = Number(stored & 0xffn)
          break
        }
        case 'compute':
          this.#set(one.to, arithmetic[one.operator](this.#value(one.left), this.#value(one.right)))
          break
        case 'syscall': {
          const answer = kernel({ name: one.name, args: one.args.map((arg) => this.#value(arg)) }, this)
          if (answer === 'ended') return
          this.#finish(answer)
          continue
        }
        case 'branch':
          if (comparison[one.comparison](this.#value(one.left), this.#value(one.right))) this.#jump(one.target)
          break
        case 'jump':
          this.#jump(one.target)
          break
        case 'call':
          this.#returns.push(this.#at)
          this.#jump(one.target)
          break
        case 'return':
          this.#at = this.#returns.pop()!
          break
        case 'label':
        case 'mark':
          break
      }
      this.#at++
    }
    throw new Error('the program does not end')
  }

  /** The system call that the program is at has this result. */
  #finish(answer: bigint): void {
    const one = this.#instructions[this.#at]
    if (one?.op !== 'syscall') throw new Error('not at a system call')
    this.#set(one.to, answer)
    if (one.failing !== undefined && BigInt.asUintN(64, answer) >= BigInt.asUintN(64, BigInt(firstError)))
      this.#jump(one.failing)
    this.#at++
  }

  #jump(target: Label): void {
    this.#at = this.#labels.get(target.id)!
  }

  #value(operand: Operand): bigint {
    const known = resolve(operand, layout)
    return typeof known === 'object' ? this.#slots[known.index]! : BigInt.asUintN(64, BigInt(known))
  }

  #set(slot: Slot, result: bigint): void {
    this.#slots[slot.index] = BigInt.asUintN(64, result)
  }
}

/** Runs the program until it calls exit_group. Knows write, getpid and exit_group; the stack holds argc and no more. */
export const interpret = (program: Program, argc = 1) => {
  const stack = new Uint8Array(8)
  stack[0] = argc
  const output: Uint8Array[] = []
  let status = 0
  Machine.of(program, stack).run(({ name, args }, machine) => {
    if (name === 'exit_group') {
      status = Number(args[0]! & 0xffn)
      return 'ended'
    }
    if (name === 'getpid') return 4321n
    if (name !== 'write') return -ENOSYS
    output.push(machine.bytes(args[1]!, Number(args[2]), false).slice())
    return args[2]!
  })
  return { status, signal: null, output: Buffer.concat(output).toString('hex') }
}
