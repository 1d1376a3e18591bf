/** Who holds a run to its limits. */
import type { Way } from '../cgroup/group.js'
import { type Holder, type LimitName, limitRows } from '../policy/limitRows.js'
import type { Limits } from '../policy/limits.js'
import type { LimitsPolicy } from '../policy/limitsSchema.js'
import type { LimitedRun } from './limitedRun.js'

/** Who holds the sandbox to a limit. `none`: not held, which only `required: false` allows. */
export type Enforcement = Way['name'] | Exclude<Holder, 'cgroup'> | 'none'

/** Who holds the sandbox to each limit that was given. */
export type EnforcementOf = { readonly [Name in keyof Omit<LimitsPolicy, 'required'>]?: Enforcement }

/** The limits of runs, as far as a start and an end need them. */
export interface RunLimiter {
  readonly limits: Limits
  /** @throws {LimitsError} when there can be no group. */
  begin(): LimitedRun
  enforcement(): EnforcementOf
}

/** @param heldBy which cgroup, if one does */
export function enforcementOf(limits: Limits, heldBy: (name: LimitName) => Way['name'] | undefined): EnforcementOf {
  const names = Object.keys(limits).filter((name) => name !== 'required') as LimitName[]
  return Object.fromEntries(
    names.map((name): [LimitName, Enforcement] => {
      const { by } = limitRows[name]
      if (by !== 'cgroup') return [name, by]
      return [name, heldBy(name) ?? ('rlimit' in limitRows[name] ? 'rlimit of each process' : 'none')]
    }),
  )
}
