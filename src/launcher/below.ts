/** Init in a new pid namespace below one that was joined: `--pidns` and `--unshare-pid` of bwrap(1). */
import { errno } from '../kernel/errno.js'
import { F, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { Slot } from '../machine/instruction.js'
import { ownPids, type Plan } from '../plan/plan.js'
import type { LauncherContext } from './launcherContext.js'

export const belowJoined = (plan: Plan) =>
  ownPids(plan) && plan.world.monitor.some((step) => step.do === 'join' && step.namespace === 'pid')

/**
 * pid_namespaces(7): a process that joins a pid namespace is not in it, but its children are; and only one that is in it makes another
 * below. So a child makes init, as a child of the monitor (CLONE_PARENT), and ends. Leaves in `result` what clone(2) does.
 *
 * The child knows init by another number than the monitor. It makes init the owner of a descriptor that both have: the kernel
 * answers F_GETOWN with the number that the asking process knows (f_getown() in fs/fcntl.c).
 */
export function cloneBelow(c: LauncherContext, shared: Slot, cloneInit: () => void): void {
  const { b } = c
  const child = b.temporary()
  const status = b.reserve(8)
  b.move(child, c.must('clone', signals.SIGCHLD, 0, 0, 0, 0))
  b.when(
    child,
    'eq',
    0,
    () => {
      cloneInit()
      b.when(c.result, 'ne', 0, () => {
        c.must('fcntl', shared, F.SETOWN, c.result)
        c.exit(0)
      })
    },
    () => {
      b.loop(({ leave }) => {
        c.attempt('wait4', child, status, WAIT.ALL, 0)
        b.when(c.result, 'ne', -errno.EINTR, leave)
      })
      b.load(child, 32, status)
      // It has said why.
      b.when(child, 'ne', 0, () => c.exit(c.plan.start.manner.exit.sandbox))
      c.must('fcntl', shared, F.GETOWN, 0)
    },
  )
}
