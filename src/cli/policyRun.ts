/** A command whose flags describe its sandbox: of `vial run`. */
import type { AcceptedPolicy } from '../policy/check.js'
import type { Run } from './attend.js'
import { type RunFlags, runOptions } from './policyFlags.js'
import type { Texts } from './texts.js'

export interface PolicyRun extends Run {
  readonly flags: RunFlags
  /** What was read of the files that they name. */
  readonly texts: Texts
  /** What becomes of the policy that the flags make. */
  readonly over?: (policy: AcceptedPolicy) => AcceptedPolicy
}

export const policyRun = (run: Omit<PolicyRun, 'names'>): PolicyRun => ({
  ...run,
  names: async () =>
    (await import('./flagsToPolicy.js')).namesFor(run.flags, { options: runOptions, texts: run.texts }),
})

export async function policyOf({ flags, texts, over }: PolicyRun): Promise<AcceptedPolicy> {
  const policy = (await import('./flagsToPolicy.js')).policyFromFlags(flags, { options: runOptions, texts })
  return over === undefined ? policy : over(policy)
}
