/** The process that waits for a command that enters a sandbox: orphans.ts says why there is one. */
import { standForMonitor } from './init.js'
import type { LauncherContext } from './launcherContext.js'
import { cloneIntoGroup } from './limitCode.js'
import { lifeOf } from './lives.js'
import { callerOf } from './parent.js'
import { leaveGroup } from './signalMask.js'
import { tieToMonitor } from './tie.js'

export const outsideCode = {
  /** Behind it is the child. It is not waited for as by vfork(2): its parent acts on signals from the start. */
  waitOutside(c: LauncherContext): void {
    const { b } = c
    const child = b.temporary()
    // While the end of the monitor still kills this process: PR_SET_PDEATHSIG(2const).
    b.move(callerOf(b), c.attempt('getppid'))
    standForMonitor(c)
    // What a terminal sends to the job is for the monitor to hand on.
    if (!c.plan.start.sharesSession) leaveGroup(c)
    cloneIntoGroup(c, 0)
    c.orFail()
    b.move(child, c.result)
    b.when(child, 'ne', 0, () => lifeOf(c).attend(c, child))
    tieToMonitor(c, {})
  },
}
