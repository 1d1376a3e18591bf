/**
 * Steps as rows of a table. Most steps of a plan are of a few kinds, and differ in paths and flags only: each is a row of
 * words, and one loop takes the rows one by one, loads a row's words into the slots of its kind and calls the kind's
 * routine. A step costs twenty bytes instead of a hundred and fifty.
 */
import { variables } from '../assembly/variables.js'
import type { Builder, Routine } from '../machine/builder.js'
import type { Address, Slot } from '../machine/instruction.js'

/** A 32-bit word of a row, and the slot that it is loaded into. A string is stored as a text. */
export type Word = readonly [Slot, number | Address | string]

/** A row of a table: `kind` names the code of `body`, which finds the words in their slots. */
export interface Row {
  readonly kind: string
  readonly words: readonly Word[]
  readonly body: () => void
}

/** Bits of a row's first word that hold its kind; the others hold the step. */
const kindBits = 8

interface Kind {
  readonly number: number
  readonly columns: readonly Slot[]
  readonly routine: Routine
}

/** The row at work, and by how many words its code passes over what follows. */
const walking = variables('next', 'passed')

export class Rows {
  readonly #kinds = new Map<string, Kind>()
  #pending: (number | Address)[] = []

  constructor(
    readonly b: Builder,
    /** Holds the number of the step at work: see the context. */
    readonly step: Slot,
  ) {}

  /**
   * Adds a row. `kind` names the code of `body`, which finds the words in their slots: rows of one kind have the same
   * slots in the same order.
   */
  add(mark: number, step: number, kind: string, row: readonly Word[], body: () => void): void {
    let known = this.#kinds.get(kind)
    if (known === undefined) {
      const columns = row.map(([slot]) => slot)
      known = { number: this.#kinds.size + 1, columns, routine: this.b.routine(`row: ${kind}`, body) }
      this.#kinds.set(kind, known)
    }
    if (known.number >= 2 ** kindBits || step >= 2 ** (32 - kindBits))
      throw new Error(`a row cannot hold kind ${known.number} of step ${step}`)
    this.b.mark(mark, known.routine)
    this.#pending.push(known.number | (step << kindBits))
    for (const [, word] of row) this.#pending.push(typeof word === 'string' ? this.b.text(word) : word)
  }

  /** A last word for a row that may leave out rows behind it: see {@link passable}. */
  get passed(): Word {
    return [walking(this.b).passed, 0]
  }

  /** The row before, whose words end in {@link passed}, may leave out the rows that `add` adds. */
  passable(add: () => void): void {
    const begin = this.#pending.length
    add()
    this.#pending[begin - 1] = 4 * (this.#pending.length - begin)
  }

  /** In the code of a row that ends in {@link passed}: the rows behind it are left out. */
  pass(): void {
    const { next, passed } = walking(this.b)
    this.b.compute(next, next, 'add', passed)
    this.b.return()
  }

  /** Emits the code that does the rows added so far. */
  flush(): void {
    if (this.#pending.length === 0) return
    const { b } = this
    b.move(walking(b).next, b.table([...this.#pending, 0]))
    this.#pending = []
    b.call(b.routine('rows', () => this.#walk()))
  }

  #walk(): void {
    const { b } = this
    const { next } = walking(b)
    const kind = b.temporary()
    b.loop(({ leave, again }) => {
      b.load(kind, 32, next)
      b.when(kind, 'eq', 0, leave)
      b.compute(this.step, kind, 'shr', kindBits)
      b.compute(kind, kind, 'and', 2 ** kindBits - 1)
      for (const { number, columns, routine } of this.#kinds.values()) {
        b.when(kind, 'eq', number, () => {
          columns.forEach((slot, index) => {
            b.load(slot, 32, next, 4 + 4 * index)
          })
          b.compute(next, next, 'add', 4 + 4 * columns.length)
          b.call(routine)
          again()
        })
      }
    })
  }
}
