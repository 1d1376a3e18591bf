/** How monitor and init wait: what they do with signals, with orphans, and with the end of the payload. */
import { routine } from '../assembly/routine.js'
import { own, variable, variables } from '../assembly/variables.js'
import { POLL, PR, SI, SIG, SIGMASK, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { ownPids, relays } from '../plan/plan.js'
import { writeExitCode } from './announce.js'
import { closeAllBut, descriptorCode } from './descriptorCode.js'
import {
  actAs,
  endForeground,
  foregroundEnds,
  giveForegroundBack,
  leaveForegroundToMonitor,
  takeForegroundSignals,
  tellForeground,
  waitingFor,
} from './foreground.js'
import type { LauncherContext } from './launcherContext.js'
import { awaitSignalOrMemory, endsBySignal, releaseUnwatched, takeTimer, watches } from './limitCode.js'
import { callerOf, takeParentsEnd, tiedToCaller } from './parent.js'
import { awaitAcknowledgement, callersEnds, takeAcknowledgement } from './pipeCode.js'
import { dropEverything } from './privileges.js'
import { endSignal, hangUp, record, suspend } from './record.js'

const maskSize = 8
const masks = own(({ b }: LauncherContext) => ({
  every: b.bytes(new Uint8Array(8).fill(255), 8),
  callers: b.reserve(8),
}))
const allSignals = (c: LauncherContext) => masks(c).every

/**
 * Signals stay blocked in a monitor and an init that pass them on, which take them one at a time; the payload gets the
 * caller's mask back. A caller that ignores SIGCHLD would have our children reaped unseen.
 */
export function blockSignals(c: LauncherContext): void {
  const { every, callers } = masks(c)
  // What the terminal sends to the whole job reaches the caller, who hands it on: it must not arrive twice.
  if (c.plan.start.statusFd !== undefined && !c.plan.start.sharesSession) leaveGroup(c)
  if (relays(c.plan)) c.must('rt_sigprocmask', SIGMASK.SETMASK, every, callers, maskSize)
  if (c.plan.start.statusFd !== undefined) ignoreAsCaller(c, c.plan.start.statusFd)
  c.must('rt_sigaction', signals.SIGCHLD, c.b.bytes(new Uint8Array(32), 8), 0, maskSize)
}

/** Node.js starts the vial with no signal ignored. What is ignored stays so in init and the command: execve(2). */
function ignoreAsCaller(c: LauncherContext, statusFd: number): void {
  const { b } = c
  const [mask, signal, ignored] = b.temporaries(3)
  const header = b.reserve(8, 8)
  const ignore = b.bytes(pack(structs.sigaction, { sa_handler: SIG.IGN }), 8)
  c.attempt('pread64', statusFd, header, 8, record.ignored)
  b.when(c.result, 'eq', 8, () => {
    b.load(mask, 64, header)
    b.move(signal, 0)
    b.loop(({ leave }) => {
      b.when(mask, 'eq', 0, leave)
      b.compute(signal, signal, 'add', 1)
      b.compute(ignored, mask, 'and', 1)
      b.compute(mask, mask, 'shr', 1)
      b.when(ignored, 'ne', 0, () => c.attempt('rt_sigaction', signal, ignore, 0, maskSize))
    })
  })
}

export function unblockSignals(c: LauncherContext): void {
  if (relays(c.plan)) c.must('rt_sigprocmask', SIGMASK.SETMASK, masks(c).callers, 0, maskSize)
}

/** docs/how-it-works.md, "Signals", says who is in which process group. */
export function leaveGroup(c: LauncherContext): void {
  c.attempt('setpgid', 0, 0)
}

/** Waits until init tells how the payload ended, or has ended itself. */
export function lingeringMonitor(c: LauncherContext, init: Slot): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  const failed = b.temporary()
  const jsonFd = plan.start.announcement?.statusFd
  const [pidfd, gone, told] = [b.temporary(), b.temporary(), b.temporary()]
  const value = b.reserve(8, 8)
  const polls = b.reserve(2 * structs.pollfd.size)
  b.move(pidfd, c.must('pidfd_open', init, 0))
  closeAllBut(c, [c.outcome, pidfd, ...(jsonFd === undefined ? [] : [jsonFd])])
  // A monitor needs no privilege from here on. Without any it would be open to a payload of its pid and user namespace, whose
  // way out it would be: the host's mounts are behind it. Init, which writes its id maps, has a memory of its own already.
  c.attempt('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  dropEverything(c)
  b.move(failed, 0)
  for (const [index, fd] of [c.outcome, pidfd].entries()) {
    b.store(32, polls, index * structs.pollfd.size, fd)
    b.store(32, polls, index * structs.pollfd.size + 4, POLL.IN)
  }
  const ended = b.label()
  b.loop(({ leave }) => {
    c.attempt('ppoll', polls, 2, 0, 0, 0)
    // Asked in this order: what init told before its end is read after it.
    b.move(gone, c.attempt('wait4', init, status, WAIT.ALL | WAIT.NOHANG, 0))
    c.attempt('read', c.outcome, value, 8)
    b.when(c.result, 'eq', 8, () => {
      b.load(told, 32, value, 4)
      b.compute(failed, failed, 'or', told)
      b.load(code, 32, value)
      b.compute(code, code, 'sub', 1)
      b.load(told, 32, value)
      b.branch(told, 'ne', 0, ended)
    })
    b.when(gone, 'eq', init, leave)
  })
  b.load(code, 32, status)
  b.place(ended)
  const exitCode = toExitCode(c, code)
  if (jsonFd !== undefined) b.when(failed, 'eq', 0, () => writeExitCode(c, jsonFd, exitCode))
  c.exit(exitCode)
}

/** Reaps everything, tells the monitor how the payload ended, and stays until no process is left. */
export function lingeringInit(c: LauncherContext, payload: Slot): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  const child = b.temporary()
  closeAllBut(c, [c.outcome, ...plan.start.holdFds, ...c.heldSlots])
  dropEverything(
    c,
    plan.entrant.once.some((step) => step.do === 'capabilities' && step.spare !== undefined),
  )
  const seccomp = plan.entrant.each.find((step) => step.do === 'seccomp')
  if (seccomp !== undefined) descriptorCode.seccomp(c, seccomp)
  b.move(code, 0x100)
  b.loop(({ again, leave }) => {
    b.move(child, c.attempt('wait4', -1, status, WAIT.ALL, 0))
    c.whenFailed(leave)
    b.when(child, 'ne', payload, again)
    b.load(code, 32, status)
    b.compute(child, code, 'add', 1)
    c.tellMonitor(child, 0)
  })
  exitAs(c, code)
}

