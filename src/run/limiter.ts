/** The limits of a sandbox's runs: which of them a cgroup holds here, and who holds the others. */
import { cpus } from 'node:os'
import { join } from 'node:path'
import { findWay } from '../cgroup/findWay.js'
import { cpuTimeUnit, type Way } from '../cgroup/group.js'
import { groupLimitsOf } from '../cgroup/limitWrites.js'
import { type GroupKind, newGroupName } from '../cgroup/owner.js'
import { errnoMessage } from '../kernel/errno.js'
import { systemHints } from '../kernel/systemError.js'
import type { GroupOption } from '../plan/lowerLimits.js'
import { mayMount } from '../plan/nesting.js'
import type { HeldLimit } from '../plan/security.js'
import { key, setting } from '../policy/keys.js'
import type { LimitName } from '../policy/limitRows.js'
import { type GroupLimitName, type Limits, limitsOutput, neededResources } from '../policy/limits.js'
import type { LimitsPolicy } from '../policy/limitsSchema.js'
import type { CheckedPolicy } from '../policy/schema.js'
import { LimitsError } from '../text/error.js'
import { joined, words } from '../text/words.js'
import { type Enforcement, type EnforcementOf, enforcementOf, type RunLimiter } from './enforcement.js'
import { LimitedRun } from './limitedRun.js'

/** What of a policy with limits a run of it depends on. */
export type LimitedPolicy = Pick<CheckedPolicy, 'limits' | 'init' | 'dieWithParent' | 'seccomp' | 'capabilities'>

/** The way to a cgroup, and which limits such a cgroup holds. */
export interface FoundWay {
  readonly way: Way | undefined
  readonly held: readonly GroupLimitName[]
}

export class Limiter implements RunLimiter {
  readonly limits: Limits
  readonly #needed: ReturnType<typeof neededResources>
  /** Whether the sandbox has a pid 1 of ours beside the payload, and whether its end is the end of all. */
  readonly #hasReaper: boolean
  readonly #tied: boolean
  readonly #shielded: boolean
  #way: Way | undefined
  #held: readonly GroupLimitName[] = []
  #searched = false
  /** Whether it is only explained what a cgroup would do: there is none. */
  #assumed = false

  /** @param found by a limiter of the same policy */
  constructor(policy: LimitedPolicy, found?: FoundWay) {
    this.limits = policy.limits!
    this.#needed = neededResources(this.limits)
    this.#hasReaper = (policy.init ?? 'reaper') === 'reaper'
    this.#tied = policy.dieWithParent ?? true
    this.#shielded = mayMount(policy)
    if (found === undefined) return
    this.#way = found.way
    this.#held = found.held
    this.#searched = true
  }

  /** What was looked for, so that another limiter need not look again. @throws {SandboxError} as {@link way} */
  get found(): FoundWay {
    return { way: this.way(), held: this.#held }
  }

  get limitsOutput(): boolean {
    return limitsOutput(this.limits)
  }

  /** @throws {LimitsError} when a cgroup is needed and required, and there is none. */
  way(): Way | undefined {
    if (this.#searched || this.#needed.length === 0) return this.#way
    const found = findWay(this.#needed, { shielded: this.#shielded })
    if (!('missing' in found)) {
      this.#held = this.#needed
      this.#way = found
    } else if (this.limits.required) {
      const needed = this.#needed.map((name) => key(`limits.${name}`))
      const repairs = [found.repair, ...(found.further === undefined ? [] : [found.further])].join('\n      ')
      throw new LimitsError(words`cannot enforce ${joined(needed, ', ')}: ${found.missing}`, {
        hint: words`repair: ${repairs}\n      or with ${setting('limits.required', false)} an rlimit stands in where there is one`,
      })
    } else this.#findWhatThereIs()
    this.#searched = true
    return this.#way
  }

  /** One way for as many of the limits as it can hold, those that matter most first. */
  #findWhatThereIs(): void {
    for (const name of this.#needed) {
      const found = findWay([...this.#held, name], { shielded: this.#shielded })
      if ('missing' in found) continue
      this.#held = [...this.#held, name]
      this.#way = found
    }
  }

  /** Which limits its cgroup holds the sandbox to. */
  #holds(name: string): boolean {
    const held: readonly string[] = this.#held
    return held.includes(name === 'swap' ? 'memory' : name)
  }

  /** What the vial is told about its group; nothing where it has none. */
  option(): GroupOption | undefined {
    const way = this.way()
    return way === undefined ? undefined : this.#optionOf(way.version, way.bases)
  }

  /**
   * The same for a plan that is only read: where a run would fail for want of a cgroup, as one in a cgroup of version 2 would
   * have it, and what the run would say.
   */
  explained(): { readonly group: GroupOption | undefined; readonly missing?: LimitsError } {
    try {
      return { group: this.option() }
    } catch (error) {
      if (!(error instanceof LimitsError)) throw error
      this.#held = this.#needed
      this.#assumed = true
      return { group: this.#optionOf(2, []), missing: error }
    }
  }

  #optionOf(version: Way['version'], bases: readonly string[]): GroupOption {
    const watchesTime = this.#holds('cpuTime')
    return {
      way: version === 2 ? 'clone' : 'move',
      bases,
      holds: this.#held,
      descriptors: {
        cpuTime: watchesTime ? 1 : 0,
        memory: version === 1 && this.#holds('memory') ? 1 : 0,
        enter: version === 2 ? 1 : bases.length,
      },
      cpuTime: watchesTime ? { unit: cpuTimeUnit[version], cpus: cpus().length } : undefined,
    }
  }

  /**
   * @param plans is told of the group before it is made
   * @throws {LimitsError} when there can be no group.
   */
  begin(
    kind: GroupKind = this.#tied ? 'tied' : 'outlives',
    plans?: (group: { readonly version: 1 | 2; readonly paths: readonly string[] }) => void,
  ): LimitedRun {
    const way = this.way()
    const name = way === undefined ? '' : newGroupName(kind)
    if (way !== undefined) plans?.({ version: way.version, paths: way.bases.map((base) => join(base, name)) })
    const watch = { cpuTime: this.#holds('cpuTime'), memory: this.#holds('memory') }
    try {
      const limits = groupLimitsOf(this.limits, this.#held, this.#hasReaper)
      const group = way?.create(name, limits, this.#shielded)
      return new LimitedRun(this.limits, group, watch, this.#hasReaper)
    } catch (error) {
      const { errno, code, path } = error as NodeJS.ErrnoException
      if (error instanceof LimitsError) throw error
      if (errno === undefined) throw new LimitsError((error as Error).message, { cause: error })
      throw new LimitsError(`cannot make a cgroup: ${path ?? way!.bases[0]}: ${errnoMessage(-errno)}`, {
        code,
        hint: systemHints[code ?? ''],
        cause: error,
      })
    }
  }

  /** Who does what, by the names of the limits. */
  enforcement(): EnforcementOf {
    const by = this.#assumed ? 'cgroup v2' : this.way()?.name
    return enforcementOf(this.limits, (name) => (this.#holds(name) ? by : undefined))
  }

  /** The same, with what the policy says, as it is written. */
  held(written: LimitsPolicy): HeldLimit[] {
    return Object.entries<Enforcement>(this.enforcement()).map(([name, by]) => {
      const value = written[name as LimitName]
      return { name, value: typeof value === 'object' ? JSON.stringify(value) : String(value), by }
    })
  }
}
