/** What every part of the launcher's code shares: the builder, the slots, and how a failing system call is reported. */
import { StrictAssembler } from '../assembly/strictAssembler.js'
import { copyText, cursorOf } from '../assembly/text.js'
import { own } from '../assembly/variables.js'
import type { Architecture } from '../kernel/architecture.js'
import { errno } from '../kernel/errno.js'
import { printable } from '../text/printable.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { connecting, type Plan, relays } from '../plan/plan.js'
import type { LaunchedStep, Step, StepKind, Wording } from '../plan/step.js'
import { Messages } from './messages.js'
import { record } from './record.js'
import { type Row, Rows, type Word } from './rows.js'

/** Bytes of {@link LauncherContext.scratch}: a path and a sentence about it. */
export const scratchSize = 16384

/** The code of some kinds of steps: a kind that lacks it does not type-check. */
export type Code<Kind extends StepKind> = { [One in Kind]: (c: LauncherContext, step: Step<One>) => void }

export type Process = 'monitor' | 'init' | 'payload'

/** Marks code that belongs to no step: it tells which one failed. */
const noStep = -1

export class LauncherContext extends StrictAssembler {
  /** Room for one path or sentence, for a short time. */
  readonly scratch = this.b.reserve(scratchSize)
  /** The number of the step at work, or of its message. */
  readonly step: Slot = this.b.variable()
  /** The new root. */
  readonly root: Slot = this.b.variable()
  /** Of the payload; `command` is its first word. */
  readonly argv: Slot = this.b.variable()
  readonly command: Slot = this.b.variable()
  readonly envp: Slot = this.b.variable()
  /** The working directory of this run, where each names its own. */
  readonly cwd: Slot = this.b.variable()
  /** Of a gate: the request that is served. */
  readonly request: Slot = this.b.variable()
  /**
   * Where an init that lingers tells how the payload ended: an eventfd(2), which nothing in /proc can open again. Its low half is
   * a wait status and one more, its high half says that the sandbox was not made.
   */
  readonly outcome: Slot = this.b.variable()
  /** What an error sentence ends with, where it is known at run time only: an address, or 0. */
  readonly detail: Slot = this.b.variable()
  readonly steps: LaunchedStep[] = []
  /** Who does each of them. */
  readonly processes: Process[] = []
  /** Whose code is written. */
  process: Process = 'monitor'
  readonly #rows = new Rows(this.b, this.step)
  readonly #messages = new Messages(this.b)
  /** What `step` holds in the last step, which is the one that executes. */
  #last = -1
  /** Descriptors that init keeps open, known at run time. */
  readonly heldSlots: Slot[] = []

  constructor(
    readonly plan: Plan,
    architecture: Architecture,
  ) {
    super(architecture)
  }

  /** Emits the code that does the rows so far. */
  endRows(): void {
    this.#rows.flush()
  }

  /** Begins the code of a step: a failure from here on is this step's. Gives its number, for {@link resume}. */
  begin(step: Wording): number {
    this.endRows()
    const { mark, number } = this.#number(step)
    this.b.mark(mark)
    this.b.move(this.step, number)
    return number
  }

  /** A failure from here on is of that step again. */
  resume(number: number): void {
    this.b.move(this.step, number)
  }

  /** The same for a step that cannot fail, or fails in the words of the one before: it needs no sentence. */
  note(step: Wording): void {
    this.b.mark(this.#add(step))
  }

  /** What vial does between the steps of a plan: it is explained as one of its own. */
  aside(what: string, why: string): void {
    this.note({ what, why })
  }

  #add(step: Wording): number {
    this.processes.push(this.process)
    return this.steps.push(step) - 1
  }

  /**
   * A step as a row of a table instead: `kind` names the code of `body`, which finds the words in their slots. What fails
   * in several ways, each with a sentence of its own, is no row: its code tells them apart.
   */
  row(step: Wording, kind: string, words: readonly Word[], body: () => void): void {
    if (typeof step.complaint !== 'object') {
      const { mark, number } = this.#number(step, words)
      this.#rows.add(mark, number, kind, words, body)
      return
    }
    this.begin(step)
    this.setWords(words)
    body()
  }