/**
 * A process of its own, outside of the sandbox, that kills init once the monitor is gone, however it went. It is no
 * child that a wait4(2) without __WCLONE finds, for its end sends no signal.
 */
export function watchMonitor(c: LauncherContext, monitor: Slot, init: Slot): void {
  const { b } = c
  const [target, watcher] = [b.temporary(), b.temporary()]
  const poll = b.reserve(structs.pollfd.size)
  b.move(target, c.must('pidfd_open', init, 0))
  b.move(watcher, c.must('clone', 0, 0, 0, 0, 0))
  b.when(watcher, 'eq', 0, () => {
    c.attempt('close_range', 0, 2, 0)
    closeAllBut(c, [monitor, target])
    b.store(32, poll, 0, monitor)
    b.store(32, poll, 4, POLL.IN)
    b.loop(({ leave }) => {
      c.attempt('ppoll', poll, 1, 0, 0, 0)
      b.when(c.result, 'eq', 1, leave)
    })
    c.attempt('pidfd_send_signal', target, signals.SIGKILL, 0, 0)
    c.exit(0)
  })
  c.attempt('close', target)
}

/** Waits for init, passes signals on to it, reports, and ends as the payload did. */
export function monitorLoop(c: LauncherContext, init: Slot): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  if (plan.start.statusFd !== undefined) c.report(record.started, init, endsBySignal(plan) ? 1 : 0)
  if (watches(plan)) releaseUnwatched(c)
  else releaseFds(c, [...callersEnds(c), ...foregroundEnds(c, 'monitor')])
  // Init and payload were cloned into the job's group before.
  if (plan.start.sharesSession && plan.start.statusFd !== undefined) leaveGroup(c)
  relayTo(c, init, plan.start.init === 'payload' ? 'payload' : 'init')
  b.loop(({ again }) => {
    ;(watches(plan) ? takeSignalAndWatch : takeSignal)(c, { to: init })
    const usage = plan.start.statusFd === undefined ? 0 : { ...c.recordBuffer(), offset: c.recordBuffer().offset + 32 }
    c.must('wait4', init, status, WAIT.NOHANG, usage)
    b.when(c.result, 'ne', init, again)
    b.load(code, 32, status)
    if (plan.start.statusFd !== undefined) c.report(record.ended, code)
    if (plan.start.sharesSession) giveForegroundBack(c, {})
    awaitAcknowledgement(c)
    exitAs(c, code)
  })
}

