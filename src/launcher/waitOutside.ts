/** The process that waits for a command that enters a sandbox: orphans.ts says why there is one. */
import { PR } from '../kernel/flags.js'
import { tieToMonitor } from './init.js'
import type { LauncherContext } from './launcherContext.js'
import { cloneIntoGroup } from './limitCode.js'
import { lifeOf } from './lives.js'
import { monitorsPidfd } from './networkCode.js'
import { callerOf } from './parent.js'
import { parentEnded } from './record.js'
import { leaveGroup } from './signalMask.js'

export const outsideCode = {
  /** Behind it is the child. It is not waited for as by vfork(2): its parent acts on signals from the start. */
  waitOutside(c: LauncherContext): void {
    const { b } = c
    const child = b.temporary()
    // Until here the end of the monitor has killed this process: PR_SET_PDEATHSIG(2const). From here on it is told.
    b.move(callerOf(b), c.attempt('getppid'))
    c.must('prctl', PR.SET_PDEATHSIG, parentEnded, 0, 0, 0)
    c.attempt('close', monitorsPidfd(b))
    b.move(monitorsPidfd(b), c.must('pidfd_open', c.attempt('getpid'), 0))
    // What a terminal sends to the job is for the monitor to hand on.
    if (!c.plan.start.sharesSession) leaveGroup(c)
    cloneIntoGroup(c, 0)
    c.orFail()
    b.move(child, c.result)
    b.when(child, 'ne', 0, () => lifeOf(c).attend(c, child))
    tieToMonitor(c, {})
  },
}
