/**
 * A monitor that listens: its signals do to it what they do to any process. Init tells it how the payload ended by an eventfd(2), and
 * then it ends, while init stays as long as any process is left in the sandbox.
 */
import { pollsOf } from '../assembly/files.js'
import { PR, WAIT } from '../kernel/flags.js'
import type { Slot } from '../machine/instruction.js'
import { writeExitCode } from './announce.js'
import { closeAllBut, descriptorCode } from './descriptorCode.js'
import { exitAs, toExitCode } from './exitStatus.js'
import type { LauncherContext } from './launcherContext.js'
import type { Life } from './life.js'
import { dropEverything } from './privileges.js'
import { hearOfChildren } from './signalMask.js'

export const listening: Life = {
  begin(c) {
    hearOfChildren(c)
  },

  makeChannel(c) {
    c.b.move(c.outcome, c.must('eventfd2', 0, c.open.CLOEXEC | c.open.NONBLOCK))
  },

  /** It hides when it waits: a process that is not dumpable could not be told who is who, /proc/PID/uid_map. */
  hide() {},
  beginInit() {},
  beginPayload() {},
  attend: reapAll,
  wait: waitForWord,
}

/** Until init tells how the payload ended, or has ended itself. */
function waitForWord(c: LauncherContext, init: Slot): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  const failed = b.temporary()
  const jsonFd = plan.start.announcement?.statusFd
  const [pidfd, gone, told] = [b.temporary(), b.temporary(), b.temporary()]
  const value = b.reserve(8, 8)
  b.move(pidfd, c.must('pidfd_open', init, 0))
  closeAllBut(c, [c.outcome, pidfd, ...(jsonFd === undefined ? [] : [jsonFd])])
  // A monitor needs no privilege from here on. Without any it would be open to a payload of its pid and user namespace, whose
  // way out it would be: the host's mounts are behind it. Init, which writes its id maps, has a memory of its own already.
  c.attempt('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  dropEverything(c)
  b.move(failed, 0)
  const polls = pollsOf(b, [c.outcome, pidfd])
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
function reapAll(c: LauncherContext, payload: Slot): void {
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
