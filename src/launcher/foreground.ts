/**
 * The foreground of a terminal whose session the payload shares: tcsetpgrp(3), credentials(7). The payload leads a process group of
 * its own, for the caller's has no number in the sandbox's pid namespace, and dash(1) ends with 2 when it cannot give the
 * foreground back to it. So monitor and init do what a shell does for a job, in three steps: give it the foreground, take it
 * back when it stops, and at the end. Init tells the monitor by a pipe that sends it a signal: fcntl(2), F_SETSIG.
 */
import { routine } from '../assembly/routine.js'
import { variables } from '../assembly/variables.js'
import { AT, F, FIO, SIGMASK, TIOC, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { firstError, type Operand, type Slot } from '../machine/instruction.js'
import { ownPids, type Plan, relays } from '../plan/plan.js'
import type { LauncherContext } from './launcherContext.js'
import { told } from './record.js'
import { maskSize, setOf } from './signalMask.js'

/** Elsewhere the payload is in the caller's group, and nothing is given. */
const groups = (plan: Plan) => plan.start.sharesSession && relays(plan) && ownPids(plan) && plan.start.init === 'reaper'

const state = variables('callers', 'grouped', 'given', 'next', 'hears', 'interrupted', 'tells')

/** The caller's group, when it had the foreground; 0 when that is not ours to give back. */
const callers = ({ b }: LauncherContext): Slot => state(b).callers
/** Whether the payload is at the terminal: then no neighbour of a pipeline is, such as less(1). */
const grouped = ({ b }: LauncherContext): Slot => state(b).grouped
/** Whether the payload has the foreground, and else which group inside has it next. */
const given = ({ b }: LauncherContext): Slot => state(b).given
const next = ({ b }: LauncherContext): Slot => state(b).next
const hears = ({ b }: LauncherContext): Slot => state(b).hears
const interrupted = ({ b }: LauncherContext): Slot => state(b).interrupted
const tells = ({ b }: LauncherContext): Slot => state(b).tells

/** Descriptors that the monitor keeps, and init. */
export const foregroundEnds = (c: LauncherContext, of: 'monitor' | 'init'): Operand[] =>
  groups(c.plan) ? [of === 'monitor' ? hears(c) : tells(c)] : []

/** At the start, in the monitor. */
export function rememberForeground(c: LauncherContext): void {
  const { b } = c
  const [group, terminal] = [b.temporary(), b.temporary()]
  const value = b.reserve(8)
  const elsewhere = b.label()
  for (const slot of groups(c.plan) ? [callers(c), grouped(c), given(c), next(c), interrupted(c)] : [callers(c)])
    b.move(slot, 0)
  withTerminal(c, terminal, group, () => {
    c.attempt('getpgid', 0)
    b.when(c.result, 'eq', group, () => {
      b.move(callers(c), group)
      if (!groups(c.plan)) return
      // ENOTTY, but for the terminal of this session.
      for (const fd of [0, 1]) {
        c.attempt('ioctl', fd, TIOC.GPGRP, value)
        b.branch(c.result, 'ge', firstError, elsewhere)
      }
      b.move(grouped(c), 1)
      b.move(given(c), 1)
      b.place(elsewhere)
    })
  })
}

/** In the monitor, before there is an init. */
export function makeForegroundPipe(c: LauncherContext): void {
  if (!groups(c.plan)) return
  const { b } = c
  const pair = b.reserve(8)
  c.must('pipe2', pair, c.open.CLOEXEC | c.open.NONBLOCK)
  b.load(hears(c), 32, pair)
  b.load(tells(c), 32, pair, 4)
  c.must('fcntl', hears(c), F.SETOWN, c.attempt('getpid'))
  c.must('fcntl', hears(c), F.SETSIG, told.signal)
  c.must('ioctl', hears(c), FIO.ASYNC, b.bytes(Uint8Array.of(1, 0, 0, 0), 4))
}

/** In the payload, whose SIGTTOU is still blocked. */
export function takeForeground(c: LauncherContext): void {
  if (!groups(c.plan)) return
  const { b } = c
  const value = b.reserve(8)
  b.when(grouped(c), 'ne', 0, () => {
    c.attempt('setpgid', 0, 0)
    c.attempt('getpid')
    b.store(32, value, 0, c.result)
    c.attempt('ioctl', 0, TIOC.SPGRP, value)
  })
}

/** Init shares the code that takes signals: none of this is its own. */
export function leaveForegroundToMonitor(c: LauncherContext): void {
  c.b.move(callers(c), 0)
  if (groups(c.plan)) c.b.move(grouped(c), 0)
}

/** How init waits for its children. */
export const waitingFor = ({ plan }: LauncherContext): number => WAIT.NOHANG | (groups(plan) ? WAIT.UNTRACED : 0)

/** In init: tells that the payload has stopped, which is not its end, or that ^C has ended it. */
export function tellForeground(c: LauncherContext, status: Slot, stopped: () => void): void {
  if (!groups(c.plan)) return
  const { b } = c
  const low = b.temporary()
  const word = b.reserve(8)
  const tell = (what: number) => {
    b.store(64, word, 0, what)
    c.attempt('write', tells(c), word, 8)
  }
  b.compute(low, status, 'and', 0x7f)
  // WIFSTOPPED and WTERMSIG of wait(2).
  b.when(low, 'eq', 0x7f, () => {
    tell(told.stopped)
    stopped()
  })
  b.when(low, 'eq', signals.SIGINT, () => tell(told.interrupted))
}

/** In the monitor: takes what init tells, and SIGCONT, which comes when a shell continues the job. */
export function takeForegroundSignals(c: LauncherContext, signal: Slot, again: () => void): void {
  if (!groups(c.plan)) return
  const { b } = c
  const [group, terminal] = [b.temporary(), b.temporary()]
  const value = b.reserve(8)
  b.when(grouped(c), 'ne', 0, () => {
    b.when(signal, 'eq', told.signal, () => {
      b.when(hear(c), 'ne', told.stopped, again)
      takeForegroundBack(c, {})
      stopJob(c)
      // The command tells when it goes on.
      if (c.plan.start.statusFd !== undefined) again()
      b.move(signal, signals.SIGCONT)
    })
    b.when(signal, 'eq', signals.SIGCONT, () =>
      b.when(given(c), 'eq', 0, () =>
        withTerminal(c, terminal, group, () =>
          // After bg(1) it is the shell's.
          b.when(group, 'eq', callers(c), () => {
            b.store(32, value, 0, next(c))
            c.attempt('ioctl', terminal, TIOC.SPGRP, value)
            b.move(given(c), 1)
          }),
        ),
      ),
    )
  })
}

/** The caller's group has the foreground again, if the payload had it. */
const takeForegroundBack = routine('takeForegroundBack', {}, (c: LauncherContext) => {
  const { b } = c
  const [group, terminal] = b.temporaries(2)
  const value = b.reserve(8)
  b.when(given(c), 'ne', 0, () =>
    withTerminal(c, terminal, group, () => {
      b.move(next(c), group)
      b.store(32, value, 0, callers(c))
      c.attempt('ioctl', terminal, TIOC.SPGRP, value)
      b.move(given(c), 0)
    }),
  )
})

/** As ^Z does, which reached the payload only. A monitor in the job stops here until it is continued: see takeStop in relayingMonitor.ts. */
function stopJob(c: LauncherContext): void {
  signalJob(c, signals.SIGTSTP)
  if (c.plan.start.statusFd === undefined) actAs(c, signals.SIGTSTP)
}

/**
 * Does what a pending signal does by default. SIGTSTP does nothing in a process group that no shell would continue: setpgid(2),
 * "orphaned".
 */
export function actAs(c: LauncherContext, signal: number): void {
  const mask = setOf(c, signal)
  c.attempt('rt_sigprocmask', SIGMASK.UNBLOCK, mask, 0, maskSize)
  c.attempt('rt_sigprocmask', SIGMASK.BLOCK, mask, 0, maskSize)
}

function signalJob(c: LauncherContext, signal: number): void {
  const { b } = c
  const job = b.temporary()
  b.compute(job, 0, 'sub', callers(c))
  c.attempt('kill', job, signal)
}

/** The next word of init's; 0 when there is none. That of an interruption stays known. */
function hear(c: LauncherContext): Slot {
  const { b } = c
  const word = b.temporary()
  const buffer = b.reserve(8)
  c.attempt('read', hears(c), buffer, 8)
  b.move(word, 0)
  b.when(c.result, 'eq', 8, () => b.load(word, 64, buffer))
  b.when(word, 'eq', told.interrupted, () => b.move(interrupted(c), 1))
  return word
}

/**
 * ^C reached the payload only; when it dies of it, its neighbours and a script that waits for it get it as well. bash(1) ends only
 * when what it waited for died of it, too.
 */
function relayInterrupt(c: LauncherContext): void {
  const { b } = c
  b.loop(({ leave }) => b.when(hear(c), 'eq', 0, leave))
  b.when(interrupted(c), 'ne', 0, () => {
    signalJob(c, signals.SIGINT)
    if (c.plan.start.statusFd === undefined) actAs(c, signals.SIGINT)
  })
}

/** When the one that started the monitor is gone: a shell that goes on may read the terminal at once. */
export function endForeground(c: LauncherContext, init: Slot): void {
  if (groups(c.plan)) c.b.when(grouped(c), 'ne', 0, () => takeForegroundBack(c, {}))
  c.attempt('kill', init, signals.SIGKILL)
  c.attempt('wait4', init, 0, 0, 0)
  giveForegroundBack(c, {})
}

/** At the end, when the payload has ended. SIGTTOU is blocked. */
export const giveForegroundBack = routine('giveForegroundBack', {}, (c: LauncherContext) => {
  const { b } = c
  const [group, terminal] = b.temporaries(2)
  const value = b.reserve(8)
  b.when(callers(c), 'ne', 0, () => {
    withTerminal(c, terminal, group, () => {
      b.compute(group, 0, 'sub', group)
      c.attempt('kill', group, 0)
      c.whenError('ESRCH', () => {
        b.store(32, value, 0, callers(c))
        c.attempt('ioctl', terminal, TIOC.SPGRP, value)
      })
    })
    if (groups(c.plan)) relayInterrupt(c)
  })
})

function withTerminal(c: LauncherContext, terminal: Slot, group: Slot, then: () => void): void {
  const { b } = c
  const value = b.reserve(8)
  b.move(terminal, c.attempt('openat', AT.FDCWD, b.text('/dev/tty'), c.open.RDWR | c.open.CLOEXEC, 0))
  b.when(terminal, 'lt', firstError, () => {
    c.attempt('ioctl', terminal, TIOC.GPGRP, value)
    b.load(group, 32, value)
    then()
    c.attempt('close', terminal)
  })
}
