/**
 * The monitor ends with the process that started it. PR_SET_PDEATHSIG(2const) tells the end of the *thread* that did. So what is
 * sent is a signal that the monitor takes, and it asks whether its parent is still the same.
 */
import { routine } from '../assembly/routine.js'
import { variable } from '../assembly/variables.js'
import { PR } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { Slot } from '../machine/instruction.js'
import { type Plan, relays } from '../plan/plan.js'
import type { LauncherContext } from './launcherContext.js'
import { callersPid } from './pipeCode.js'
import { letLive, parentEnded } from './record.js'

/** A monitor that does not take its signals is killed. */
export const tiedToCaller = (plan: Plan) => relays(plan) && diesWithParent(plan)

export const diesWithParent = ({ world }: Plan) => world.monitor.some((step) => step.do === 'dieWithParent')

/** Its pid. */
export const callerOf = variable()

/** Whether a living sandbox is to outlive it. */
const letGo = variable()

/** A parent that died before the call is noticed by its changed pid. */
export function dieWithParent(c: LauncherContext): void {
  const { b } = c
  const parent = callerOf(b)
  b.move(parent, callersPid(c))
  c.must('prctl', PR.SET_PDEATHSIG, tiedToCaller(c.plan) ? parentEnded : signals.SIGKILL, 0, 0, 0)
  exitWithoutParent(c, {})
}

/** Ends at a signal of the kernel's, unless it was but a thread that ended. */
export function takeParentsEnd(c: LauncherContext, signal: Slot, again: () => void, before?: () => void): void {
  const { b } = c
  b.when(signal, 'eq', parentEnded, () => {
    if (c.plan.start.living !== undefined) b.when(letGo(b), 'ne', 0, again)
    if (before !== undefined) {
      c.attempt('getppid')
      b.when(c.result, 'ne', callerOf(b), before)
    }
    exitWithoutParent(c, {})
    again()
  })
}

/** The caller of a living sandbox ends, and the sandbox stays. */
export function takeLetLive(c: LauncherContext, signal: Slot, again: () => void): void {
  if (c.plan.start.living === undefined || !tiedToCaller(c.plan)) return
  c.b.when(signal, 'eq', letLive, () => {
    c.must('prctl', PR.SET_PDEATHSIG, 0, 0, 0, 0)
    // The caller may have ended already, and its signal wait behind this one.
    c.b.move(letGo(c.b), 1)
    again()
  })
}

const exitWithoutParent = routine('exitWithoutParent', {}, (c: LauncherContext) => {
  c.must('getppid')
  c.b.when(c.result, 'ne', callerOf(c.b), () => c.exit(125))
})
