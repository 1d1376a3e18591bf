/**
 * The limits of a command that enters a sandbox. It comes to be in the sandbox's group, which holds all in there together; its own
 * limits, its time and its output are its own.
 */
import type { GroupOption } from '../plan/lowerLimits.js'
import type { Limits, OwnLimitName } from '../policy/limits.js'
import { type EnforcementOf, enforcementOf, type RunLimiter } from './enforcement.js'
import { LimitedRun } from './limitedRun.js'

type OwnLimits = Pick<Limits, OwnLimitName>

export class EntrantLimiter implements RunLimiter {
  readonly limits: Limits

  /** @param group of the sandbox; undefined: it has none */
  constructor(
    all: Limits | undefined,
    readonly own: OwnLimits | undefined,
    readonly group: () => GroupOption | undefined,
  ) {
    this.limits = { required: true, ...all, ...own }
  }

  begin(): LimitedRun {
    return new LimitedRun(this.limits, undefined, { cpuTime: false, memory: false }, false)
  }

  enforcement(): EnforcementOf {
    const group = this.group()
    const held: readonly string[] = group?.holds ?? []
    const own: object = this.own ?? {}
    return enforcementOf(this.limits, (name) => {
      if (group === undefined || !held.includes(name === 'swap' ? 'memory' : name) || name in own) return undefined
      return group.way === 'clone' ? 'cgroup v2' : 'cgroup v1'
    })
  }
}
