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
  readonly #slots: { readonly kind: 'slot'; index: number }[] = []
  readonly #pointers: Pointer[] = []
  #constants = Buffer.alloc(16384)
  #constantsUsed = 0
  #smallUsed = 0
  #memoryUsed = smallMemory
  #labels = 0
  #scope: Slot[] | undefined
  readonly #free: Slot[] = []

  // --- data -----------------------------------------------------------------------------------------------------

  /** A slot for as long as the program runs, zero at first: assembly/variables.ts declares them. */
  variable(): Slot {
    const slot: Slot & { index: number } = { kind: 'slot', index: this.#slots.length }
    this.#slots.push(slot)
    return slot
  }

  /** A slot for the code at hand, which writes it first. In a {@link scope} it may be one that an earlier scope has used. */
  temporary(): Slot {
    if (this.#scope === undefined) return this.variable()
    const slot = this.#free.pop() ?? this.variable()
    this.#scope.push(slot)
    return slot
  }

  /** The temporaries of what `body` emits are free again behind it. Routines have their own, for they may be called from anywhere. */
  scope(body: () => void): void {
    const outer = this.#scope
    const inner: Slot[] = []
    this.#scope = inner
    body()
    this.#scope = outer
    this.#free.push(...inner.reverse())
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

  /** A routine of this name: emitted once, and only if it is called. assembly/routine.ts gives it parameters. */
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

  // --- end ------------------------------------------------------------------------------------------------------

  /** The most used first: short displacements reach them. Gives how many are used at all. */
  #orderSlots(instructions: readonly Instruction[]): number {
    const uses = this.#slots.map(() => 0)
    const count = (operand: Operand) => {
      if (typeof operand === 'object' && operand.kind === 'slot') uses[operand.index]! += 1
    }
    for (const instruction of instructions) eachOperand(instruction, count)
    const order = this.#slots.toSorted((a, b) => uses[b.index]! - uses[a.index]!)
    order.forEach((slot, index) => {
      slot.index = index
    })
    return uses.filter((count) => count > 0).length
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
    const slots = this.#orderSlots(instructions)
    this.#placeTexts()
    return {
      instructions,
      constants: new Uint8Array(this.#constants.subarray(0, this.#constantsUsed + 8)),
      pointers: this.#pointers,
      slots,
      memory: this.#memoryUsed,
    }
  }
}
