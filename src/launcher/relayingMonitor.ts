/**
 * A monitor that relays: it takes its signals one by one, hands them on to init, which hands them on to the payload, and ends when
 * init has ended. Init ends with the payload, and the kernel then ends all that is left.
 *
 * How this file thinks. Two processes run the same loop (`takeSignals`): the monitor, whose child is init, and init, whose child is the
 * payload. What differs between them is in slots that {@link relayTo} fills: who gets what is for all, and what is sent in place of a
 * signal that would stop or end the wrong process. All signals are blocked in both from the first line of the monitor on, so that none
 * is lost, and none acts but where rt_sigtimedwait(2) takes it. SIGCHLD is the only one at which the loop is left: then a child has
 * ended (or stopped), or the one that this is all about has. Before it passes on any other, the loop asks in turn whether it is one of
 * our own numbers (record.ts): the caller has its pipes, a timer went off, the parent ended, init tells of the foreground. Each of these
 * needs what only the monitor has, or only init, and where the plan has no use for it there is no code.
 *
 * The order at the end matters: the monitor tells how init ended before it gives the terminal back, and waits for the caller to have
 * its pipes before it exits, for with it the last writer would be gone.
 */
import { routine } from '../assembly/routine.js'
import { variable, variables } from '../assembly/variables.js'
import { SI, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { isHouse, ownPids, type Plan } from '../plan/plan.js'
import { closeAllBut } from './descriptorCode.js'
import { heldChannel } from './networkCode.js'
import { exitAs } from './exitStatus.js'
import {
  actAs,
  endForeground,
  foregroundEnds,
  giveForegroundBack,
  leaveForegroundToMonitor,
  makeForegroundPipe,
  rememberForeground,
  takeForeground,
  takeForegroundSignals,
  tellForeground,
  waitingFor,
} from './foreground.js'
import { heldHandles } from './handOut.js'
import type { LauncherContext } from './launcherContext.js'
import type { Life } from './life.js'
import { endsBySignal, memorySource, releaseUnwatched, takeTimer, watches } from './limitCode.js'
import { finishLog, logFiles, logSource, takeTooLarge } from './logCode.js'
import { killCommand, reapOrphan } from './orphans.js'
import { callerOf, diesWithParent, takeLetLive, takeParentsEnd, tiedToCaller } from './parent.js'
import { awaitAcknowledgement, callersEnds, takeAcknowledgement } from './pipeCode.js'
import { hideFromOthers } from './privileges.js'
import { endSignal, hangUp, record, suspend } from './record.js'
import {
  allSignals,
  blockSignals,
  hearOfChildren,
  ignoreAsCaller,
  leaveGroup,
  maskSize,
  unblockSignals,
  whenFromOutside,
} from './signalMask.js'
import { lookForTerminal, onTerminal } from './rawTerminal.js'
import { awaitSources, prepareSources } from './sources.js'
import { endTether } from './tether.js'
import { hasTerminal, makeTerminalChannel } from './terminalCode.js'
import {
  closeRelay,
  finishRelay,
  giveTerminalBack,
  prepareRelay,
  relayFiles,
  relaySources,
  takeRelaySignals,
} from './terminalRelay.js'

export const relaying: Life = {
  begin(c) {
    const { statusFd, sharesSession } = c.plan.start
    if (sharesSession) rememberForeground(c)
    // What the terminal sends to the whole job reaches the caller, who hands it on: it must not arrive twice.
    // A terminal is only read by its foreground: there the monitor stays, and takes nothing that comes to the whole job.
    else if (hasTerminal(c.plan)) {
      lookForTerminal(c)
      c.b.when(onTerminal(c), 'eq', 0, () => leaveGroup(c))
    } else if (statusFd !== undefined) leaveGroup(c)
    blockSignals(c)
    if (statusFd !== undefined) ignoreAsCaller(c, statusFd)
    hearOfChildren(c)
  },

  makeChannel(c) {
    makeForegroundPipe(c)
    makeTerminalChannel(c)
  },

  hide(c) {
    const { plan } = c
    // From then on no process finds our descriptors in /proc. One that is not tied to the caller would wait at its end for a caller that is gone.
    if (!ownPids(plan) || !diesWithParent(plan)) awaitAcknowledgement(c)
    hideFromOthers(c)
  },

  beginInit(c) {
    closeRelay(c)
    // What a terminal sends to the job is for the monitor to hand on. Who leads a group makes no session: setsid(2).
    if (leadsGroup(c.plan)) leaveGroup(c)
  },

  beginPayload(c) {
    takeForeground(c)
    unblockSignals(c)
  },

  attend: initLoop,
  wait: monitorLoop,
}

/** What the monitor waits for besides signals. */
const sourcesOf = (c: LauncherContext, init: Slot) => [...memorySource(c, init), ...logSource(c), ...relaySources(c)]

const leadsGroup = ({ start: { statusFd, sharesSession, init, terminal } }: Plan) =>
  (statusFd === undefined || terminal === true) && !sharesSession && init === 'reaper'

/** Waits for init, passes signals on to it, reports, and ends as the payload did. */
function monitorLoop(c: LauncherContext, init: Slot): void {
  const { b, plan } = c
  const { living, sharesSession } = plan.start
  const [enters, reporting] = [plan.start.enters !== undefined, plan.start.statusFd !== undefined]
  const sources = sourcesOf(c, init)
  const status = b.reserve(8)
  const code = b.temporary()
  if (reporting) c.report(record.started, init, endsBySignal(plan) ? 1 : 0)
  prepareRelay(c)
  const files = [
    ...(living === undefined ? [] : heldHandles(living)),
    ...heldChannel(c.plan),
    ...logFiles(c),
    ...relayFiles(c),
  ]
  const held = [...files, ...prepareSources(c, sources)]
  if (watches(plan)) releaseUnwatched(c, held)
  else releaseFds(c, [...callersEnds(c), ...foregroundEnds(c, 'monitor'), ...held])
  // Init and payload were cloned into the job's group before.
  if (sharesSession && reporting) leaveGroup(c)
  relayTo(c, init, plan.start.init === 'payload' && !enters ? 'payload' : 'init')
  const busy = watches(plan) || sources.length > 0 || living !== undefined
  const take = busy ? takeSignalAndWatch : takeSignal
  b.loop(({ again }) => {
    take(c, { to: init })
    const usage = reporting ? usageIn(c) : 0
    c.must('wait4', init, status, WAIT.NOHANG, usage)
    b.when(c.result, 'ne', init, again)
    b.load(code, 32, status)
    if (enters) reapOrphan(c, code, usage)
    finishLog(c)
    finishRelay(c)
    endTether(c)
    if (reporting) c.report(record.ended, code)
    if (sharesSession) giveForegroundBack(c, {})
    awaitAcknowledgement(c)
    exitAs(c, code)
  })
}

/** Reaps everything, passes signals on to the payload, and ends when the payload does: the kernel then ends the rest. */
function initLoop(c: LauncherContext, payload: Slot): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  const ending = endsBySignal(plan) ? endingOf(b) : undefined
  // A house tells how the command ended before the sandbox has.
  const usage = isHouse(plan) ? usageIn(c) : 0
  releaseFds(c, foregroundEnds(c, 'init'))
  if (plan.start.sharesSession) {
    leaveGroup(c)
    leaveForegroundToMonitor(c)
  }
  relayTo(c, payload, 'payload')
  // Nothing but the end of the monitor may look like that of a parent.
  if (tiedToCaller(plan) && plan.start.enters === undefined) b.move(callerOf(b), c.attempt('getppid'))
  b.loop(({ again }) => {
    ;(ending === undefined ? takeSignal : takeSignalOrEnd)(c, { to: payload })
    b.loop(({ again: reapNext }) => {
      c.attempt('wait4', -1, status, waitingFor(c), usage)
      c.whenError('ECHILD', () => {
        if (ending !== undefined)
          b.when(ending, 'ne', 0, () => {
            if (plan.start.statusFd !== undefined) c.report(record.payload, code, 1)
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

/** Of a record that will be written. */
function usageIn(c: LauncherContext): Address {
  const buffer = c.recordBuffer()
  return { ...buffer, offset: buffer.offset + 32 }
}

/** Neither monitor nor init may keep a pipe of the payload's open, and neither writes to one from here on. */
export function releaseFds(c: LauncherContext, kept: readonly Operand[] = []): void {
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
/** In a monitor that does more than to hand signals on. */
const takeSignalAndWatch = taker('takeSignalAndWatch')
/** In what ends by a signal: a pid 1, or what waits for a command that entered a sandbox. */
const takeSignalOrEnd = taker('takeSignalOrEnd')

type Taking = 'takeSignal' | 'takeSignalAndWatch' | 'takeSignalOrEnd'

function taker(manner: Taking) {
  return routine(manner, { takes: ['to'] }, (c: LauncherContext, { to }) => takeSignals(c, to, manner))
}

/** Whether it does. */
const endingOf = variable()

/** The command that entered is killed, and then waited for as any that ends. */
function endCommand(c: LauncherContext, command: Slot): void {
  c.b.move(endingOf(c.b), 1)
  killCommand(c, command)
}

/** From outside: kills all but pid 1, which kill(-1) leaves out. */
function takeEnd(c: LauncherContext, signal: Slot, info: Address, to: Slot, again: () => void): void {
  const { b } = c
  if (c.plan.start.enters !== undefined) {
    b.when(signal, 'eq', endSignal, () => {
      endCommand(c, to)
      again()
    })
    return
  }
  b.when(signal, 'eq', endSignal, () => {
    whenFromOutside(c, info, () => {
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
    if (inMonitorOnly) awaitSources(c, sourcesOf(c, to))
    c.attempt('rt_sigtimedwait', everySignal, info, 0, maskSize)
    c.whenError('EINTR', again)
    c.orFail()
    b.move(signal, c.result)
    b.when(signal, 'eq', signals.SIGCHLD, leave)
    takeAcknowledgement(c, signal, again)
    if (inMonitorOnly) {
      takeTimer(c, signal, info, to, again)
      takeLetLive(c, signal, again)
      takeTooLarge(c, signal, info, again)
    }
    if (manner === 'takeSignalOrEnd') takeEnd(c, signal, info, to, again)
    if (tiedToCaller(plan) || (plan.start.enters !== undefined && manner === 'takeSignalOrEnd'))
      takeParentsEnd(c, signal, again, atParentsEnd(c, to, again, manner))
    takeForegroundSignals(c, signal, again)
    if (inMonitorOnly) takeRelaySignals(c, signal, info, again)
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

function atParentsEnd(c: LauncherContext, to: Slot, again: () => void, manner: Taking): (() => void) | undefined {
  const { sharesSession, enters } = c.plan.start
  if (enters !== undefined)
    return () => {
      // Neither leaves before the command was reaped: orphans.ts.
      if (manner === 'takeSignalOrEnd') endCommand(c, to)
      else c.attempt('kill', to, endSignal)
      again()
    }
  if (hasTerminal(c.plan)) return () => giveTerminalBack(c)
  return sharesSession ? () => endForeground(c, to) : undefined
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
