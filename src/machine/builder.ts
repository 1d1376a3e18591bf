/**
 * A structured way to write a {@link Program}: `when`, `loop`, routines, strings, so that what is written with it
 * reads like ordinary code.
 */
import type { SyscallName } from '../kernel/syscalls.js'
import {
  type Address,
  type Arithmetic,
  type Comparison,
  eachOperand,
  type Instruction,
  type Label,
  type Operand,
  type Pointer,
  type Program,
  type Slot,
  type Width,
} from './instruction.js'
import { opposite, shorten } from './shorten.js'

/** A subroutine: emitted once, after the main code. */
export interface Routine {
  readonly name: string
  readonly label: Label
}

export interface LoopControl {
  readonly again: () => void
  readonly leave: () => void
}

const smallMemory = 2048
const largestSmall = 256

type Slots<Count extends number, Some extends Slot[] = []> = Some['length'] extends Count
  ? Some
  : Slots<Count, [...Some, Slot]>

export class Builder {
  readonly #instructions: Instruction[] = []
  readonly #routines = new Map<string, { routine: Routine; body: () => void }>()
  readonly #called = new Set<string>()
  /** Where they lie is known at the end. */
  readonly #texts = new Map<string, { readonly kind: 'address'; readonly area: 'constants'; offset: number }>()
  /** Their order is known at the end. */
  readonly #slots = new Map<string, { readonly kind: 'slot'; index: number }>()
  readonly #pointers: Pointer[] = []
  #constants = Buffer.alloc(16384)
  #constantsUsed = 0
  #smallUsed = 0
  #memoryUsed = smallMemory
  #labels = 0
  #temporaries = 0

  // --- data -----------------------------------------------------------------------------------------------------

