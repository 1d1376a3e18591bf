/**
 * AArch64 machine code. "C6" is that chapter of the Arm Architecture Reference Manual (DDI 0487), the A64 base
 * instructions by name; C4.1 has the same bits as tables.
 *
 * x19 holds the address of slot 0: a load or store reaches 4096 slots from it. x9, x10 and x11 are scratch; what x9 or x0
 * is known to hold is not loaded again, nor is a constant that an argument is known to hold. A routine that calls others keeps its return address on the stack.
 */
import { syscallNumber } from '../kernel/syscalls.js'
import {
  type Check,
  Checks,
  Code,
  type Form,
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
  type Label,
  type Operand,
  type Program,
  type Slot,
  type Width,
} from './instruction.js'

const [x0, x8, x9, x10, x11, x19] = [0, 8, 9, 10, 11, 19] as const
/** The same number is the stack pointer in some instructions and in others a register that is zero. C1.2.5. */
const [sp, xzr] = [31, 31] as const
const base = x19

/** Every opcode with its operand fields zero: 64-bit forms, except where the name ends in W. */
const opcode = {
  // C6: MOVZ, MOVN, MOVK
  movz: 0xd2800000,
  movn: 0x92800000,
  movnW: 0x12800000,
  movk: 0xf2800000,
  movkW: 0x72800000,
  // C6: ADD, SUB, SUBS (= CMP), ADDS (= CMN) immediate; UBFM (= LSL, LSR immediate)
  addImmediate: 0x91000000,
  subImmediate: 0xd1000000,
  cmpImmediate: 0xf1000000,
  cmnImmediate: 0xb1000000,
  ubfm: 0xd3400000,
  // C6: the register forms; MADD with xzr (= MUL), LSLV, LSRV
  cmp: 0xeb000000,
  // C6: LDRB/LDR/STRB/STR. `size` goes to bits 30-31
  unscaled: 0x38000000,
  scaled: 0x39000000,
  indexed: 0x38206800,
  loadBit: 0x00400000,
  // C6: B, BL, B.cond, CBZ, CBNZ, RET, SVC
  b: 0x14000000,
  bl: 0x94000000,
  bCond: 0x54000000,
  cbz: 0xb4000000,
  // C6: ADR
  adr: 0x10000000,
  ret: 0xd65f03c0,
  svc: 0xd4000001,
  // str x30, [sp, #-16]! and ldr x30, [sp], #16
  pushLink: 0xf81f0ffe,
  popLink: 0xf84107fe,
}

const arithmetic: Record<Arithmetic, number> = {
  add: 0x8b000000,
  sub: 0xcb000000,
  mul: 0x9b007c00,
  and: 0x8a000000,
  or: 0xaa000000,
  xor: 0xca000000,
  shl: 0x9ac02000,
  shr: 0x9ac02400,
}

/** Unsigned conditions; flipping bit 0 inverts one. C1.2.4: EQ, NE, LO, HS, LS, HI. */
const condition: Record<Comparison, number> = { eq: 0, ne: 1, lt: 3, ge: 2, le: 9, gt: 8 }

const sizeField: Record<Width, number> = { 8: 0, 32: 2, 64: 3 }

interface Place {
  readonly base: number
  readonly offset: number
}

export const encode = (program: Program, layout: Layout): Uint8Array => {
  const encoder = new Arm64(layout, callers(program.instructions))
  for (const instruction of program.instructions) encoder.instruction(instruction)
  encoder.checks.emit((check) => encoder.check(check))
  return encoder.code.finish()
}

/** Each routine by its label, and whether it calls: from its label to that of the next one. */
const callers = (instructions: readonly Instruction[]): Map<number, boolean> => {
  const routines = new Map<number, boolean>()
  for (const one of instructions) if (one.op === 'call') routines.set(one.target.id, false)
  let current: number | undefined
  for (const one of instructions) {
    if (one.op === 'label' && routines.has(one.label.id)) current = one.label.id
    const calls = one.op === 'call' || (one.op === 'syscall' && one.failing !== undefined)
    if (calls && current !== undefined) routines.set(current, true)
  }
  return routines
}

