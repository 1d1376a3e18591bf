/**
 * The instruction set that a vial is written in, before it becomes x86-64 or arm64 bytes.
 *
 * Values are 64-bit and unsigned. All state lives in slots (8-byte variables in the writable segment) and in
 * reserved memory; no instruction keeps anything in a register, so an encoder needs no allocator and a reader no
 * dataflow. A vial executes a few hundred of these between system calls that cost a thousand times more.
 */
import type { SyscallName } from '../kernel/syscalls.js'

/** An 8-byte variable. `index` counts from 0 in the program's slot area. */
export interface Slot {
  readonly kind: 'slot'
  readonly index: number
}

/** The address of a byte of constant (`constants`) or zero-initialised writable (`memory`) data. */
export interface Address {
  readonly kind: 'address'
  readonly area: 'constants' | 'memory'
  readonly offset: number
}

/** A place in the code. */
export interface Label {
  readonly kind: 'label'
  readonly id: number
}

/** An immediate (taken modulo 2^64), a slot's value, or the address of data. */
export type Operand = number | bigint | Slot | Address

export type Width = 8 | 32 | 64

/** Results of system calls from here on, as unsigned numbers, are -errno. */
export const firstError = -4095

/** `shl` and `shr` take their count modulo 64; `shr` is logical; everything wraps at 2^64. */
export type Arithmetic = 'add' | 'sub' | 'mul' | 'and' | 'or' | 'xor' | 'shl' | 'shr'

/** Comparisons are unsigned. */
export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'

export type Instruction =
  /**
   * First instruction of a program: stores the initial stack pointer (which points at argc) in `to`. From then on the
   * stack lies right below the slots.
   */
  | { readonly op: 'entry'; readonly to: Slot }
  | { readonly op: 'move'; readonly to: Slot; readonly from: Operand }
  /** `to` = zero-extended value of `width` bits at `address` + `offset`. */
  | {
      readonly op: 'load'
      readonly to: Slot
      readonly width: Width
      readonly address: Operand
      readonly offset: number
    }
  /** Writes the low `width` bits of `from` to `address` + `offset`. */
  | {
      readonly op: 'store'
      readonly width: Width
      readonly address: Operand
      readonly offset: number
      readonly from: Operand
    }
  | {
      readonly op: 'compute'
      readonly operator: Arithmetic
      readonly to: Slot
      readonly left: Operand
      readonly right: Operand
    }
  /**
   * Up to six arguments; `to` gets the raw result (an error is -errno, modulo 2^64). With `failing`, an error jumps there:
   * most system calls of a vial must succeed, and share the code that looks. Where it is `unused`, `to` need not get it.
   */
  | {
      readonly op: 'syscall'
      readonly name: SyscallName
      readonly args: readonly Operand[]
      readonly to: Slot
      readonly failing?: Label
      readonly unused?: true
    }
  | {
      readonly op: 'branch'
      readonly comparison: Comparison
      readonly left: Operand
      readonly right: Operand
      readonly target: Label
    }
  | { readonly op: 'jump'; readonly target: Label }
  /** Calls nest (each keeps its return address on the stack) and never recurse. Nothing but a call leads to its target. */
  | { readonly op: 'call'; readonly target: Label }
  | { readonly op: 'return' }
  | { readonly op: 'label'; readonly label: Label }
  /**
   * Emits nothing. Marks that what follows, or the routine at `routine`, does step `step` of a plan; `explain` reads it.
   */
  | { readonly op: 'mark'; readonly step: number; readonly routine?: Label }

/** The word at offset `at` of the constants is the address `to`. */
export interface Pointer {
  readonly at: number
  readonly to: Address
}

/** A whole program: what the builder makes and the encoders and the interpreter take. */
export interface Program {
  readonly instructions: readonly Instruction[]
  /** Read-only data; `Address.offset` with area `constants` points into it. */
  readonly constants: Uint8Array
  /** 32-bit words of the constants that hold an address. */
  readonly pointers?: readonly Pointer[]
  /** Number of slots. */
  readonly slots: number
  /** Bytes of zeroed writable memory beyond the slots; area `memory`. 16-byte aligned at offset 0. */
  readonly memory: number
}

/** Everything an instruction reads or writes, one by one. */
export const eachOperand = (instruction: Instruction, visit: (operand: Operand) => void): void => {
  switch (instruction.op) {
    case 'entry':
      visit(instruction.to)
      break
    case 'move':
      visit(instruction.to)
      visit(instruction.from)
      break
    case 'load':
      visit(instruction.to)
      visit(instruction.address)
      break
    case 'store':
      visit(instruction.address)
      visit(instruction.from)
      break
    case 'compute':
      visit(instruction.to)
      visit(instruction.left)
      visit(instruction.right)
      break
    case 'syscall':
      visit(instruction.to)
      for (const argument of instruction.args) visit(argument)
      break
    case 'branch':
      visit(instruction.left)
      visit(instruction.right)
      break
  }
}
