/**
 * Pipes between the payload and the process that starts the vial. Node's own "pipes" are pairs of sockets of the host's network
 * namespace, by which ioctl(2) reaches the host's interfaces. So the monitor makes the pipes, and Node opens its ends as
 * /proc/PID/fd/N. The monitor keeps these ends until Node says that it has them: else the last reader, or the last writer,
 * would be gone before there is another.
 */
import { routine } from '../assembly/routine.js'
import { variable, variableOf } from '../assembly/variables.js'
import { pack, structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Plan } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { pipesTaken, record } from './record.js'
import { maskSize, setOf } from './signalMask.js'

type Pipes = Step<'pipes'>

export const pipeCode = {
  pipes(c: LauncherContext, step: Pipes): void {
    const { b } = c
    const buffer = c.recordBuffer()
    const end = b.temporary()
    b.store(64, buffer, 0, record.piped)
    step.pipes.forEach(({ fd, payload }, index) => {
      const pair = { ...buffer, offset: buffer.offset + 8 * (index + 1) }
      const [own, callers] = payload === 'reads' ? [0, 4] : [4, 0]
      c.must('pipe2', pair, c.open.CLOEXEC)
      b.load(end, 32, pair, own)
      b.load(callersEnd(b, fd), 32, pair, callers)
      c.must('dup3', end, fd, 0)
      // What /dev/stdout opens anew is a file of the user who made the pipe.
      if (step.foreign) c.must('fchmod', fd, 0o666)
    })
    c.must('write', c.plan.start.statusFd!, buffer, record.size)
    b.move(held(b), 1)
  },
}

/** Whether they are still open. */
const held = variable()
const callersEnd = variableOf<number>()
const pipesOf = (plan: Plan) => plan.start.streams.find((step) => step.do === 'pipes')?.pipes ?? []

const hasPipes = (plan: Plan) => pipesOf(plan).length > 0

/** The caller's ends. */
export const callersEnds = ({ b, plan }: LauncherContext): Operand[] => pipesOf(plan).map(({ fd }) => callersEnd(b, fd))

/** Init keeps none: it may itself read a pipe to its end. */
export function closeCallersEnds(c: LauncherContext): void {
  // Where the monitor has let them go before, other files have their numbers.
  if (hasPipes(c.plan)) c.b.when(held(c.b), 'ne', 0, () => letGo(c, {}))
}

/** Where `signal` tells that the caller has its ends; one more of that number is for the payload. */
export function takeAcknowledgement(c: LauncherContext, signal: Slot, again: () => void): void {
  if (!hasPipes(c.plan)) return
  const { b } = c
  b.when(signal, 'eq', pipesTaken, () =>
    b.when(held(b), 'ne', 0, () => {
      letGo(c, {})
      again()
    }),
  )
}

/** Waits until the caller has its ends, or is gone. */
export function awaitAcknowledgement(c: LauncherContext): void {
  if (hasPipes(c.plan)) awaitTaken(c, {})
}

const awaitTaken = routine('awaitAcknowledgement', {}, (c: LauncherContext) => {
  const { b } = c
  const mask = setOf(c, pipesTaken)
  const pause = b.bytes(pack(structs.timespec, { tv_sec: 0n, tv_nsec: 10_000_000n }), 8)
  b.when(held(b), 'ne', 0, () => {
    const parent = callersPid(c)
    b.loop(({ leave }) => {
      c.attempt('rt_sigtimedwait', mask, 0, pause, maskSize)
      b.when(c.result, 'eq', pipesTaken, leave)
      c.attempt('getppid')
      b.when(c.result, 'ne', parent, leave)
    })
    letGo(c, {})
  })
})

const letGo = routine('letGoOfPipes', {}, (c: LauncherContext) => {
  for (const end of callersEnds(c)) c.attempt('close', end)
  c.b.move(held(c.b), 0)
})

/**
 * Who started us, as the status file has it; without one, our parent. A death before the first line here is then not
 * seen.
 */
export function callersPid(c: LauncherContext): Slot {
  const { b } = c
  const parent = b.temporary()
  b.move(parent, c.attempt('getppid'))
  if (c.plan.start.statusFd !== undefined) {
    const header = b.reserve(8, 8)
    c.attempt('pread64', c.plan.start.statusFd, header, 8, 0)
    b.when(c.result, 'eq', 8, () => b.load(parent, 64, header))
  }
  return parent
}
