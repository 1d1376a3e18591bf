/** What the two encoders share: where data lies, and a buffer of code whose branches find their size and target. */
import type { Address, Label, Operand, Slot } from './instruction.js'

/** Absolute addresses, all below 2^31. */
export interface Layout {
  readonly slots: number
  readonly memory: number
  readonly constants: number
  readonly code: number
}

/** 64 bits, as a signed number: a number where that is exact, else a bigint, which is slow and rare. */
export type Value = number | bigint

/** An operand with its addresses known. */
export const resolve = (operand: Operand, layout: Layout): Value | Slot => {
  if (typeof operand === 'number' && Number.isSafeInteger(operand)) return operand
  if (typeof operand !== 'object') return normalized(BigInt(operand))
  return operand.kind === 'slot' ? operand : locate(operand, layout)
}

const locate = (address: Address, layout: Layout): number => layout[address.area] + address.offset

/** Modulo 2^64. */
const normalized = (integer: bigint): Value => {
  const signed = BigInt.asIntN(64, integer)
  const number = Number(signed)
  return Number.isSafeInteger(number) ? number : signed
}

export const sum = (value: Value, offset: number): Value => {
  const added = typeof value === 'number' ? value + offset : Number.NaN
  return Number.isSafeInteger(added) ? added : normalized(BigInt(value) + BigInt(offset))
}

/** Whether it is the same when its low bits are sign-extended. */
export const fits = (bits: 8 | 32, value: Value): boolean =>
  bits === 8 ? value >= -0x80 && value < 0x80 : value >= -0x80000000 && value < 0x80000000

/** Whether it is the same when its low 32 bits are zero-extended. */
export const fitsUnsigned = (value: Value): boolean => value >= 0 && value < 2 ** 32

export const lowHalf = (value: Value): number =>
  typeof value === 'number' ? value >>> 0 : Number(BigInt.asUintN(32, value))

export const highHalf = (value: Value): number =>
  typeof value === 'number' ? Math.floor(value / 2 ** 32) >>> 0 : Number(BigInt.asUintN(32, value >> 32n))

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
  readonly write: (code: Uint8Array, at: number, distance: number) => void
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

  byte(value: number): void {
    if (this.#size === this.#fixed.length) this.#grow()
    this.#fixed[this.#size++] = value
  }

  /** The low 32 bits, little-endian. */
  word(value: number): void {
    if (this.#size + 4 > this.#fixed.length) this.#grow()
    writeWord(this.#fixed, this.#size, value)
    this.#size += 4
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

  branch(target: Label | number, forms: readonly Form[]): void {
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
      for (; from < jump.offset; from++) code[from + jump.before] = this.#fixed[from]!
      jump.forms[jump.form]!.write(code, jump.offset + jump.before, this.#distance(jump, size))
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

/** The low 32 bits of `value`, little-endian. */
export const writeWord = (code: Uint8Array, at: number, value: number): void => {
  code[at] = value
  code[at + 1] = value >> 8
  code[at + 2] = value >> 16
  code[at + 3] = value >> 24
}
