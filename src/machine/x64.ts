/**
 * x86-64 machine code. "SDM" is Intel's Software Developer's Manual, volume 2: 2.1 ModR/M, 2.2.1 REX, and the pages of
 * the instructions named here.
 *
 * rbx holds the address of slot 16, so that the first 32 slots are within a signed byte of it. rax and rcx are scratch;
 * what rax is known to hold is not loaded again.
 */
import { syscallNumber } from '../kernel/syscalls.js'
import {
  type Check,
  Checks,
  Code,
  type Form,
  fits,
  fitsUnsigned,
  highHalf,
  type Layout,
  lowHalf,
  resolve,
  sum,
  type Value,
  writeWord,
} from './code.js'
import {
  type Arithmetic,
  type Comparison,
  firstError,
  type Instruction,
  type Operand,
  type Program,
  type Slot,
  type Width,
} from './instruction.js'

const [rax, rcx, rdx, rbx, rsp, rsi, rdi, r8, r9, r10] = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10] as const
const base = rbx
const bias = 128

/** System V ABI for AMD64, A.2.1: the kernel's calling convention. The kernel clobbers rcx and r11 only. */
const parameters = [rdi, rsi, rdx, r10, r8, r9]

/** The number in ModR/M.reg of an immediate group 1 instruction; times 8 it is the opcode's row. SDM, appendix A.4. */
const group1 = { add: 0, or: 1, and: 4, sub: 5, xor: 6, cmp: 7 } as const
/** The same for group 2, the shifts. */
const group2 = { shl: 4, shr: 5 } as const

/** tttn, the low half of a Jcc opcode, of the unsigned conditions. SDM, appendix B.1.4.7. */
const condition: Record<Comparison, number> = { lt: 2, ge: 3, eq: 4, ne: 5, le: 6, gt: 7 }

/** A register, or memory at a register plus a displacement. */
type Place = number | { readonly base: number; readonly offset: number }

export const encode = (program: Program, layout: Layout): Uint8Array => {
  const encoder = new X64(layout)
  for (const instruction of program.instructions) encoder.instruction(instruction)
  encoder.checks.emit((check) => encoder.check(check))
  return encoder.code.finish()
}

class X64 {
  readonly code = new Code()
  readonly checks = new Checks()
  readonly #layout: Layout
  /** The slot whose value rax is known to hold, by its index; else -1. */
  #held = -1

  constructor(layout: Layout) {
    this.#layout = layout
  }

  instruction(one: Instruction): void {
    switch (one.op) {
      case 'entry':
        this.#load(base, this.#layout.slots + bias)
        this.#modrm(64, 0x89, rsp, slotPlace(one.to))
        // LEA
        this.#modrm(64, 0x8d, rsp, { base, offset: -bias })
        this.#held = -1
        break
      case 'move':
        this.#move(one.to, this.#value(one.from))
        break
      case 'load':
        this.#modrm(...loads[one.width], rax, this.#pointer(one.address, one.offset))
        this.#save(one.to)
        break
      case 'store':
        this.#store(one.width, this.#pointer(one.address, one.offset), this.#value(one.from))
        break
      case 'compute':
        this.#compute(one.to, one.operator, this.#value(one.left), this.#value(one.right))
        break
      case 'syscall':
        for (let i = 0; i < one.args.length; i++) this.#load(parameters[i]!, this.#value(one.args[i]!))
        this.#load(rax, syscallNumber('x64', one.name))
        if (one.unused) this.#opcode(0x0f05)
        else if (one.failing === undefined) this.#syscall(one.to)
        else this.code.branch(this.checks.of(one.to, one.failing), call)
        this.#held = one.to.index
        break
      case 'branch':
        this.#compare(this.#value(one.left), this.#value(one.right))
        this.code.branch(one.target, jcc[one.comparison])
        break
      case 'jump':
        this.code.branch(one.target, jmp)
        break
      case 'call':
        this.code.branch(one.target, call)
        this.#held = -1
        break
      case 'return':
        this.code.byte(0xc3)
        break
      case 'label':
        this.code.label(one.label)
        this.#held = -1
        break
      case 'mark':
        break
    }
  }

