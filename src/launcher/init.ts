/** Init, the first process of the sandbox, and the payload, which init makes or becomes. */
import { CLONE, PR } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { isHouse, ownPids } from '../plan/plan.js'
import { keepEnd, release } from './descriptorCode.js'
import type { LauncherContext } from './launcherContext.js'
import { lifeOf } from './lives.js'
import { closeLog } from './logCode.js'
import { awaitLeaving, callersUmask, releasing } from './monitor.js'
import { closeCallersEnds } from './pipeCode.js'
import { parentEnded, record } from './record.js'
import { monitorsPidfd, tieToMonitor } from './tie.js'

export function beginInit(c: LauncherContext): void {
  const { manner, announcement } = c.plan.start
  c.process = 'init'
  c.aside('tie init to the monitor', 'neither outlives the other')
  closeCallersEnds(c)
  closeLog(c)
  lifeOf(c).beginInit(c)
  if (isHouse(c.plan)) awaitLeaving(c)
  if (announcement !== undefined) keepEnd(c, releasing(c), 'read', release(c.b))
  // A step may wait for long, such as the one that reads a file's content from a pipe.
  if (manner.tied) tieToMonitor(c, {})
}

/** What follows is done by the payload: a child of init, which stays beside it, or init itself. */
export function beginPayload(c: LauncherContext): void {
  const { b, plan } = c
  const { manner, init } = plan.start
  const starting = c.begin({ what: 'start the payload', why: 'init stays beside it and reaps' })
  tieInit(c)
  if (init === 'reaper') {
    clonePayload(c, starting)
    c.process = 'payload'
    c.aside('let signals through', "the command has the caller's mask of signals, and of modes")
    if (!ownPids(plan) && manner.tied) c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
  }
  lifeOf(c).beginPayload(c)
  c.attempt('umask', callersUmask(b))
  c.process = 'payload'
}

/** @param starting the number of the step that does it */
function clonePayload(c: LauncherContext, starting: number): void {
  const { b, plan } = c
  const { manner, announcement } = plan.start
  const payload = b.temporary()
  // The payload is the same user: it may not read, trace or reopen what init holds. A program that was told its
  // pid looks at its namespaces: there a capability that the payload lacks closes it, `spare` of the step `capabilities`.
  if (announcement === undefined) c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  if (!ownPids(plan) && manner.adopts) c.must('prctl', PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  // As vfork(2): init waits until the payload has left our memory, which then need not be copied. But not for one that waits itself.
  const shares = isHouse(plan) ? 0 : CLONE.VM | CLONE.VFORK
  b.move(payload, c.must('clone', shares | signals.SIGCHLD, 0, 0, 0, 0))
  b.when(payload, 'ne', 0, () => {
    c.aside('wait for the payload', 'signals are handed on, and what it leaves behind is reaped')
    // The payload has shared this memory: its last step stands there.
    c.resume(starting)
    if (plan.start.living !== undefined) tellRunning(c)
    lifeOf(c).attend(c, payload)
  })
}

/** Again after the last change of credentials, which clears it; the look covers all the time before. */
export function tieInit(c: LauncherContext): void {
  if (!c.plan.start.manner.tied) return
  tieToMonitor(c, {})
  c.attempt('close', monitorsPidfd(c.b))
}

/** The payload was executed, or has told why it was not. */
export function tellRunning(c: LauncherContext): void {
  if (c.plan.start.statusFd !== undefined) c.report(record.running, 0)
}

/** In what enters a sandbox: the end of the monitor no longer kills this process, which is told, and its children are tied to it in turn. */
export function standForMonitor(c: LauncherContext): void {
  const { b } = c
  c.must('prctl', PR.SET_PDEATHSIG, parentEnded, 0, 0, 0)
  c.attempt('close', monitorsPidfd(b))
  b.move(monitorsPidfd(b), c.must('pidfd_open', c.attempt('getpid'), 0))
}