/** Reaps everything, passes signals on to the payload, and ends when the payload does: the kernel then ends the rest. */
export function initLoop(c: LauncherContext, payload: Slot): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  const ending = endsBySignal(plan) ? endingOf(b) : undefined
  releaseFds(c, foregroundEnds(c, 'init'))
  if (plan.start.sharesSession) {
    leaveGroup(c)
    leaveForegroundToMonitor(c)
  }
  relayTo(c, payload, 'payload')
  // Nothing but the end of the monitor may look like that of a parent.
  if (tiedToCaller(plan)) b.move(callerOf(b), c.attempt('getppid'))
  b.loop(({ again }) => {
    ;(ending === undefined ? takeSignal : takeSignalOrEnd)(c, { to: payload })
    b.loop(({ again: reapNext }) => {
      c.attempt('wait4', -1, status, waitingFor(c), 0)
      c.whenError('ECHILD', () => {
        if (ending !== undefined)
          b.when(ending, 'ne', 0, () => {
            c.report(record.payload, code, 1)
            exitAs(c, code)
          })
        again()
      })
      c.orFail()
      b.when(c.result, 'eq', 0, again)
      b.when(c.result, 'ne', payload, reapNext)
      b.load(code, 32, status)
      tellForeground(c, code, reapNext)
      // The others are waited for as well.
      if (ending !== undefined) b.when(ending, 'ne', 0, reapNext)
      if (plan.start.statusFd !== undefined) c.report(record.payload, code)
      exitAs(c, code)
    })
  })
}

/** Neither monitor nor init may keep a pipe of the payload's open, and neither writes to one from here on. */
function releaseFds(c: LauncherContext, kept: readonly Operand[] = []): void {
  const { plan } = c
  if (kept.length > 0) {
    c.attempt('close_range', 0, 2, 0)
    closeAllBut(c, [...(plan.start.statusFd === undefined ? [] : [plan.start.statusFd]), ...kept])
    return
  }
  c.attempt('close_range', 0, (plan.start.statusFd ?? 0x100000000) - 1, 0)
  if (plan.start.statusFd !== undefined) c.attempt('close_range', plan.start.statusFd + 1, 0xffffffff, 0)
}

/** Takes the next signal; returns when it is SIGCHLD and passes any other on to `to`. */
const takeSignal = taker('takeSignal')
/** In a monitor that watches limits. */
const takeSignalAndWatch = taker('takeSignalAndWatch')
/** In a pid 1 that ends by a signal. */
const takeSignalOrEnd = taker('takeSignalOrEnd')

type Taking = 'takeSignal' | 'takeSignalAndWatch' | 'takeSignalOrEnd'

function taker(manner: Taking) {
  return routine(manner, { takes: ['to'] }, (c: LauncherContext, { to }) => takeSignals(c, to, manner))
}

/** Whether a pid 1 ends all. */
const endingOf = variable()

/** From outside the pid namespace, where no sender has a pid: kills all but pid 1, which kill(-1) leaves out. */
function takeEnd(c: LauncherContext, signal: Slot, info: Address, again: () => void): void {
  const { b } = c
  const [origin, sender] = [b.temporary(), b.temporary()]
  const { si_code, si_pid } = structs.siginfo.fields
  b.when(signal, 'eq', endSignal, () => {
    b.load(origin, 32, info, si_code.offset)
    b.load(sender, 32, info, si_pid.offset)
    // SI_USER is 0, and so is the pid.
    b.compute(sender, sender, 'or', origin)
    b.when(sender, 'eq', 0, () => {
      // Elsewhere it would reach all processes of the user.
      c.attempt('getpid')
      b.when(c.result, 'eq', 1, () => {
        b.move(endingOf(b), 1)
        c.attempt('kill', -1, signals.SIGKILL)
        again()
      })
    })
  })
}