  #syscall(to: Slot): void {
    this.#opcode(0x0f05)
    this.#save(to)
  }

  check({ label, to, failing }: Check): void {
    this.code.label(label)
    this.#syscall(to)
    this.#group1(group1.cmp, rax, firstError)
    // JAE over RET; then our own return address is of no use any more: POP rcx.
    this.#opcode(0x7301)
    this.#opcode(0xc359)
    this.code.branch(failing, jmp)
  }

  #value(operand: Operand): Value | Slot {
    return resolve(operand, this.#layout)
  }

  /** One byte, or two with the first of them higher. */
  #opcode(bytes: number): void {
    if (bytes > 0xff) this.code.byte(bytes >> 8)
    this.code.byte(bytes)
  }

  /** REX, opcode and ModR/M with its displacement. SDM 2.1.5, tables 2-2 and 2-3; the bases here need no SIB. */
  #modrm(width: 32 | 64, opcode: number, reg: number, place: Place): void {
    const rm = typeof place === 'number' ? place : place.base
    const rex = (width === 64 ? 8 : 0) | ((reg >> 3) << 2) | (rm >> 3)
    if (rex !== 0) this.code.byte(0x40 | rex)
    this.#opcode(opcode)
    const low = ((reg & 7) << 3) | (rm & 7)
    if (typeof place === 'number') {
      this.code.byte(0xc0 | low)
    } else if (place.offset === 0) {
      this.code.byte(low)
    } else if (fits(8, place.offset)) {
      this.code.byte(0x40 | low)
      this.code.byte(place.offset)
    } else {
      if (!fits(32, place.offset)) throw new Error(`offset ${place.offset} is out of range`)
      this.code.byte(0x80 | low)
      this.code.word(place.offset)
    }
  }

  /** An immediate of 1 or 4 bytes: the low ones of the value. */
  #immediate(size: 1 | 4, value: Value): void {
    if (size === 1) this.code.byte(lowHalf(value))
    else this.code.word(lowHalf(value))
  }

  /** PUSH imm8, sign-extended to 64 bits: with POP the shortest way to a small constant. */
  #push(value: Value): void {
    this.code.byte(0x6a)
    this.#immediate(1, value)
  }

  /** Register = value, in the fewest bytes: XOR, PUSH + POP, MOV r32, MOV r/m64 imm32, MOV r64 imm64. */
  #load(register: number, value: Value | Slot): void {
    const extended = register >> 3
    if (typeof value === 'object' && value.index === this.#held) {
      // MOV r/m64, r64
      if (register !== rax) this.#modrm(64, 0x89, rax, register)
      return
    }
    if (register === rax) this.#held = typeof value === 'object' ? value.index : -1
    if (typeof value === 'object') {
      this.#modrm(64, 0x8b, register, slotPlace(value))
    } else if (value === 0) {
      this.#modrm(32, 0x31, register, register)
    } else if (fits(8, value)) {
      this.#push(value)
      if (extended) this.code.byte(0x41)
      this.code.byte(0x58 | (register & 7))
    } else if (fitsUnsigned(value)) {
      if (extended) this.code.byte(0x41)
      this.code.byte(0xb8 | (register & 7))
      this.code.word(lowHalf(value))
    } else if (fits(32, value)) {
      this.#modrm(64, 0xc7, 0, register)
      this.code.word(lowHalf(value))
    } else {
      this.code.byte(0x48 | extended)
      this.code.byte(0xb8 | (register & 7))
      this.code.word(lowHalf(value))
      this.code.word(highHalf(value))
    }
  }

  #save(to: Slot): void {
    this.#modrm(64, 0x89, rax, slotPlace(to))
    this.#held = to.index
  }

  /** The slot is written otherwise. */
  #written(to: Slot): void {
    if (this.#held === to.index) this.#held = -1
  }

  #move(to: Slot, value: Value | Slot): void {
    this.#written(to)
    if (typeof value !== 'object' && fits(8, value)) {
      this.#push(value)
      this.#modrm(32, 0x8f, 0, slotPlace(to))
    } else if (typeof value !== 'object' && fits(32, value)) {
      this.#modrm(64, 0xc7, 0, slotPlace(to))
      this.code.word(lowHalf(value))
    } else {
      this.#load(rax, value)
      this.#save(to)
    }
  }

  /** Leaves the address in rax; a constant one is relative to rbx instead, which is shorter. */
  #pointer(address: Operand, offset: number): Place {
    const value = this.#value(address)
    if (typeof value === 'object') {
      this.#load(rax, value)
      return { base: rax, offset }
    }
    const place = sum(value, offset)
    const distance = sum(place, -(this.#layout.slots + bias))
    if (fits(32, distance)) return { base, offset: Number(distance) }
    this.#load(rax, place)
    return { base: rax, offset: 0 }
  }

  #store(width: Width, place: Place, value: Value | Slot): void {
    const size = width === 64 ? 64 : 32
    if (typeof value !== 'object' && (width !== 64 || fits(32, value))) {
      this.#modrm(size, width === 8 ? 0xc6 : 0xc7, 0, place)
      this.#immediate(width === 8 ? 1 : 4, value)
    } else {
      const held = typeof value === 'object' && value.index === this.#held
      if (!held) this.#load(rcx, value)
      this.#modrm(size, width === 8 ? 0x88 : 0x89, held ? rax : rcx, place)
    }
  }

  #compute(to: Slot, operator: Arithmetic, left: Value | Slot, right: Value | Slot): void {
    const inPlace = typeof left === 'object' && left.index === to.index && operator !== 'mul'
    const place = inPlace ? slotPlace(to) : rax
    if (inPlace) this.#written(to)
    else this.#load(rax, left)
    if (operator === 'mul') this.#multiply(right)
    else if (operator === 'shl' || operator === 'shr') this.#shift(group2[operator], place, right)
    else this.#group1(group1[operator], place, right)
    if (!inPlace) this.#save(to)
  }

  #compare(left: Value | Slot, right: Value | Slot): void {
    const held = typeof left === 'object' && left.index === this.#held
    const direct = typeof left === 'object' && !held && typeof right !== 'object' && fits(32, right)
    const place = direct ? slotPlace(left) : rax
    if (!direct) this.#load(rax, left)
    // TEST leaves the flags that matter here as CMP with 0 does.
    if (!direct && right === 0) this.#modrm(64, 0x85, rax, rax)
    else this.#group1(group1.cmp, place, right)
  }

  /** ADD, OR, AND, SUB, XOR, CMP: r/m64 with imm8, imm32 or a register; rax with imm32 or r/m64. */
  #group1(row: number, place: Place, right: Value | Slot): void {
    if (typeof right !== 'object' && fits(32, right)) {
      const size = fits(8, right) ? 1 : 4
      if (size === 4 && place === rax) this.#opcode(0x4800 | (row * 8 + 5))
      else this.#modrm(64, size === 1 ? 0x83 : 0x81, row, place)
      this.#immediate(size, right)
    } else if (typeof right === 'object' && place === rax) {
      this.#modrm(64, row * 8 + 3, rax, slotPlace(right))
    } else {
      this.#load(rcx, right)
      this.#modrm(64, row * 8 + 1, rcx, place)
    }
  }

  /** SHL, SHR: the processor masks the count to 6 bits. */
  #shift(row: number, place: Place, right: Value | Slot): void {
    if (typeof right !== 'object') {
      const count = lowHalf(right) & 63
      this.#modrm(64, count === 1 ? 0xd1 : 0xc1, row, place)
      if (count !== 1) this.code.byte(count)
    } else {
      this.#load(rcx, right)
      this.#modrm(64, 0xd3, row, place)
    }
  }

  /** IMUL: the low 64 bits are the same for unsigned numbers. */
  #multiply(right: Value | Slot): void {
    if (typeof right === 'object') {
      this.#modrm(64, 0x0faf, rax, slotPlace(right))
    } else if (fits(32, right)) {
      const size = fits(8, right) ? 1 : 4
      this.#modrm(64, size === 1 ? 0x6b : 0x69, rax, rax)
      this.#immediate(size, right)
    } else {
      this.#load(rcx, right)
      this.#modrm(64, 0x0faf, rax, rcx)
    }
  }
}

