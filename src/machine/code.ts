/** What the two encoders share: where data lies, and a buffer of code whose branches find their size and target. */
import type { Address, Label, Operand, Slot } from './instruction.js'

/** Absolute addresses, all below 2^31. */
export interface Layout {
  readonly slots: number
  readonly memory: number
  readonly constants: number
  readonly code: number
}

/** An operand with its addresses known: a number below 2^64, or a slot. */
export const resolve = (operand: Operand, layout: Layout): bigint | Slot => {
  if (typeof operand === 'object') return operand.kind === 'slot' ? operand : BigInt(locate(operand, layout))
  return BigInt.asUintN(64, BigInt(operand))
}

const locate = (address: Address, layout: Layout): number => layout[address.area] + address.offset

/** Where system calls that must succeed end: the call itself, and a jump if it failed. */
export interface Check {
  readonly label: Label
  readonly to: Slot
  readonly failing: Label
}

/** One for each result slot and target. */
export class Checks {
  readonly #known: Check[] = []

  of(to: Slot, failing: Label): Label {
    let known = this.#known.find((one) => one.to.index === to.index && one.failing.id === failing.id)
    if (known === undefined) {
      // A program's own labels count from 0.
      known = { label: { kind: 'label', id: -1 - this.#known.length }, to, failing }
      this.#known.push(known)
    }
    return known.label
  }

  emit(write: (check: Check) => void): void {
    this.#known.forEach(write)
  }
}

/** One way to write a branch; `distance` is the target's address minus that of the branch's first byte. */
export interface Form {
  readonly size: number
  readonly reaches: (distance: number) => boolean
  readonly bytes: (distance: number) => readonly number[]
}

interface Jump {
  /** Bytes of fixed size before this branch. */
  readonly offset: number
  /** An absolute address, or a label. */
  readonly target: Label | number
  /** Shortest first. */
  readonly forms: readonly Form[]
  form: number
  /** Bytes that all branches before this one take, as of the last {@link Code.finish} round. */
  before: number
}

/** Bytes, labels and branches. Each branch starts in its shortest form and grows until it reaches its target. */
export class Code {
  #fixed = new Uint8Array(16384)
  #size = 0
  readonly #jumps: Jump[] = []
  readonly #labels = new Map<number, { offset: number; jumps: number }>()

  constructor(
    /** The address of the first byte, for what is relative to that of data. */
    readonly start = 0,
  ) {}

  bytes(...bytes: readonly number[]): void {
    if (this.#size + bytes.length > this.#fixed.length) this.#grow()
    for (const byte of bytes) this.#fixed[this.#size++] = byte
  }

  /** `size` little-endian bytes of `value`, modulo 2^(8 size). */
  integer(size: 1 | 4 | 8, value: bigint): void {
    for (let i = 0; i < size; i++) this.bytes(Number((value >> BigInt(8 * i)) & 0xffn))
  }

  #grow(): void {
    const grown = new Uint8Array(2 * this.#fixed.length)
    grown.set(this.#fixed)
    this.#fixed = grown
  }

  label(label: Label): void {
    if (this.#labels.has(label.id)) throw new Error(`label ${label.id} is placed twice`)
    this.#labels.set(label.id, { offset: this.#size, jumps: this.#jumps.length })
  }

  branch(target: Label | number, ...forms: readonly Form[]): void {
    this.#jumps.push({ offset: this.#size, target, forms, form: 0, before: 0 })
  }

  finish(): Uint8Array {
    let size = 0
    for (let grown = true; grown; ) {
      grown = false
      size = 0
      for (const jump of this.#jumps) {
        jump.before = size
        size += jump.forms[jump.form]!.size
      }
      for (const jump of this.#jumps) {
        const distance = this.#distance(jump, size)
        while (!jump.forms[jump.form]!.reaches(distance)) {
          if (++jump.form === jump.forms.length) throw new Error("a target is out of a branch's reach")
          grown = true
        }
      }
    }
    const code = new Uint8Array(this.#size + size)
    let from = 0
    for (const jump of this.#jumps) {
      code.set(this.#fixed.subarray(from, jump.offset), from + jump.before)
      code.set(jump.forms[jump.form]!.bytes(this.#distance(jump, size)), jump.offset + jump.before)
      from = jump.offset
    }
    code.set(this.#fixed.subarray(from, this.#size), from + size)
    return code
  }

  #distance(jump: Jump, size: number): number {
    if (typeof jump.target === 'number') return jump.target - (this.start + jump.offset + jump.before)
    const label = this.#labels.get(jump.target.id)
    if (label === undefined) throw new Error(`label ${jump.target.id} is never placed`)
    const before = this.#jumps[label.jumps]?.before ?? size
    return label.offset + before - (jump.offset + jump.before)
  }
}

/** `value` as 4 little-endian bytes. */
export const word = (value: number): number[] =>
  [value, value >> 8, value >> 16, value >>> 24].map((byte) => byte & 0xff)