/** What differs between monitor and init, which share the code: who gets what is for all, and what they get. */
const relay = variables('everyone', 'stop', 'hangUp')

function relayTo(c: LauncherContext, next: Slot, who: 'init' | 'payload'): void {
  const { b, plan } = c
  const { everyone, stop, hangUp: closed } = relay(b)
  const last = who === 'payload'
  // Only a pid 1 of ours may mean all that it can reach.
  const all = last && ownPids(plan) && plan.start.init === 'reaper'
  if (all) b.move(everyone, -1)
  else if (last) b.compute(everyone, 0, 'sub', next)
  else b.move(everyone, next)
  b.move(stop, last ? signals.SIGSTOP : suspend)
  if (plan.start.statusFd !== undefined) b.move(closed, last ? signals.SIGHUP : hangUp)
}

function takeSignals(c: LauncherContext, to: Slot, manner: Taking): void {
  const { b, plan } = c
  const everySignal = allSignals(c)
  const info = b.reserve(128, 16)
  const signal = b.temporary()
  const target = b.temporary()
  const { everyone, stop, hangUp: closed } = relay(b)
  const inMonitorOnly = manner === 'takeSignalAndWatch'
  b.loop(({ leave, again }) => {
    if (inMonitorOnly) awaitSignalOrMemory(c, to)
    c.attempt('rt_sigtimedwait', everySignal, info, 0, maskSize)
    c.whenError('EINTR', again)
    c.orFail()
    b.move(signal, c.result)
    b.when(signal, 'eq', signals.SIGCHLD, leave)
    takeAcknowledgement(c, signal, again)
    if (inMonitorOnly) takeTimer(c, signal, info, to, again)
    if (manner === 'takeSignalOrEnd') takeEnd(c, signal, info, again)
    if (tiedToCaller(plan))
      takeParentsEnd(c, signal, again, plan.start.sharesSession ? () => endForeground(c, to) : undefined)
    takeForegroundSignals(c, signal, again)
    if (plan.start.statusFd === undefined) takeStop(c, signal)
    // What a terminal sends reaches a payload of the same session by itself.
    if (plan.start.sharesSession) {
      b.load(target, 32, info, structs.siginfo.fields.si_code.offset)
      b.when(target, 'eq', SI.KERNEL, again)
    }
    b.compute(target, 0, 'sub', to)
    const send = b.label()
    // The keys of a terminal are for a whole process group, such as a shell and what it waits for.
    b.branch(signal, 'eq', signals.SIGINT, send)
    b.branch(signal, 'eq', signals.SIGQUIT, send)
    if (plan.start.statusFd !== undefined)
      b.when(signal, 'eq', hangUp, () => {
        b.move(signal, closed)
        b.jump(send)
      })
    b.move(target, everyone)
    b.branch(signal, 'eq', signals.SIGCONT, send)
    b.when(signal, 'eq', suspend, () => {
      b.move(signal, stop)
      b.jump(send)
    })
    b.move(target, to)
    b.place(send)
    c.attempt('kill', target, signal)
    // It leads no group.
    c.whenFailed(() => c.attempt('kill', to, signal))
  })
}

/**
 * SIGTSTP, which a vial by itself gets from the terminal: first all of the sandbox stops, then we, by the signal's own action.
 * Either way it goes on with SIGCONT.
 */
function takeStop(c: LauncherContext, signal: Slot): void {
  const { b } = c
  const { everyone, stop } = relay(b)
  b.when(signal, 'eq', signals.SIGTSTP, () => {
    c.attempt('kill', everyone, stop)
    c.attempt('getpid')
    c.attempt('kill', c.result, signal)
    actAs(c, signals.SIGTSTP)
    b.move(signal, signals.SIGCONT)
  })
}

/** Exits as wait status `code` says. */
function exitAs(c: LauncherContext, code: Slot): void {
  c.exit(toExitCode(c, code))
}

/** Of a wait status: the exit status, or 128 + the signal. */
function toExitCode(c: LauncherContext, code: Slot): Slot {
  const { b } = c
  const signal = b.temporary()
  const status = b.temporary()
  b.compute(signal, code, 'and', 0x7f)
  b.compute(status, code, 'shr', 8)
  b.compute(status, status, 'and', 0xff)
  b.when(signal, 'ne', 0, () => b.compute(status, signal, 'add', 128))
  return status
}
