/** Plan → vial: the one way from steps to bytes, for policies and for bwrap's words. */
import { hostArchitecture } from '../host/thisHost.js'
import type { Architecture } from '../kernel/architecture.js'
import { launch } from '../launcher/launch.js'
import { assemble } from '../machine/assemble.js'
import type { Plan } from '../plan/plan.js'
import type { LaunchedStep } from '../plan/step.js'

export interface CompiledPlan {
  /** The executable. */
  readonly bytes: Uint8Array
  /** The steps by the numbers that status records use. */
  readonly steps: readonly LaunchedStep[]
}

export interface PlanTarget {
  /** Default: this machine's. */
  readonly architecture?: Architecture | undefined
  /** What a payload gets that executes /proc/self/exe; default: the vial itself. */
  readonly again?: Uint8Array | undefined
}

export function compilePlan(plan: Plan, { architecture = hostArchitecture(), again }: PlanTarget = {}): CompiledPlan {
  const { program, steps } = launch(plan, architecture, again)
  return { bytes: assemble(program, architecture), steps }
}
