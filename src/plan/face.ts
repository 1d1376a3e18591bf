/**
 * What differs between the sources of sandboxes, besides what they ask for: the order in which the sandbox is made, and how its steps
 * are told. The face of policies is in planPolicy.ts. Another one, such as for bundles of the OCI, is a directory of its own with a lowering to a
 * Specification, and a Face. That is all: no planner and no code asks which face a plan is of.
 */
import type { Entry } from '../policy/schema.js'
import type { Phase } from './phases.js'
import type { Step } from './step.js'

export interface Face {
  readonly order: Order
  /** The step in the words of this face; default: in ours. */
  readonly reword?: <One extends Step>(step: One, of: Origin) => One
}

/** Where a step comes from: a phase, and in that of the mounts an entry, if it is of one. */
export interface Origin {
  readonly phase: Phase | 'clone' | 'execute'
  readonly entry?: Entry | undefined
}

/**
 * The phases of each part of a plan (plan.ts says what the parts are). A face may leave a phase out; a specification that asks for it all
 * the same is refused.
 */
export interface Order {
  /** Of the monitor, in this order. */
  readonly streams: readonly Phase[]
  readonly monitor: readonly Phase[]
  readonly watch: readonly Phase[]
  /** Of init. */
  readonly init: readonly Phase[]
  readonly once: readonly Phase[]
  readonly prepare: readonly Phase[]
  readonly shared: readonly Phase[]
  /** Of the payload. */
  readonly each: readonly Phase[]
}
