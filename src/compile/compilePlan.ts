/** Plan → vial: the one way from steps to bytes, for policies and for bwrap's words. */
import { hostArchitecture } from '../host/thisHost.js'
import type { Architecture } from '../kernel/architecture.js'
import { type Carried, launch } from '../launcher/launch.js'
import { assemble } from '../machine/assemble.js'
import type { Plan } from '../plan/plan.js'
import type { LaunchedStep } from '../plan/step.js'

export interface CompiledPlan {
  /** The executable. */
  readonly bytes: Uint8Array
  /** The steps by the numbers that status records use. */
  readonly steps: readonly LaunchedStep[]
}

export interface PlanTarget extends Carried {
  /** Default: this machine's. */
  readonly architecture?: Architecture | undefined
}

export function compilePlan(
  plan: Plan,
  { architecture = hostArchitecture(), ...carried }: PlanTarget = {},
): CompiledPlan {
  const { program, steps } = launch(plan, architecture, carried)
  return { bytes: assemble(program, architecture), steps }
}