class Arm64 {
  readonly code: Code
  readonly checks = new Checks()
  readonly #layout: Layout
  readonly #callers: ReadonlyMap<number, boolean>
  /** Whether the routine at work calls others. */
  #calls = false
  /** The slot whose value `#holder` is known to hold, by its index; else -1. */
  #held = -1
  #holder = x9 as number
  /** Constants that arguments of system calls are known to hold: the kernel changes none but x0. */
  readonly #constants = new Map<number, Value>()

  constructor(layout: Layout, callers: ReadonlyMap<number, boolean>) {
    this.code = new Code(layout.code)
    this.#layout = layout
    this.#callers = callers
  }

  instruction(one: Instruction): void {
    switch (one.op) {
      case 'entry':
        this.#constant(base, this.#layout.slots)
        this.#emit(opcode.addImmediate, x9, sp)
        this.#save(x9, one.to)
        this.#emit(opcode.addImmediate, sp, base)
        break
      case 'move':
        this.#save(this.#source(x9, this.#value(one.from)), one.to)
        break
      case 'load':
        this.#access('load', one.width, x9, this.#pointer(one.address, one.offset))
        this.#save(x9, one.to)
        break
      case 'store': {
        const from = this.#source(x9, this.#value(one.from))
        this.#access('store', one.width, from, this.#pointer(one.address, one.offset))
        break
      }
      case 'compute':
        this.#compute(one.operator, this.#value(one.left), this.#value(one.right))
        this.#save(x9, one.to)
        break
      case 'syscall':
        for (let i = 0; i < one.args.length; i++) this.#load(x0 + i, this.#value(one.args[i]!))
        this.#load(x8, syscallNumber('arm64', one.name))
        if (one.unused) this.#emit(opcode.svc)
        else if (one.failing === undefined) this.#syscall(one.to)
        else this.code.branch(this.checks.of(one.to, one.failing), bl)
        this.#hold(x0, one.to)
        break
      case 'branch':
        this.#branch(one.comparison, this.#value(one.left), this.#value(one.right), one.target)
        break
      case 'jump':
        this.code.branch(one.target, b)
        break
      case 'call':
        this.code.branch(one.target, bl)
        this.#forget()
        break
      case 'return':
        if (this.#calls) this.#emit(opcode.popLink)
        this.#emit(opcode.ret)
        break
      case 'label': {
        this.code.label(one.label)
        this.#forget()
        const calls = this.#callers.get(one.label.id)
        if (calls !== undefined) this.#calls = calls
        if (calls) this.#emit(opcode.pushLink)
        break
      }
      case 'mark':
        break
    }
  }

  #syscall(to: Slot): void {
    this.#emit(opcode.svc)
    this.#save(x0, to)
  }

  check({ label, to, failing }: Check): void {
    this.code.label(label)
    this.#syscall(to)
    this.#branch('ge', to, firstError, failing)
    this.#emit(opcode.ret)
  }

