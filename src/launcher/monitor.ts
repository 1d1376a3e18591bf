/** The monitor: the process that the caller starts. It makes the namespaces, clones init, and waits. */
import { pollsOf } from '../assembly/files.js'
import { own, variable } from '../assembly/variables.js'
import { signals } from '../kernel/signals.js'
import type { Slot } from '../machine/instruction.js'
import { isHouse } from '../plan/plan.js'
import { announce } from './announce.js'
import { becomeSealed } from './becomeSealed.js'
import { closeAllBut, keepEnd, openStandardDescriptors, release } from './descriptorCode.js'
import { prepareArguments } from './execute.js'
import { type EntrantPrograms, prepareHandles, takeHandles } from './handOut.js'
import type { LauncherContext } from './launcherContext.js'
import { lifeOf } from './lives.js'
import { makeNet, netIsLate, prepareNet } from './networkCode.js'
import { adoptOrphans } from './orphans.js'
import { record } from './record.js'
import { prepareTether } from './tether.js'
import { monitorsPidfd } from './tie.js'

/** The caller's umask, which is the payload's. */
export const callersUmask = variable()
/** The monitor of a sandbox that a house makes. */
const leaving = variable()
/** A pipe by which init is let go on. */
export const releasing = own(({ b }: LauncherContext) => b.reserve(8))

/** @param again as of {@link launch} */
export function beginMonitor(c: LauncherContext, again: Uint8Array | undefined): void {
  const { sealed, statusFd } = c.plan.start
  if (sealed) becomeSealed(c, again)
  c.begin({ what: 'start', why: "a failure here is the monitor's own" })
  prepareArguments(c)
  if (statusFd === undefined) openStandardDescriptors(c)
  c.aside('hold signals back', 'the monitor takes them when it waits, and none is lost')
  c.b.move(callersUmask(c.b), c.attempt('umask', 0))
  lifeOf(c).begin(c)
}

/** What monitor and init have in common, made before there is an init. */
export function prepareInit(c: LauncherContext, entrants: EntrantPrograms | undefined): void {
  const { b, plan } = c
  const { manner, announcement, living, enters } = plan.start
  if (living !== undefined) prepareHandles(c, entrants)
  c.aside('make ready to start init', 'each of the two notices when the other has ended')
  lifeOf(c).makeChannel(c)
  if (announcement !== undefined) c.must('pipe2', releasing(c), c.open.CLOEXEC)
  if (enters !== undefined) adoptOrphans(c)
  // A house is what the sandbox is tied to.
  const ours = isHouse(plan) ? leaving(b) : monitorsPidfd(b)
  if (manner.tied) b.move(ours, c.must('pidfd_open', c.attempt('getpid'), 0))
  if (netIsLate(plan)) prepareNet(c)
  lifeOf(c).hide(c)
  prepareTether(c)
}

/** The rest of its life. */
export function waitForInit(c: LauncherContext, init: Slot): void {
  const { b, plan } = c
  if (isHouse(plan)) {
    leaveToHouse(c, init)
    return
  }
  const { manner, announcement, living, enters } = plan.start
  c.aside('wait for init', 'signals are handed on, and how it ended is told')
  if (netIsLate(plan)) makeNet(c)
  if (living !== undefined) takeHandles(c, living)
  if (announcement !== undefined) {
    keepEnd(c, releasing(c), 'write', release(b))
    announce(c, announcement, plan.world.clone.namespaces, init)
    c.attempt('close', release(b))
  }
  // A payload that is pid 1 may untie itself: PR_SET_PDEATHSIG(2const). In a sandbox that is there already, its end ends what did.
  if (manner.tied && plan.start.init === 'payload' && enters === undefined) watchMonitor(c, monitorsPidfd(b), init)
  lifeOf(c).wait(c, init)
}

/** In a house the monitor has nothing to hand on: init is a child of the house, which is told of it, and the monitor's memory is saved. */
function leaveToHouse(c: LauncherContext, init: Slot): void {
  c.aside('leave init to the house', 'a sandbox that waits is one process less')
  c.report(record.started, init)
  c.exit(0)
}

/** In its init: the house would not know who ends, were that before the monitor has told. */
export function awaitLeaving(c: LauncherContext): void {
  const file = leaving(c.b)
  awaitEndOf(c, file)
  c.attempt('close', file)
}

/** @param file a pidfd */
function awaitEndOf(c: LauncherContext, file: Slot): void {
  const { b } = c
  const polls = pollsOf(b, [file])
  b.loop(({ leave }) => {
    c.attempt('ppoll', polls, 1, 0, 0, 0)
    b.when(c.result, 'eq', 1, leave)
  })
}

/**
 * A process of its own, outside of the sandbox, that kills init once the monitor is gone, however it went. It is no
 * child that a wait4(2) without __WCLONE finds, for its end sends no signal.
 */
function watchMonitor(c: LauncherContext, monitor: Slot, init: Slot): void {
  const { b } = c
  const [target, watcher] = [b.temporary(), b.temporary()]
  b.move(target, c.must('pidfd_open', init, 0))
  b.move(watcher, c.must('clone', 0, 0, 0, 0, 0))
  b.when(watcher, 'eq', 0, () => {
    c.attempt('close_range', 0, 2, 0)
    closeAllBut(c, [monitor, target])
    awaitEndOf(c, monitor)
    c.attempt('pidfd_send_signal', target, signals.SIGKILL, 0, 0)
    c.exit(0)
  })
  c.attempt('close', target)
}
