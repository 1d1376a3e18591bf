/** Steps of a plan by their kind. */
import type { Plan } from '../plan/plan.js'
import type { Step, StepKind } from '../plan/step.js'

export const ofKind = <Kind extends StepKind>(steps: readonly Step[], kind: Kind): readonly Step<Kind>[] =>
  steps.filter((step) => step.do === kind) as readonly Step[] as readonly Step<Kind>[]

/** Those that harden what comes to be in the sandbox. */
export const hardening = <Kind extends StepKind>({ entrant }: Plan, kind: Kind): readonly Step<Kind>[] =>
  ofKind([...entrant.once, ...entrant.shared, ...entrant.each], kind)
