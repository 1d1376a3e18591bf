/**
 * A structured way to write a {@link Program}: `when`, `loop`, routines, strings, so that what is written with it
 * reads like ordinary code.
 */
import type { SyscallName } from '../kernel/syscalls.js'
import type {
  Address,
  Arithmetic,
  Comparison,
  Instruction,
  Label,
  Operand,
  Program,
  Slot,
  Width,
} from './instruction.js'

/** A subroutine: emitted once, after the main code. */
export interface Routine {
  readonly name: string
  readonly label: Label
}

export interface LoopControl {
  readonly again: () => void
  readonly leave: () => void
}

const encoder = new TextEncoder()

const smallMemory = 2048
const largestSmall = 256

export class Builder {
  readonly #instructions: Instruction[] = []
  readonly #routines = new Map<string, { routine: Routine; body: () => void }>()
  readonly #texts = new Map<string, Address>()
  readonly #slots = new Map<string, Slot>()
  #constants: Uint8Array = new Uint8Array(1024)
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

  /** Constant bytes. */
  bytes(content: Uint8Array, alignment = 1): Address {
    const offset = Math.ceil(this.#constantsUsed / alignment) * alignment
    const end = offset + content.length
    if (end > this.#constants.length) {
      const grown = new Uint8Array(Math.max(end, this.#constants.length * 2))
      grown.set(this.#constants)
      this.#constants = grown
    }
    this.#constants.set(content, offset)
    this.#constantsUsed = end
    return { kind: 'address', area: 'constants', offset }
  }

  /** A NUL-terminated string; equal strings are stored once. */
  text(content: string): Address {
    let address = this.#texts.get(content)
    if (address === undefined) {
      if (content.includes('\0')) throw new Error(`a string has a NUL byte: ${JSON.stringify(content)}`)
      address = this.bytes(encoder.encode(`${content}\0`))
      this.#texts.set(content, address)
    }
    return address
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

  mark(step: number): void {
    this.emit({ op: 'mark', step })
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
    this.emit({ op: 'call', target: routine.label })
  }

  return(): void {
    this.emit({ op: 'return' })
  }

  // --- strings and numbers --------------------------------------------------------------------------------------

  /** Copies the NUL-terminated string at `from` to the address in `cursor`, and leaves `cursor` at the copied NUL. */
  copyText(cursor: Slot, from: Operand): void {
    const source = this.slot('copy.source')
    const byte = this.slot('copy.byte')
    const routine = this.routine('copyText', () => {
      const target = this.slot('copy.target')
      this.loop(({ leave }) => {
        this.load(byte, 8, source)
        this.store(8, target, 0, byte)
        this.when(byte, 'eq', 0, leave)
        this.compute(source, source, 'add', 1)
        this.compute(target, target, 'add', 1)
      })
    })
    this.move(source, from)
    this.move(this.slot('copy.target'), cursor)
    this.call(routine)
    this.move(cursor, this.slot('copy.target'))
  }

  /** Writes `value` as unsigned decimal digits and a NUL at `cursor`, and leaves `cursor` at the NUL. */
  decimal(cursor: Slot, value: Operand): void {
    const rest = this.slot('decimal.rest')
    const target = this.slot('decimal.target')
    const routine = this.routine('decimal', () => {
      const digit = this.slot('decimal.digit')
      const power = this.slot('decimal.power')
      const next = this.slot('decimal.next')
      const started = this.slot('decimal.started')
      const table = this.bytes(
        Uint8Array.from(
          Array.from({ length: 20 }, (_, i) => 10n ** BigInt(19 - i)).flatMap((value) =>
            Array.from({ length: 8 }, (_, byte) => Number((value >> BigInt(8 * byte)) & 255n)),
          ),
        ),
        8,
      )
      this.move(started, 0)
      this.move(next, table)
      this.loop(({ leave }) => {
        this.load(power, 64, next)
        this.compute(next, next, 'add', 8)
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
      })
      this.store(8, target, 0, 0)
    })
    this.move(rest, value)
    this.move(target, cursor)
    this.call(routine)
    this.move(cursor, target)
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

  /** Emits the routines that are called and returns the program. The main code must end in a jump or an exit. */
  finish(): Program {
    const emitted = new Set<string>()
    for (let found = true; found; ) {
      found = false
      const called = new Set(this.#instructions.flatMap((one) => (one.op === 'call' ? [one.target.id] : [])))
      for (const { routine, body } of [...this.#routines.values()]) {
        if (emitted.has(routine.name) || !called.has(routine.label.id)) continue
        emitted.add(routine.name)
        found = true
        this.place(routine.label)
        body()
        this.return()
      }
    }
    return {
      instructions: this.#instructions,
      constants: this.#constants.slice(0, this.#constantsUsed + 8),
      slots: this.#slots.size,
      memory: this.#memoryUsed,
    }
  }
}

const opposite: Record<Comparison, Comparison> = { eq: 'ne', ne: 'eq', lt: 'ge', ge: 'lt', gt: 'le', le: 'gt' }
