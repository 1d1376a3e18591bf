/** What every part of the launcher's code shares: the builder, the slots, and how a failing system call is reported. */
import type { Architecture } from '../kernel/architecture.js'
import { errno, type ErrnoName, errnoMessage } from '../kernel/errno.js'
import { openFlags } from '../kernel/flags.js'
import type { SyscallName } from '../kernel/syscalls.js'
import { Builder } from '../machine/builder.js'
import type { Address, Label, Operand, Slot } from '../machine/instruction.js'
import type { Plan, Step } from '../plan/step.js'

/** On the pipe to the monitor, where no wait status is so large. */
export const setupFailed = 0xffffffff

/**
 * Records on the status descriptor: four little-endian u64 and a struct rusage (zero but in `ended`). A file there may
 * begin with a header, the pid of the process that starts the vial as u64.
 */
export const record = { header: 8, size: 32 + 144, failed: 1, payload: 2, started: 3, ended: 4, limit: 5 } as const

/** Which limit a record of kind `limit` is about. */
export const reached = { wallTime: 1, cpuTime: 2, memory: 3 } as const

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
  'ENAMETOOLONG',
  'ENOSYS',
  'ELOOP',
  'EOVERFLOW',
  'EUSERS',
  'EOPNOTSUPP',
  'EDQUOT',
  'ESTALE',
]

/** Unsigned results above this are -errno. */
const firstError = -4095

export class LauncherContext {
  readonly b = new Builder()
  readonly open: ReturnType<typeof openFlags>
  readonly result = this.b.slot('result')
  readonly step = this.b.slot('step')
  readonly root = this.b.slot('root')
  readonly stack: Slot = this.b.slot('stack')
  /** Where init writes how the payload ended, while it lingers; 0 in the monitor. */
  readonly pipe = this.b.slot('pipe')
  readonly fail: Label = this.b.label()
  readonly steps: Step[] = []
  /** Descriptors that init keeps open, known at run time. */
  readonly heldSlots: Slot[] = []

  constructor(
    readonly plan: Plan,
    architecture: Architecture,
  ) {
    this.open = openFlags(architecture)
  }

  /** Begins the code of a step: a failure from here on is this step's. */
  begin(step: Step): void {
    this.b.mark(this.steps.length)
    this.b.move(this.step, this.steps.length)
    this.steps.push(step)
  }

  /** From here on the step fails with its second complaint, if it has one. */
  afterSource(step: Step): void {
    if (typeof step.complaint !== 'object') return
    this.b.move(this.step, this.steps.length)
    this.steps.push({ ...step, complaint: step.complaint[1] })
  }

  /** A system call that must succeed; the result is in `result`. */
  must(name: SyscallName, ...args: Operand[]): Slot {
    this.b.syscall(this.result, name, ...args)
    this.b.branch(this.result, 'ge', firstError, this.fail)
    return this.result
  }

  /** A system call whose failure is looked at by what follows. */
  attempt(name: SyscallName, ...args: Operand[]): Slot {
    this.b.syscall(this.result, name, ...args)
    return this.result
  }

  /** A system call that may fail with `tolerated`, and with nothing else. */
  mustUnless(tolerated: ErrnoName, name: SyscallName, ...args: Operand[]): void {
    this.attempt(name, ...args)
    this.b.when(this.result, 'ge', firstError, () => {
      this.b.branch(this.result, 'ne', -errno[tolerated], this.fail)
    })
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

  /** `vial: cannot WHAT: ERROR` and a second line with the hint, in one write(2). */
  #printSentence(error: Slot): void {
    const { b } = this
    const buffer = b.reserve(16384)
    const cursor = b.temporary()
    const say = (text: Operand) => b.copyText(cursor, text)
    b.move(cursor, buffer)
    say(b.text(this.plan.manner.prefix))
    const found = b.temporary()
    const constants: Address = { kind: 'address', area: 'constants', offset: 0 }
    const sentences = this.#table(this.steps.map((step) => [b.text(sentence(step)).offset]))
    b.compute(found, this.step, 'shl', 2)
    b.compute(found, found, 'add', sentences)
    b.load(found, 32, found)
    b.compute(found, found, 'add', constants)
    say(found)
    b.when(this.step, 'eq', this.steps.length - 1, () => {
      say(b.text(' '))
      this.#sayCommand(cursor)
    })
    say(b.text(': '))
    const spelled = b.label()
    this.#search(
      spelledErrors.map((name) => [errno[name], b.text(errnoMessage(errno[name])).offset]),
      ([number, text], next) => {
        b.branch(number!, 'ne', error, next)
        b.compute(found, text!, 'add', constants)
        say(found)
        b.jump(spelled)
      },
    )
    say(b.text('error '))
    b.decimal(cursor, error)
    b.place(spelled)
    const hinted = b.label()
    this.#search(this.plan.manner.hints ? this.#hintRows() : [], ([number, low, high, text], next) => {
      b.branch(number!, 'ne', error, next)
      b.branch(this.step, 'lt', low!, next)
      b.branch(this.step, 'gt', high!, next)
      say(b.text('\n      '))
      b.compute(found, text!, 'add', constants)
      say(found)
      b.jump(hinted)
    })
    b.place(hinted)
    say(b.text('\n'))
    b.compute(cursor, cursor, 'sub', buffer)
    this.attempt('write', 2, buffer, cursor)
  }

  /** Rows of u32 as constants. */
  #table(rows: readonly (readonly number[])[]): Address {
    return this.b.bytes(new Uint8Array(Uint32Array.from(rows.flat()).buffer), 4)
  }

  /** Walks a table of rows, handing each row's columns to `visit`, which jumps to `next` or away. */
  #search(rows: readonly (readonly number[])[], visit: (columns: readonly Slot[], next: Label) => void): void {
    const { b } = this
    const width = rows[0]?.length
    if (width === undefined) return
    const row = b.temporary()
    const left = b.temporary()
    const columns = Array.from({ length: width }, () => b.temporary())
    b.move(row, this.#table(rows))
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

  /** [errno, first step, last step, text] of every hint. Steps of one kind share one object of hints. */
  #hintRows(): number[][] {
    const groups = new Map<NonNullable<Step['hints']>, number[]>()
    this.steps.forEach(({ hints }, index) => {
      if (hints === undefined) return
      const group = groups.get(hints)
      if (group === undefined) groups.set(hints, [index])
      else group.push(index)
    })
    return [...groups].flatMap(([hints, steps]) =>
      (Object.entries(hints) as [ErrnoName | '', string][]).flatMap(([name, hint]) =>
        name === '' ? [] : runs(steps).map(([low, high]) => [errno[name], low, high, this.b.text(hint).offset]),
      ),
    )
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

/** What the terminal would obey is not handed on to it. */
function sentence(step: Step): string {
  const text = typeof step.complaint === 'object' ? step.complaint[0] : (step.complaint ?? step.what)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\0-\x1f\x7f]/g, '?')
}

/** [1,2,3,7] → [[1,3],[7,7]]. */
function runs(indexes: readonly number[]): [number, number][] {
  const found: [number, number][] = []
  for (const index of indexes) {
    const last = found.at(-1)
    if (last !== undefined && last[1] === index - 1) last[1] = index
    else found.push([index, index])
  }
  return found
}
