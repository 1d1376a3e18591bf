/** What a plan is told of the host: nothing here asks for itself, so that the same facts give the same plan. */
import type { Architecture } from '../kernel/architecture.js'

export interface Host {
  readonly architecture: Architecture
  /** The directory that relative paths of the policy start from. */
  readonly base: string
  /** As uname(2) has it, such as `6.12.9-amd64`: a profile may have rules for some kernels only. */
  readonly kernel: string
  /** Where pasta(1) is; asked only for a policy that needs it. */
  readonly pasta?: string | undefined
}
