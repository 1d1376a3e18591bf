/** What a run with limits needs besides, before its policy is checked. Apart from request.ts: other runs do not load it. */
import type { Policy } from '../policy/schema.js'
import type { Size } from '../policy/units.js'
import { type LimitedPolicy, Limiter } from '../run/limiter.js'
import type { RunFlags } from './attend.js'
import { limitsFromFlags } from './limits.js'

/**
 * Faults of its policy are reported when that is compiled: nothing is stored for a policy with faults.
 * @param filter the text of the file that --seccomp names
 */
export function limiterOf(flags: RunFlags, policy: Policy, filter: string | undefined): Limiter {
  const { output } = flags
  const given = { ...policy.limits, ...(output === undefined ? {} : { output: output as Size }) }
  const { limits } = limitsFromFlags(flags, given)
  const seccomp = filter === undefined ? (flags.seccomp ?? policy.seccomp) : JSON.parse(filter)
  return new Limiter({ ...policy, limits, ...(seccomp === undefined ? {} : { seccomp }) } as LimitedPolicy)
}
