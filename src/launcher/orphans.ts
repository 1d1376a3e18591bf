/**
 * What enters a sandbox is two processes outside of it, and the command: the monitor, and one that waits for the command. When the
 * parent of a process is killed, the process gets another one in the pid namespace of that parent: find_new_reaper() in kernel/exit.c. The
 * parent of the first process that enters is outside, so that it would be left to pid 1 of the host, or of a container, which may reap
 * nothing; and a sandbox cannot end until each of its processes was reaped: zap_pid_ns_processes() in kernel/pid_namespace.c.
 *
 * So the two stand for each other. If the monitor is killed, the one that waits ends the command and reaps it. If that one is killed,
 * the command becomes a child of the monitor: PR_SET_CHILD_SUBREAPER(2const).
 */
import { PR } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { Address, Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'

/** In the monitor, before it makes the one that waits. */
export function adoptOrphans(c: LauncherContext): void {
  c.must('prctl', PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

/** In the monitor: the one that waited has ended. If it was killed, there is the command, and how that ended is told. */
export function reapOrphan(c: LauncherContext, code: Slot, usage: Address | 0): void {
  const { b } = c
  const status = b.reserve(8)
  b.loop(({ leave }) => {
    c.attempt('wait4', -1, status, 0, usage)
    c.whenFailed(leave)
    b.load(code, 32, status)
  })
}

/** In the one that waits: ends the command with its process group; what has left that lives on in the sandbox. */
export function killCommand(c: LauncherContext, command: Slot): void {
  const { b } = c
  const group = b.temporary()
  b.compute(group, 0, 'sub', command)
  c.attempt('kill', group, signals.SIGKILL)
  c.attempt('kill', command, signals.SIGKILL)
}
