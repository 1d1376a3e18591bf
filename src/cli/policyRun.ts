/** A command whose flags describe its sandbox: of `vial run`. */
import type { AcceptedPolicy } from '../policy/check.js'
import type { Run } from './attend.js'
import { type RunFlags, runOptions } from './policyFlags.js'
import type { Texts } from './texts.js'

export interface PolicyRun extends Run {
  readonly flags: RunFlags
  /** What was read of the files that they name. */
  readonly texts: Texts
}

export const policyRun = (run: Omit<PolicyRun, 'names'>): PolicyRun => ({
  ...run,
  names: async () =>
    (await import('./flagsToPolicy.js')).namesFor(run.flags, { options: runOptions, texts: run.texts }),
})

export const policyOf = async ({ flags, texts }: PolicyRun): Promise<AcceptedPolicy> =>
  (await import('./flagsToPolicy.js')).policyFromFlags(flags, { options: runOptions, texts })
