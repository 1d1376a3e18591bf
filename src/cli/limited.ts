/** What a run with limits needs besides, before its policy is checked. Apart from request.ts: other runs do not load it. */
import { parseLimits } from '../policy/limits.js'
import type { LimitsPolicy } from '../policy/limitsSchema.js'
import type { Policy } from '../policy/schema.js'
import { type LimitedPolicy, Limiter } from '../run/limiter.js'
import type { RunFlags } from './policyFlags.js'
import { limitOptions, put, settingsOf } from './settings.js'

/**
 * Faults of its policy are reported when that is compiled: nothing is stored for a policy with faults.
 * @param filter the text of the file that --seccomp names
 */
export function limiterOf(flags: RunFlags, policy: Policy, filter: string | undefined): Limiter {
  const limited = settingsOf(flags, limitOptions).reduce<object>(
    (limited, { path, value }) => put(limited, path, value),
    policy,
  ) as Policy & { readonly limits: LimitsPolicy }
  const seccomp = filter === undefined ? (flags.seccomp ?? policy.seccomp) : JSON.parse(filter)
  const limits = parseLimits(limited.limits)
  return new Limiter({ ...limited, limits, ...(seccomp === undefined ? {} : { seccomp }) } as LimitedPolicy)
}