  #hold(register: number, slot: Slot): void {
    this.#held = slot.index
    this.#holder = register
  }

  /** What comes next may be reached from elsewhere, or after code that is not looked at. */
  #forget(): void {
    this.#held = -1
    this.#constants.clear()
  }

  /** The register is written. */
  #written(register: number): void {
    this.#constants.delete(register)
    if (this.#holder === register) this.#held = -1
  }

  #value(operand: Operand): Value | Slot {
    return resolve(operand, this.#layout)
  }

  /** Most instructions have their registers in the same bits: Rd or Rt 0-4, Rn 5-9, Rm 16-20, imm12 10-21. */
  #emit(bits: number, d = 0, n = 0, m = 0, immediate = 0): void {
    this.code.word(bits | d | (n << 5) | (m << 16) | (immediate << 10))
  }

  /** register = value. */
  #load(register: number, value: Value | Slot): void {
    if (typeof value === 'object') {
      if (value.index === this.#held && register === this.#holder) return
      this.#written(register)
      this.#access('load', 64, register, slotPlace(value))
      if (register === x9) this.#hold(x9, value)
    } else {
      if (this.#constants.get(register) === value) return
      this.#written(register)
      this.#constant(register, value)
      if (register > x0 && register <= x8) this.#constants.set(register, value)
    }
  }

  /** A register that holds the value: `register`, one that holds it already, or the zero register. */
  #source(register: number, value: Value | Slot): number {
    if (value === 0) return xzr
    if (typeof value === 'object' && value.index === this.#held) return this.#holder
    this.#load(register, value)
    return register
  }

  #save(register: number, to: Slot): void {
    this.#access('store', 64, register, slotPlace(to))
    if (register === xzr) {
      if (this.#held === to.index) this.#held = -1
    } else this.#hold(register, to)
  }

  /** The shortest of: ADD from x19; MOVZ or MOVN, 64 or 32 bits wide (which clears the rest), and MOVKs. */
  #constant(register: number, value: Value): void {
    const [low, high] = [lowHalf(value), highHalf(value)]
    const quarters = [low & 0xffff, low >>> 16, high & 0xffff, high >>> 16]
    let way = wideMoves.movz
    let pieces = piecesOf(quarters, way)
    const others = fitsUnsigned(value) ? [wideMoves.movn, wideMoves.movnW] : [wideMoves.movn]
    for (const other of others) {
      const count = piecesOf(quarters, other)
      if (count < pieces) [way, pieces] = [other, count]
    }
    const near = distance(value, this.#layout.slots)
    if (pieces > 1 && near >= 0 && near < 4096 && register !== base) {
      this.#emit(opcode.addImmediate, register, base, 0, near)
    } else if (pieces > 1 && Math.abs(distance(value, this.#layout.code)) < 2 ** 20) {
      this.code.branch(Number(value), nearby(register, wideMove(register, quarters, way)))
    } else {
      for (const word of wideMove(register, quarters, way)) this.code.word(word)
    }
  }

  /** Leaves the address in x10, if it is not near x19; a constant one takes in the offset. */
  #pointer(address: Operand, offset: number): Place {
    const value = this.#value(address)
    if (typeof value === 'object') {
      return { base: this.#source(x10, value), offset }
    }
    const place = sum(value, offset)
    const near = distance(place, this.#layout.slots)
    if (near >= 0 && near < 4096) return { base, offset: near }
    this.#constant(x10, place)
    return { base: x10, offset: 0 }
  }

  /** The offset is a multiple of the size in 12 bits, or signed in 9 bits, or in x11. */
  #access(direction: 'load' | 'store', width: Width, register: number, place: Place): void {
    const bits = ((sizeField[width] << 30) | (direction === 'load' ? opcode.loadBit : 0)) >>> 0
    const { base, offset } = place
    const scaled = offset / (width / 8)
    if (Number.isInteger(scaled) && scaled >= 0 && scaled < 4096) {
      this.#emit(bits | opcode.scaled, register, base, 0, scaled)
    } else if (offset >= -256 && offset < 256) {
      this.#emit(bits | opcode.unscaled | ((offset & 0x1ff) << 12), register, base)
    } else {
      this.#constant(x11, offset)
      this.#emit(bits | opcode.indexed, register, base, x11)
    }
  }

  /** x9 = left operator right. */
  #compute(operator: Arithmetic, left: Value | Slot, right: Value | Slot): void {
    if (typeof right !== 'object') {
      if (operator === 'add' && this.#immediate(opcode.addImmediate, opcode.subImmediate, x9, left, right)) return
      if (operator === 'sub' && this.#immediate(opcode.subImmediate, opcode.addImmediate, x9, left, right)) return
    }
    const n = this.#source(x9, left)
    if (typeof right !== 'object' && (operator === 'shl' || operator === 'shr')) {
      this.#shift(operator, n, lowHalf(right) & 63)
    } else {
      this.#emit(arithmetic[operator], x9, n, this.#source(x10, right))
    }
  }

  /** LSL #s is UBFM #(-s mod 64), #(63 - s); LSR #s is UBFM #s, #63. */
  #shift(operator: 'shl' | 'shr', n: number, count: number): void {
    if (operator === 'shl') this.#emit(opcode.ubfm, x9, n, -count & 63, 63 - count)
    else this.#emit(opcode.ubfm, x9, n, count, 63)
  }

  /** `positive` with a 12-bit immediate, or `negative` with the negated one; false if neither can hold it. */
  #immediate(positive: number, negative: number, d: number, left: Value | Slot, value: Value): boolean {
    if (typeof value === 'bigint' || Math.abs(value) >= 4096) return false
    // Register 31 would be the stack pointer here.
    const n = typeof left === 'object' ? this.#source(x9, left) : x9
    if (typeof left !== 'object') this.#load(x9, left)
    this.#emit(value < 0 ? negative : positive, d, n, 0, Math.abs(value))
    return true
  }

  #branch(comparison: Comparison, left: Value | Slot, right: Value | Slot, target: Label): void {
    if (right === 0 && (comparison === 'eq' || comparison === 'ne')) {
      const n = this.#source(x9, left)
      this.code.branch(target, conditional(opcode.cbz | (condition[comparison] << 24) | n, 1 << 24))
      return
    }
    const immediate =
      typeof right !== 'object' && this.#immediate(opcode.cmpImmediate, opcode.cmnImmediate, xzr, left, right)
    if (!immediate) {
      const n = this.#source(x9, left)
      this.#emit(opcode.cmp, xzr, n, this.#source(x10, right))
    }
    this.code.branch(target, conditional(opcode.bCond | condition[comparison], 1))
  }
}

