/** What every part of the launcher's code shares: the builder, the slots, and how a failing system call is reported. */
import type { Architecture } from '../kernel/architecture.js'
import { errno, type ErrnoName, errnoMessage } from '../kernel/errno.js'
import { openFlags } from '../kernel/flags.js'
import { printable } from '../kernel/printable.js'
import type { SyscallName } from '../kernel/syscalls.js'
import { Builder } from '../machine/builder.js'
import { type Address, firstError, type Label, type Operand, type Slot } from '../machine/instruction.js'
import type { Plan, Step } from '../plan/step.js'
import { Rows, type Word } from './rows.js'

/** On the pipe to the monitor, where no wait status is so large. */
export const setupFailed = 0xffffffff

/**
 * Records on the status descriptor: four little-endian u64 and a struct rusage (zero but in `ended`). A file there may
 * begin with a header, the pid of the process that starts the vial as u64.
 */
export const record = { header: 8, size: 32 + 144, failed: 1, payload: 2, started: 3, ended: 4 } as const

/** Errors whose words travel in the ELF; any other is shown as a number. */
const spelledErrors: readonly ErrnoName[] = [
  'EPERM',
  'ENOENT',
  'ESRCH',
  'EINTR',
  'EIO',
  'ENXIO',
  'E2BIG',
  'ENOEXEC',
  'EBADF',
  'EAGAIN',
  'ENOMEM',
  'EACCES',
  'EBUSY',
  'EEXIST',
  'EXDEV',
  'ENODEV',
  'ENOTDIR',
  'EISDIR',
  'EINVAL',
  'ENFILE',
  'EMFILE',
  'ETXTBSY',
  'EFBIG',
  'ENOSPC',
  'EROFS',
  'EMLINK',
  'ERANGE',
  'ENAMETOOLONG',
  'ENOSYS',
  'ELOOP',
  'EOVERFLOW',
  'EUSERS',
  'EOPNOTSUPP',
  'EDQUOT',
  'ESTALE',
]

/** Bytes of {@link LauncherContext.scratch}: a path and a sentence about it. */
export const scratchSize = 16384

export class LauncherContext {
  readonly b = new Builder()
  /** Room for one path or sentence, which nobody needs for long. */
  readonly scratch = this.b.reserve(scratchSize)
  readonly open: ReturnType<typeof openFlags>
  readonly result = this.b.slot('result')
  readonly step = this.b.slot('step')
  readonly root = this.b.slot('root')
  readonly stack: Slot = this.b.slot('stack')
  /** Where init writes how the payload ended, while it lingers; 0 in the monitor. */
  readonly pipe = this.b.slot('pipe')
  readonly fail: Label = this.b.label()
  readonly steps: Step[] = []
  readonly #rows = new Rows(this.b, this.step)
  /** Descriptors that init keeps open, known at run time. */
  readonly heldSlots: Slot[] = []

  constructor(
    readonly plan: Plan,
    architecture: Architecture,
  ) {
    this.open = openFlags(architecture)
  }

  /** Emits the code that does the rows so far. */
  endRows(): void {
    this.#rows.flush()
  }

  /** Begins the code of a step: a failure from here on is this step's. */
  begin(step: Step): void {
    this.endRows()
    const number = this.#number(step)
    this.b.mark(number)
    this.b.move(this.step, number)
  }

  /**
   * A step as a row of a table instead: `kind` names the code of `body`, which finds the words in their slots. What fails
   * in several ways, each with a sentence of its own, is no row: its code tells them apart.
   */
  row(step: Step, kind: string, words: readonly Word[], body: () => void): void {
    if (typeof step.complaint !== 'object') {
      this.#rows.add(this.#number(step, words), kind, words, body)
      return
    }
    this.begin(step)
    this.setWords(words)
    body()
  }

  /** What a row would load. */
  setWords(words: readonly Word[]): void {
    for (const [slot, word] of words) this.b.move(slot, typeof word === 'string' ? this.b.text(word) : word)
  }

  /** From here on the step fails with this one of its complaints, if it has several. */
  complain(step: Step, which: number): void {
    if (typeof step.complaint === 'object') this.b.move(this.step, this.complaint(step, which))
  }

  /** The number of a step that fails with this complaint. */
  complaint(step: Step, which: number): number {
    const [first, ...others] = typeof step.complaint === 'object' ? step.complaint : [step.complaint]
    const chosen = which === 0 ? first : others[which - 1]
    const { complaint: _, ...rest } = step
    const said =
      typeof chosen === 'object' ? { complaint: [first ?? ''], hints: chosen } : { complaint: [chosen ?? ''] }
    return this.#number({ ...rest, ...said })
  }

  readonly #sentences: string[] = []
  /** Slots whose texts sentences quote: the character `1` stands for the first, and so on. */
  readonly #quoted: Slot[] = []