const slotPlace = (slot: Slot): Place => ({ base, offset: slot.index * 8 - bias })

/** MOVZX r32, r/m8; MOV r32, r/m32 (which clears the upper half: SDM volume 1, 3.4.1.1); MOV r64, r/m64. */
const loads: Record<Width, [32 | 64, number]> = { 8: [32, 0x0fb6], 32: [32, 0x8b], 64: [64, 0x8b] }

/** A branch of one byte, or of two with 0F before it, whose displacement counts from the end of the instruction. SDM: JMP, Jcc, CALL. */
const relative = (opcode: number, width: 8 | 32): Form => {
  const prefix = opcode > 0xff ? 1 : 0
  const size = prefix + 1 + width / 8
  return {
    size,
    reaches: (distance) => fits(width, distance - size),
    write: (code, at, distance) => {
      if (prefix === 1) code[at] = opcode >> 8
      code[at + prefix] = opcode
      if (width === 8) code[at + prefix + 1] = distance - size
      else writeWord(code, at + prefix + 1, distance - size)
    },
  }
}

const jmp = [relative(0xeb, 8), relative(0xe9, 32)]
const call = [relative(0xe8, 32)]
const jcc = Object.fromEntries(
  Object.entries(condition).map(([name, code]) => [name, [relative(0x70 | code, 8), relative(0x0f80 | code, 32)]]),
) as Record<Comparison, Form[]>
