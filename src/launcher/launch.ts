/**
 * Plan → program.
 *
 * How this file thinks. A vial is one program that up to three processes run, each from where its parent made it: the monitor from the
 * entry on; init behind the clone(2) that gives it the namespaces; the payload behind the one that init makes it with, unless init
 * becomes the payload itself. The code of all three is emitted in that order, as one sequence of steps: here each line is a part of a
 * life, and a part's own file says what is in it (monitor.ts, init.ts), how the two wait (life.ts) and what a step is (stepCode.ts).
 *
 * The state that the code keeps is in slots, which every process has a copy of: fork-like clones copy memory. Only the payload of
 * a reaper shares init's memory until it executes (CLONE_VM with CLONE_VFORK): what it writes there, init sees afterwards, the number of
 * the step at work among it.
 *
 * At any moment the slot `step` says which step is at work: whatever fails jumps to one place, behind all else, which reports that
 * step and the error, in words or as a record, and ends the process. So a step is begun before its first system call, and a part of a
 * life that follows steps of another process begins or resumes one of its own. No code comes behind a failure but what ends the
 * process: a sandbox is whole, or there is none.
 */
import type { Architecture } from '../kernel/architecture.js'
import type { Program } from '../machine/instruction.js'
import { type Plan, stepsOf } from '../plan/plan.js'
import type { LaunchedStep } from '../plan/step.js'
import type { EntrantPrograms } from './handOut.js'
import { holdOpen } from './holdOpen.js'
import { beginInit, beginPayload } from './init.js'
import { LauncherContext, type Process } from './launcherContext.js'
import { beginMonitor, prepareInit, waitForInit } from './monitor.js'
import { emitSteps } from './stepCode.js'

/** A launched program, and the steps by the numbers that its marks and its status records use. */
export interface Launch {
  readonly program: Program
  readonly steps: readonly LaunchedStep[]
  /** Which process does each of these steps. */
  readonly processes: readonly Process[]
}

/** Programs that a vial carries. */
export interface Carried {
  /** Of a sealed plan: what a payload executes that calls for /proc/self/exe; default: the vial itself. */
  readonly again?: Uint8Array | undefined
  /** Of a living plan: what enters the sandbox. */
  readonly entrants?: EntrantPrograms | undefined
}

/**
 * The program of a plan. The same plan gives the same program.
 */
export function launch(plan: Plan, architecture: Architecture, carried: Carried = {}): Launch {
  const c = new LauncherContext(plan, architecture)
  const { b } = c
  const steps = stepsOf(plan)
  const child = b.temporary()

  b.entry(c.stack)
  beginMonitor(c, carried.again)
  emitSteps(c, steps.monitor)
  prepareInit(c, carried.entrants)
  emitSteps(c, [plan.world.clone])
  b.move(child, c.result)
  b.when(child, 'ne', 0, () => waitForInit(c, child))
  beginInit(c)
  emitSteps(c, steps.init)
  if (plan.start.living?.holds) holdOpen(c)
  else {
    beginPayload(c)
    emitSteps(c, steps.payload)
  }
  c.emitFailure()
  return { program: b.finish(), steps: c.steps, processes: c.processes }
}
