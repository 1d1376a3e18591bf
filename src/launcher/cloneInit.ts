/** How the monitor makes init, in the namespaces of the sandbox. */
import { CLONE } from '../kernel/flags.js'
import { cloneFlags } from '../kernel/namespaces.js'
import { signals } from '../kernel/signals.js'
import { isHouse } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import { belowJoined, cloneBelow } from './below.js'
import { userMade } from './identityCode.js'
import type { LauncherContext } from './launcherContext.js'
import { cloneIntoGroup } from './limitCode.js'
import { netIsLate } from './networkCode.js'

/** Leaves in `result` what clone(2) does. */
export function cloneInit(c: LauncherContext, step: Step<'clone'>): void {
  // The one that waits for what enters is not of the sandbox, nor of its cgroup.
  if (c.plan.start.enters !== undefined) c.must('clone', signals.SIGCHLD, 0, 0, 0, 0)
  else if (belowJoined(c.plan)) cloneBelow(c, c.outcome, () => tryToClone(c, step, CLONE.PARENT))
  else tryToClone(c, step, isHouse(c.plan) ? CLONE.PARENT : 0)
}

/** Without those namespaces that may be left out where they cannot be made. */
function tryToClone(c: LauncherContext, { namespaces, ifPossible }: Step<'clone'>, more = 0): void {
  const { b, plan } = c
  const cloned = b.label()
  for (const dropped of subsets(ifPossible)) {
    const made = namespaces.filter((name) => !dropped.includes(name))
    const flags = cloneFlags(netIsLate(plan) ? made.filter((name) => name !== 'net') : made)
    if (ifPossible.includes('user')) b.move(userMade(b), made.includes('user') ? 1 : 0)
    cloneIntoGroup(c, flags | more)
    c.whenFailed(
      () => {},
      () => b.jump(cloned),
    )
  }
  b.jump(c.fail)
  b.place(cloned)
}

/** All subsets, smaller ones first. */
function subsets<Item>(items: readonly Item[]): Item[][] {
  const found: Item[][] = [[]]
  for (const item of items) found.push(...found.map((set) => [...set, item]))
  return found.sort((a, b) => a.length - b.length)
}
