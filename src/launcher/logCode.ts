/**
 * What a payload writes that has no other reader: the monitor takes it from a pipe, and keeps the last of it in two files, `log` and `log.1`,
 * of a directory that the caller chose. A payload never waits for the disk: what it has no room for is lost.
 */
import { noFile } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { variables } from '../assembly/variables.js'
import { CLOSE_RANGE, F } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { structs } from '../kernel/structs.js'
import { type Address, firstError, type Operand, type Slot } from '../machine/instruction.js'
import type { Plan } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import { type LauncherContext, scratchSize } from './launcherContext.js'
import type { Source } from './sources.js'

/** Of the monitor: the end of the pipe, the directory's descriptor, the file, and how much is in it. */
const log = variables('pipe', 'directory', 'file', 'size')
const [present, older] = ['log', 'log.1'] as const

export const logCode = {
  log(c: LauncherContext, step: Step<'log'>): void {
    const { b } = c
    const { pipe, directory } = log(b)
    const pair = b.reserve(8)
    const end = b.temporary()
    b.move(directory, step.directory)
    c.must('close_range', directory, directory, CLOSE_RANGE.CLOEXEC)
    openLog(c, {})
    c.orFail()
    c.must('pipe2', pair, c.open.CLOEXEC)
    b.load(pipe, 32, pair)
    c.must('fcntl', pipe, F.SETFL, c.open.NONBLOCK)
    b.load(end, 32, pair, 4)
    for (const fd of step.streams) {
      c.must('dup3', end, fd, 0)
      // What /dev/stdout opens anew is a file of the user who made the pipe.
      if (step.foreign) c.must('fchmod', fd, 0o666)
    }
    c.attempt('close', end)
  },
}

const logOf = (plan: Plan) => plan.start.streams.find((step) => step.do === 'log')

/** What the monitor keeps open to its end. */
export function logFiles(c: LauncherContext): Operand[] {
  if (logOf(c.plan) === undefined) return []
  const { pipe, directory, file } = log(c.b)
  return [pipe, directory, file]
}

/** Init has none of it. */
export function closeLog(c: LauncherContext): void {
  for (const fd of logFiles(c)) c.attempt('close', fd)
}

export const logSource = (c: LauncherContext): Source[] =>
  logOf(c.plan) === undefined ? [] : [{ fd: log(c.b).pipe, act: () => pump(c, {}) }]

/** What the pipe holds when all who wrote have ended. */
export function finishLog(c: LauncherContext): void {
  if (logOf(c.plan) !== undefined) pump(c, {})
}

/** A write beyond the caller's limit for files, ulimit -f, also sends a signal to who writes: signal(7). It is not for the payload. */
export function takeTooLarge(c: LauncherContext, signal: Slot, info: Address, again: () => void): void {
  if (logOf(c.plan) === undefined) return
  const { b } = c
  const sender = b.temporary()
  b.when(signal, 'eq', signals.SIGXFSZ, () => {
    b.load(sender, 32, info, structs.siginfo.fields.si_pid.offset)
    c.attempt('getpid')
    b.when(c.result, 'eq', sender, again)
  })
}

const openLog = routine('openLog', {}, (c: LauncherContext) => {
  const { b } = c
  const { directory, file, size } = log(b)
  const flags = c.open.WRONLY | c.open.CREAT | c.open.TRUNC | c.open.APPEND | c.open.NOFOLLOW | c.open.CLOEXEC
  c.attempt('openat', directory, b.text(present), flags, 0o600)
  c.whenFailed(
    () => {},
    () => {
      b.move(file, c.result)
      b.move(size, 0)
    },
  )
})

const pump = routine('pumpLog', {}, (c: LauncherContext) => {
  const { b, plan } = c
  const { pipe, directory, file, size } = log(b)
  const { most } = logOf(plan)!
  const half = Math.floor(most / 2)
  const got = b.temporary()
  b.loop(({ leave }) => {
    b.move(got, c.attempt('read', pipe, c.scratch, Math.min(scratchSize, half)))
    b.when(got, 'ge', firstError, leave)
    b.when(got, 'eq', 0, () => {
      // The last writer is gone.
      c.attempt('close', pipe)
      b.move(pipe, noFile)
      leave()
    })
    b.compute(size, size, 'add', got)
    b.when(size, 'gt', half, () => {
      c.attempt('close', file)
      c.attempt('renameat', directory, b.text(present), directory, b.text(older))
      openLog(c, {})
      c.whenFailed(() => b.move(file, noFile))
      b.move(size, got)
    })
    c.attempt('write', file, c.scratch, got)
  })
})