  /**
   * A step as several rows, which fail in the same words. The code of the first may leave out all the others by
   * {@link passRows}; its words are those that its sentence may quote.
   */
  rows(step: Wording, first: Row, others: readonly Row[]): void {
    const { mark, number } = this.#number(step, first.words)
    const add = ({ kind, words, body }: Row) => this.#rows.add(mark, number, kind, words, body)
    add({ ...first, words: [...first.words, this.#rows.passed] })
    this.#rows.passable(() => others.forEach(add))
  }

  /** In the code of the first of {@link rows}. */
  passRows(): void {
    this.#rows.pass()
  }

  /** What a row would load. */
  setWords(words: readonly Word[]): void {
    for (const [slot, word] of words) this.b.move(slot, typeof word === 'string' ? this.b.text(word) : word)
  }

  /** From here on the step fails with this one of its complaints, if it has several. */
  complain(step: Wording, which: number): void {
    if (typeof step.complaint === 'object') this.b.move(this.step, this.complaint(step, which))
  }

  /** The number of a step that fails with this complaint. */
  complaint(step: Wording, which: number): number {
    const [first, ...others] = typeof step.complaint === 'object' ? step.complaint : [step.complaint]
    const chosen = which === 0 ? first : others[which - 1]
    return typeof chosen === 'object'
      ? this.#number({ ...step, complaint: sentence(step), instead: chosen }).number
      : this.said(step, chosen ?? sentence(step))
  }

  /** The number of a step that fails with this sentence. */
  said(step: Wording, complaint: string): number {
    return this.#number({ ...step, complaint }).number
  }

  /**
   * Takes note of a step. What `step` holds while it is at work is its number in the status records, or that of its
   * message in a program that prints.
   */
  #number(step: Wording, words: readonly Word[] = []): { mark: number; number: number } {
    const mark = this.#add(step)
    const number = this.plan.start.statusFd === undefined ? this.#messages.add(sentence(step), step, words) : mark
    this.#last = number
    return { mark, number }
  }

  /** Writes one status record; only in a program that has a status descriptor. */
  report(kind: number, first: Operand, second: Operand = 0): void {
    const buffer = this.recordBuffer()
    this.b.store(64, buffer, 0, kind)
    this.b.store(64, buffer, 8, first)
    this.b.store(64, buffer, 16, second)
    if (this.plan.start.serves !== undefined) this.b.store(64, buffer, record.request, this.request)
    this.attempt('write', this.plan.start.statusFd!, buffer, record.size)
  }

  /** `PWD=` and the working directory, which is filled in when it is known. */
  get pwd(): Address {
    return pwdOf(this)
  }

  /** Room for one status record. */
  recordBuffer(): Address {
    return recordOf(this)
  }

  /** The code at `fail`: reports step and errno, or prints the sentence, and exits. Emitted once, last. */
  emitFailure(): void {
    const { b } = this
    const [error, status] = b.temporaries(2)
    const { exit, prefix } = this.plan.start.manner
    b.mark(noStep)
    b.place(this.fail)
    b.compute(error, 0, 'sub', this.result)
    b.move(status, exit.sandbox)
    b.when(this.step, 'eq', this.#last, () => {
      b.move(status, exit.cannotExecute)
      b.when(error, 'eq', errno.ENOENT, () => b.move(status, exit.notFound))
    })
    if (!relays(this.plan)) this.tellMonitor(0, 1)
    if (this.plan.start.statusFd !== undefined) {
      if (connecting(this.plan) !== undefined) this.#quoteDetail()
      this.report(record.failed, this.step, error)
    } else {
      const { step: message, scratch: buffer, detail } = this
      const naming = { naming: this.#last, command: this.command }
      this.#messages.print({ message, error, buffer, prefix, detail, ...naming })
    }
    this.exit(status)
  }

  /** In the record that is reported next. It is no longer than there is room for. */
  #quoteDetail(): void {
    const { b, detail } = this
    b.when(detail, 'ne', 0, () => {
      const buffer = this.recordBuffer()
      b.move(cursorOf(b), { ...buffer, offset: buffer.offset + record.detail.at })
      copyText(b, cursorOf(b), detail)
    })
  }

  /** Adds both halves of {@link outcome}: a wait status and one more, or 0, and whether the sandbox was not made. */
  tellMonitor(ended: Operand, failed: 0 | 1): void {
    const { b } = this
    const word = b.reserve(8, 8)
    b.when(this.outcome, 'ne', 0, () => {
      b.store(32, word, 0, ended)
      b.store(32, word, 4, failed)
      this.attempt('write', this.outcome, word, 8)
    })
  }
}

const pwdOf = own(({ b }: LauncherContext) => b.reserve(4 + 4096))
const recordOf = own(({ b }: LauncherContext) => b.reserve(record.size, 16))

function sentence(step: Wording): string {
  const [first] = typeof step.complaint === 'object' ? step.complaint : [step.complaint]
  return printable(typeof first === 'string' ? first : step.what)
}