const slotPlace = (slot: Slot): Place => ({ base, offset: slot.index * 8 })

/** From one address to another; what can be no address is far away. */
const distance = (value: Value, address: number): number => (value >= 0 ? Number(value) - address : Infinity)

/** MOVZ, MOVN: what the first instruction does not name is `skip`; MOVK sets the other 16 bits of each. */
const wideMoves = {
  movz: { first: opcode.movz, more: opcode.movk, skip: 0, quarters: 4 },
  movn: { first: opcode.movn, more: opcode.movk, skip: 0xffff, quarters: 4 },
  movnW: { first: opcode.movnW, more: opcode.movkW, skip: 0xffff, quarters: 2 },
}
type WideMove = (typeof wideMoves)['movz']

const piecesOf = (values: readonly number[], { skip, quarters }: WideMove): number => {
  let count = 0
  for (let i = 0; i < quarters; i++) if (values[i] !== skip) count++
  return Math.max(count, 1)
}

const wideMove = (register: number, values: readonly number[], way: WideMove): number[] => {
  const words: number[] = []
  for (let i = 0; i < way.quarters; i++) {
    const value = values[i]!
    if (value === way.skip) continue
    const [bits, field] = words.length === 0 ? [way.first, value ^ way.skip] : [way.more, value]
    words.push(bits | (i << 21) | (field << 5) | register)
  }
  return words.length > 0 ? words : [way.first | register]
}

const reaches = (bits: number) => (distance: number) => distance >= -(2 ** (bits + 1)) && distance < 2 ** (bits + 1)
const reaches19 = reaches(19)
const reaches26 = reaches(26)

/** B and BL: imm26, in words, from the instruction's own address. */
const far = (bits: number): Form => ({
  size: 4,
  reaches: reaches26,
  write: (code, at, distance) => writeWord(code, at, bits | ((distance >> 2) & 0x3ffffff)),
})
const b = [far(opcode.b)]
const bl = [far(opcode.bl)]

/** The address of constants: ADR has imm21, its low two bits in 29-30; what is further away is loaded in pieces. */
const nearby = (register: number, pieces: readonly number[]): Form[] => [
  {
    size: 4,
    reaches: reaches19,
    write: (code, at, distance) =>
      writeWord(code, at, opcode.adr | ((distance & 3) << 29) | (((distance >> 2) & 0x7ffff) << 5) | register),
  },
  {
    size: 4 * pieces.length,
    reaches: () => true,
    write: (code, at) => {
      pieces.forEach((piece, i) => {
        writeWord(code, at + 4 * i, piece)
      })
    },
  },
]

const conditionals = new Map<number, readonly Form[]>()

/** imm19 in bits 5-23; further away than that, the condition inverted (by its bit `inverting`) around a B. */
const conditional = (bits: number, inverting: number): readonly Form[] => {
  let forms = conditionals.get(bits)
  if (forms === undefined) {
    forms = conditionalForms(bits, inverting)
    conditionals.set(bits, forms)
  }
  return forms
}

const conditionalForms = (bits: number, inverting: number): readonly Form[] => {
  const imm19 = (distance: number) => ((distance >> 2) & 0x7ffff) << 5
  return [
    { size: 4, reaches: reaches19, write: (code, at, distance) => writeWord(code, at, bits | imm19(distance)) },
    {
      size: 8,
      reaches: (distance) => reaches26(distance - 4),
      write: (code, at, distance) => {
        writeWord(code, at, (bits ^ inverting) | imm19(8))
        b[0]!.write(code, at + 4, distance - 4)
      },
    },
  ]
}