  /** The texts that a row has anyway are not stored in its sentence once more: each stands there as a character. */
  #number(step: Step, words: readonly Word[] = []): number {
    if (this.plan.statusFd !== undefined) return this.steps.push(step) - 1
    let text = sentence(step)
    for (const [slot, word] of words) {
      if (typeof word !== 'string' || word.length < 2 || !text.includes(word)) continue
      if (!this.#quoted.includes(slot)) this.#quoted.push(slot)
      text = text.replace(word, String.fromCharCode(1 + this.#quoted.indexOf(slot)))
    }
    this.#sentences.push(text)
    return this.steps.push(step) - 1
  }

  /** A system call that must succeed; the result is in `result`. */
  must(name: SyscallName, ...args: Operand[]): Slot {
    this.b.emit({ op: 'syscall', name, args, to: this.result, failing: this.fail })
    return this.result
  }

  /** Fails if the last system call did. */
  orFail(): void {
    const { b } = this
    b.call(b.routine('check', () => b.branch(this.result, 'ge', firstError, this.fail)))
  }

  /** A system call whose failure is looked at by what follows. */
  attempt(name: SyscallName, ...args: Operand[]): Slot {
    this.b.syscall(this.result, name, ...args)
    return this.result
  }

  /** A system call that may fail with `tolerated`, and with nothing else. */
  mustUnless(tolerated: ErrnoName, name: SyscallName, ...args: Operand[]): void {
    this.attempt(name, ...args)
    const tolerable = this.b.label()
    this.b.branch(this.result, 'eq', -errno[tolerated], tolerable)
    this.orFail()
    this.b.place(tolerable)
  }

  whenFailed(then: () => void, otherwise?: () => void): void {
    this.b.when(this.result, 'ge', firstError, then, otherwise)
  }

  whenError(name: ErrnoName, then: () => void, otherwise?: () => void): void {
    this.b.when(this.result, 'eq', -errno[name], then, otherwise)
  }

  exit(status: Operand): void {
    this.b.syscall(this.result, 'exit_group', status)
  }

  /** Writes one status record; only in a program that has a status descriptor. */
  report(kind: number, first: Operand, second: Operand = 0): void {
    const buffer = this.recordBuffer()
    this.b.store(64, buffer, 0, kind)
    this.b.store(64, buffer, 8, first)
    this.b.store(64, buffer, 16, second)
    this.attempt('write', this.plan.statusFd!, buffer, record.size)
  }

  #pwd: Address | undefined
  /** `PWD=` and the working folder, which is filled in when it is known. */
  get pwd(): Address {
    this.#pwd ??= this.b.reserve(4 + 4096)
    return this.#pwd
  }

  #buffer: ReturnType<Builder['reserve']> | undefined
  recordBuffer() {
    this.#buffer ??= this.b.reserve(record.size, 16)
    return this.#buffer
  }

  /** The code at `fail`: reports step and errno, or prints the sentence, and exits. Emitted once, last. */
  emitFailure(): void {
    const { b } = this
    const error = b.slot('error')
    const status = b.slot('status')
    const { exit, lingers } = this.plan.manner
    b.place(this.fail)
    b.compute(error, 0, 'sub', this.result)
    b.move(status, exit.sandbox)
    b.when(this.step, 'eq', this.steps.length - 1, () => {
      b.move(status, exit.cannotExecute)
      b.when(error, 'eq', errno.ENOENT, () => b.move(status, exit.notFound))
    })
    if (lingers) this.tellMonitor(setupFailed)
    if (this.plan.statusFd === undefined) this.#printSentence(error)
    else this.report(record.failed, this.step, error)
    this.exit(status)
  }

  /** Writes a wait status, or {@link setupFailed}, to the pipe that the monitor reads. */
  tellMonitor(status: Operand): void {
    const { b } = this
    const word = b.reserve(4)
    b.when(this.pipe, 'ne', 0, () => {
      b.store(32, word, 0, status)
      this.attempt('write', this.pipe, word, 4)
    })
  }

  /** What an error sentence ends with, where it is known at run time only: an address, or 0. */
  get detail(): Slot {
    return this.b.slot('detail')
  }

  /** `vial: cannot WHAT: ERROR` and a second line with the hint, or what is said instead, in one write(2). */
  #printSentence(error: Slot): void {
    const { b } = this
    const buffer = this.scratch
    const cursor = b.temporary()
    const say = (text: Operand) => b.copyText(cursor, text)
    b.move(cursor, buffer)
    say(b.text(this.plan.manner.prefix))
    const found = b.temporary()
    const done = b.label()
    if (this.plan.manner.hints === 'instead')
      this.#sayHint(error, done, (text) => {
        say(text)
        b.when(this.detail, 'ne', 0, () => say(this.detail))
      })
    const sentences = b.table(this.#sentences.map((text) => b.text(text)))
    b.compute(found, this.step, 'shl', 2)
    b.compute(found, found, 'add', sentences)
    b.load(found, 32, found)
    this.#sayQuoting(cursor, found)
    b.when(this.step, 'eq', this.steps.length - 1, () => {
      say(b.text(' '))
      this.#sayCommand(cursor)
    })
    say(b.text(': '))
    const spelled = b.label()
    this.#search(
      spelledErrors.map((name) => [errno[name], b.text(errnoMessage(errno[name]))]),
      ([number, text], next) => {
        b.branch(number!, 'ne', error, next)
        say(text!)
        b.jump(spelled)
      },
    )
    say(b.text('error '))
    b.decimal(cursor, error)
    b.place(spelled)
    if (this.plan.manner.hints === 'added')
      this.#sayHint(error, done, (text) => {
        say(b.text('\n      '))
        say(text)
      })
    b.place(done)
    say(b.text('\n'))
    b.compute(cursor, cursor, 'sub', buffer)
    this.attempt('write', 2, buffer, cursor)
  }

  /** Says a sentence, and in place of a quoted slot's character its text. */
  #sayQuoting(cursor: Slot, sentence: Slot): void {
    const { b } = this
    const byte = b.temporary()
    b.loop(({ leave, again }) => {
      b.load(byte, 8, sentence)
      b.compute(sentence, sentence, 'add', 1)
      this.#quoted.forEach((slot, index) => {
        b.when(byte, 'eq', 1 + index, () => {
          b.copyText(cursor, slot)
          again()
        })
      })
      b.store(8, cursor, 0, byte)
      b.when(byte, 'eq', 0, leave)
      b.compute(cursor, cursor, 'add', 1)
    })
  }

  /** Walks a table of rows, handing each row's columns to `visit`, which jumps to `next` or away. */
  #search(
    rows: readonly (readonly (number | Address)[])[],
    visit: (columns: readonly Slot[], next: Label) => void,
  ): void {
    const { b } = this
    const width = rows[0]?.length
    if (width === undefined) return
    const row = b.temporary()
    const left = b.temporary()
    const columns = Array.from({ length: width }, () => b.temporary())
    b.move(row, b.table(rows.flat()))
    b.move(left, rows.length)
    b.loop(({ leave }) => {
      const next = b.label()
      b.when(left, 'eq', 0, leave)
      columns.forEach((column, index) => {
        b.load(column, 32, row, 4 * index)
      })
      b.compute(row, row, 'add', 4 * width)
      b.compute(left, left, 'sub', 1)
      visit(columns, next)
      b.place(next)
    })
  }

  /** Says what there is to say of the step at work and this error, and jumps to `done`; or says nothing. */
  #sayHint(error: Slot, done: Label, say: (text: Slot) => void): void {
    const { b } = this
    const { group, rows } = this.#hintTables()
    const own = b.temporary()
    b.compute(own, this.step, 'add', group)
    b.load(own, 8, own)
    this.#search(rows, ([number, of, text], next) => {
      b.branch(number!, 'ne', error, next)
      b.branch(of!, 'ne', own, next)
      say(text!)
      b.jump(done)
    })
  }

  /** Steps with the same hints are a group: a byte for each step is its group, and rows are [errno, group, text]. */
  #hintTables(): { group: Address; rows: (number | Address)[][] } {
    const groups = [...new Set(this.steps.map(({ hints }) => hints))]
    return {
      group: this.b.bytes(Uint8Array.from(this.steps, ({ hints }) => groups.indexOf(hints))),
      rows: groups.flatMap((hints, group) =>
        (Object.entries(hints ?? {}) as [ErrnoName | '', string][]).flatMap(([name, hint]) =>
          name === '' ? [] : [[errno[name], group, this.b.text(hint)]],
        ),
      ),
    }
  }

  /** The command's name, at most 4096 bytes of it, with control characters shown as `?`: it is not ours. */
  #sayCommand(cursor: Slot): void {
    const { b } = this
    const from = b.temporary()
    const byte = b.temporary()
    const left = b.temporary()
    b.move(from, b.slot('command'))
    b.move(left, 4096)
    b.when(from, 'ne', 0, () => {
      b.loop(({ leave }) => {
        b.load(byte, 8, from)
        b.when(byte, 'eq', 0, leave)
        b.when(left, 'eq', 0, leave)
        b.when(byte, 'lt', 32, () => b.move(byte, 63))
        b.when(byte, 'eq', 127, () => b.move(byte, 63))
        b.store(8, cursor, 0, byte)
        b.compute(cursor, cursor, 'add', 1)
        b.compute(from, from, 'add', 1)
        b.compute(left, left, 'sub', 1)
      })
    })
    b.store(8, cursor, 0, 0)
  }
}

function sentence(step: Step): string {
  const [first] = typeof step.complaint === 'object' ? step.complaint : [step.complaint]
  return printable(typeof first === 'string' ? first : step.what)
}