  /** The variable of this name; the same name is the same slot. */
  slot(name: string): Slot {
    let slot = this.#slots.get(name)
    if (slot === undefined) {
      slot = { kind: 'slot', index: this.#slots.size }
      this.#slots.set(name, slot)
    }
    return slot
  }

  /** A slot of its own, for one value inside one routine. */
  temporary(): Slot {
    return this.slot(`#${this.#temporaries++}`)
  }

  /** So many of them. */
  temporaries<Count extends number>(count: Count): Slots<Count> {
    return Array.from({ length: count }, () => this.temporary()) as Slots<Count>
  }

  /** Constant bytes. */
  bytes(content: Uint8Array, alignment = 1): Address {
    const offset = Math.ceil(this.#constantsUsed / alignment) * alignment
    const end = offset + content.length
    this.#makeRoom(end)
    this.#constants.set(content, offset)
    this.#constantsUsed = end
    return { kind: 'address', area: 'constants', offset }
  }

  #makeRoom(end: number): void {
    if (end <= this.#constants.length) return
    const grown = Buffer.alloc(Math.max(end, this.#constants.length * 2))
    grown.set(this.#constants)
    this.#constants = grown
  }

  /** Constant 32-bit words, little-endian; an address becomes the place where the data will lie. */
  table(words: readonly (number | Address)[]): Address {
    const values = Uint32Array.from(words, (word) => (typeof word === 'number' ? word : 0))
    const table = this.bytes(new Uint8Array(values.buffer), 4)
    words.forEach((word, index) => {
      if (typeof word === 'object') this.#pointers.push({ at: table.offset + 4 * index, to: word })
    })
    return table
  }

  /** A NUL-terminated string; equal strings are stored once, and so are paths that another string ends in. */
  text(content: string): Address {
    let address = this.#texts.get(content)
    if (address === undefined) {
      if (content.includes('\0')) throw new Error(`a string has a NUL byte: ${JSON.stringify(content)}`)
      address = { kind: 'address', area: 'constants', offset: -1 }
      this.#texts.set(content, address)
    }
    return address
  }

  /** The longer first: what a text ends in is wanted by shorter ones. */
  #placeTexts(): void {
    for (const [content, address] of [...this.#texts].sort(([a], [b]) => b.length - a.length)) {
      if (address.offset !== -1) continue
      address.offset = this.#constantsUsed
      // A character takes three bytes at most.
      this.#makeRoom(this.#constantsUsed + 3 * content.length + 1)
      const length = this.#constants.write(content, address.offset)
      this.#constantsUsed += length + 1
      if (length !== content.length) continue
      for (let at = content.indexOf('/'); at !== -1; at = content.indexOf('/', at + 1)) {
        for (const start of [at, at + 1]) {
          const end = this.#texts.get(content.slice(start))
          if (end?.offset === -1) end.offset = address.offset + start
        }
      }
    }
  }

  /** Zeroed writable memory. What is small lies together, next to the slots: each page that is written costs a fault. */
  reserve(size: number, alignment = 8): Address {
    const small = Math.ceil(this.#smallUsed / alignment) * alignment
    if (small + size <= smallMemory && size <= largestSmall) {
      this.#smallUsed = small + size
      return { kind: 'address', area: 'memory', offset: small }
    }
    const offset = Math.ceil(this.#memoryUsed / alignment) * alignment
    this.#memoryUsed = offset + size
    return { kind: 'address', area: 'memory', offset }
  }

  // --- instructions ---------------------------------------------------------------------------------------------

  emit(instruction: Instruction): void {
    this.#instructions.push(instruction)
  }

  entry(to: Slot): void {
    this.emit({ op: 'entry', to })
  }

  mark(step: number, routine?: Routine): void {
    this.emit(routine === undefined ? { op: 'mark', step } : { op: 'mark', step, routine: routine.label })
  }

  move(to: Slot, from: Operand): void {
    this.emit({ op: 'move', to, from })
  }

  load(to: Slot, width: Width, address: Operand, offset = 0): void {
    this.emit({ op: 'load', to, width, address, offset })
  }

  store(width: Width, address: Operand, offset: number, from: Operand): void {
    this.emit({ op: 'store', width, address, offset, from })
  }

  compute(to: Slot, left: Operand, operator: Arithmetic, right: Operand): void {
    this.emit({ op: 'compute', operator, to, left, right })
  }

  syscall(to: Slot, name: SyscallName, ...args: Operand[]): void {
    this.emit({ op: 'syscall', name, args, to })
  }

  label(): Label {
    return { kind: 'label', id: this.#labels++ }
  }

  place(label: Label): void {
    this.emit({ op: 'label', label })
  }

  jump(target: Label): void {
    this.emit({ op: 'jump', target })
  }

  branch(left: Operand, comparison: Comparison, right: Operand, target: Label): void {
    this.emit({ op: 'branch', comparison, left, right, target })
  }

  // --- structure ------------------------------------------------------------------------------------------------

  when(left: Operand, comparison: Comparison, right: Operand, then: () => void, otherwise?: () => void): void {
    const end = this.label()
    if (otherwise === undefined) {
      this.branch(left, opposite[comparison], right, end)
      then()
    } else {
      const other = this.label()
      this.branch(left, opposite[comparison], right, other)
      then()
      this.jump(end)
      this.place(other)
      otherwise()
    }
    this.place(end)
  }

  /** Repeats until `leave` is called. */
  loop(body: (control: LoopControl) => void): void {
    const start = this.label()
    const end = this.label()
    this.place(start)
    body({ again: () => this.jump(start), leave: () => this.jump(end) })
    this.jump(start)
    this.place(end)
  }

  /** Declares a routine: emitted once, and only if it is called. Arguments and results travel in named slots. */
  routine(name: string, body: () => void): Routine {
    let known = this.#routines.get(name)
    if (known === undefined) {
      known = { routine: { name, label: this.label() }, body }
      this.#routines.set(name, known)
    }
    return known.routine
  }

  call(routine: Routine): void {
    this.#called.add(routine.name)
    this.emit({ op: 'call', target: routine.label })
  }

  return(): void {
    this.emit({ op: 'return' })
  }

  // --- strings and numbers --------------------------------------------------------------------------------------

  /** Where the routines for text write; a cursor of another name is moved here and back. */
  get cursor(): Slot {
    return this.slot('cursor')
  }

  /** Copies the NUL-terminated string at `from` to the address in `cursor`, and leaves `cursor` at the copied NUL. */
  copyText(cursor: Slot, from: Operand): void {
    const source = this.slot('copy.source')
    const byte = this.slot('copy.byte')
    const target = this.cursor
    const routine = this.routine('copyText', () => {
      this.loop(({ leave }) => {
        this.load(byte, 8, source)
        this.store(8, target, 0, byte)
        this.when(byte, 'eq', 0, leave)
        this.compute(source, source, 'add', 1)
        this.compute(target, target, 'add', 1)
      })
    })
    this.move(source, from)
    if (cursor !== target) this.move(target, cursor)
    this.call(routine)
    if (cursor !== target) this.move(cursor, target)
  }

  /** Writes `value` as unsigned decimal digits and a NUL at `cursor`, and leaves `cursor` at the NUL. */
  decimal(cursor: Slot, value: Operand): void {
    const rest = this.slot('decimal.rest')
    const target = this.cursor
    const routine = this.routine('decimal', () => {
      const digit = this.slot('decimal.digit')
      const power = this.slot('decimal.power')
      const started = this.slot('decimal.started')
      this.move(started, 0)
      this.move(power, 10n ** 19n)
      this.loop(({ leave }) => {
        this.move(digit, 0)
        this.loop(({ leave }) => {
          this.when(rest, 'lt', power, leave)
          this.compute(rest, rest, 'sub', power)
          this.compute(digit, digit, 'add', 1)
        })
        this.compute(started, started, 'or', digit)
        this.when(power, 'eq', 1, () => this.move(started, 1))
        this.when(started, 'ne', 0, () => {
          this.compute(digit, digit, 'add', 48)
          this.store(8, target, 0, digit)
          this.compute(target, target, 'add', 1)
        })
        this.when(power, 'eq', 1, leave)
        // A tenth: half of it, and times the inverse of 5 modulo 2^64, which divides exactly what is a multiple of 5.
        this.compute(power, power, 'shr', 1)
        this.compute(power, power, 'mul', 0xcccccccccccccccdn)
      })
      this.store(8, target, 0, 0)
    })
    this.move(rest, value)
    if (cursor !== target) this.move(target, cursor)
    this.call(routine)
    if (cursor !== target) this.move(cursor, target)
  }

  /** FNV-1a, 64 bit, of the NUL-terminated string at `text`. http://www.isthe.com/chongo/tech/comp/fnv/ */
  hash(to: Slot, text: Operand): void {
    const source = this.temporary()
    const byte = this.temporary()
    this.move(source, text)
    this.move(to, 0xcbf29ce484222325n)
    this.loop(({ leave }) => {
      this.load(byte, 8, source)
      this.when(byte, 'eq', 0, leave)
      this.compute(to, to, 'xor', byte)
      this.compute(to, to, 'mul', 0x100000001b3n)
      this.compute(source, source, 'add', 1)
    })
  }

  // --- end ------------------------------------------------------------------------------------------------------

  /** The most used first: short displacements reach them. */
  #orderSlots(instructions: readonly Instruction[]): void {
    const slots = [...this.#slots.values()]
    const uses = slots.map(() => 0)
    const count = (operand: Operand) => {
      if (typeof operand === 'object' && operand.kind === 'slot') uses[operand.index]! += 1
    }
    for (const instruction of instructions) eachOperand(instruction, count)
    const order = slots.toSorted((a, b) => uses[b.index]! - uses[a.index]!)
    order.forEach((slot, index) => {
      slot.index = index
    })
  }

  /** Emits the routines that are called and returns the program. The main code must end in a jump or an exit. */
  finish(): Program {
    // The set grows while it is walked: a routine may call others.
    for (const name of this.#called) {
      const { routine, body } = this.#routines.get(name)!
      this.place(routine.label)
      body()
      this.return()
    }
    const instructions = shorten(this.#instructions)
    this.#orderSlots(instructions)
    this.#placeTexts()
    return {
      instructions,
      constants: new Uint8Array(this.#constants.subarray(0, this.#constantsUsed + 8)),
      pointers: this.#pointers,
      slots: this.#slots.size,
      memory: this.#memoryUsed,
    }
  }
}
