/** `limits` of a policy: what the vial itself does about them. The cgroup is made by the process that starts it. */
import type { RlimitName } from '../kernel/rlimits.js'
import { faultAt, setting } from '../policy/keys.js'
import { limitRows } from '../policy/limitRows.js'
import { type GroupLimitName, type Limits, neededResources, outputLimits, rlimitedLimits } from '../policy/limits.js'
import type { CheckedPolicy } from '../policy/schema.js'
import { PolicyError } from '../text/error.js'
import { words } from '../text/words.js'
import type { DescriptorCounts, DescriptorNumbers } from './namedDescriptors.js'
import type { Filesystem, LimitChoice, RlimitChoice } from './specification.js'
import type { GroupEntry } from './step.js'

/** The cgroup that is made by the process that starts the vial. */
export interface GroupOption extends Pick<GroupEntry, 'way'> {
  /** How many descriptors of it the vial gets. */
  readonly descriptors: Required<Pick<DescriptorCounts, 'cpuTime' | 'memory' | 'enter'>>
  /** The directories that it is made in: what can write there can write its limits. */
  readonly bases: readonly string[]
  /** The limits that it has. */
  readonly holds: readonly GroupLimitName[]
  /** How the CPU time used is watched: the nanoseconds that 1 stands for, and the CPUs of this machine, as fast as which it may go by. */
  readonly cpuTime: { readonly unit: number; readonly cpus: number } | undefined
}

interface LimitContext {
  readonly group: GroupOption | undefined
  readonly descriptors: DescriptorNumbers
  readonly outputIsWatched: boolean
}

export interface LoweredLimits extends LimitChoice {
  readonly disk: Filesystem['disk']
  /** What each process is held to, by itself or in place of a cgroup. */
  readonly rlimits: readonly RlimitChoice[]
}

const none: Limits = { required: false }

/**
 * @throws {PolicyError} when a limit needs a cgroup, there is none, and the policy does not do without.
 */
export function lowerLimits(
  { limits = none }: CheckedPolicy,
  { group, descriptors, outputIsWatched }: LimitContext,
): LoweredLimits {
  const isHeld = (name: string) => group?.holds.some((one) => one === name) ?? false
  if (limits.required) refuse(limits, isHeld, outputIsWatched)
  const { wallTime, cpuTime, memory = 0, disk = {} } = limits
  const [usageFd] = descriptors.cpuTime
  const [memoryFd] = descriptors.memory
  return {
    wallTime,
    cpuTime:
      cpuTime === undefined || group?.cpuTime === undefined || usageFd === undefined
        ? undefined
        : { milliseconds: cpuTime, fd: usageFd, ...group.cpuTime },
    memory: memoryFd === undefined ? undefined : { fd: memoryFd, limit: memory },
    group: group === undefined ? undefined : { way: group.way, fds: descriptors.enter },
    disk,
    rlimits: rlimitsOf(
      Object.fromEntries(Object.entries(limits).filter(([name]) => !isHeld(name))),
      'the limits of the policy, for each process',
    ),
  }
}

/** Those limits that each process is held to, as rlimits. */
export function rlimitsOf(limits: Partial<Limits>, why: string): RlimitChoice[] {
  return rlimitedLimits.flatMap((limit): RlimitChoice[] => {
    const given = limits[limit]
    if (given === undefined) return []
    const name = limitRows[limit].rlimit
    const value = rlimitValue(name, given)
    // SIGXCPU at the soft limit tells why; for one that ignores it there is SIGKILL a second later.
    return [{ name, soft: BigInt(value), hard: BigInt(name === 'cpu' ? value + 1 : value), why }]
  })
}

/** A vial alone: the kernel's limits of a process go with it, and so does the timer; anything else needs a cgroup or a reader. */
function refuse(limits: Limits, isHeld: (name: string) => boolean, outputIsWatched: boolean): void {
  const first = neededResources(limits).find((name) => !isHeld(name))
  const output = outputLimits.find((name) => limits[name] !== undefined)
  const without = (instead: string) => ({
    hint: words`use "vial run" or run(), which do; or with ${setting('limits.required', false)} ${instead}`,
  })
  if (first !== undefined)
    throw new PolicyError(
      [faultAt(`limits.${first}`, 'a vial by itself makes no cgroup')],
      without('an rlimit stands in where there is one'),
    )
  if (output !== undefined && !outputIsWatched)
    throw new PolicyError(
      [faultAt(`limits.${output}`, 'a vial by itself does not count its output')],
      without('it is not limited'),
    )
}

/** What a limit is as an rlimit of each process. */
function rlimitValue(name: RlimitName, value: number): number {
  // It counts the user's processes in the sandbox's user namespace: the monitor and init are two of them.
  if (name === 'nproc') return value + 2
  // RLIMIT_CPU counts whole seconds.
  return name === 'cpu' ? Math.ceil(value / 1000) : value
}
