/** The steps of `limits`: what the vial itself does about them. The cgroup is made by the process that starts it. */
import type { RlimitName } from '../kernel/rlimits.js'
import { faultAt, setting } from '../policy/keys.js'
import {
  type GroupLimitName,
  type Limits,
  limitTable,
  neededResources,
  outputLimits,
  parseLimits,
  rlimitedLimits,
} from '../policy/limits.js'
import type { Policy } from '../policy/schema.js'
import { PolicyError } from '../text/error.js'
import { words } from '../text/words.js'
import type { DescriptorCounts, DescriptorNumbers } from './namedDescriptors.js'
import type { GroupEntry, Step } from './step.js'

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

export interface LimitSteps {
  readonly monitor: readonly Step[]
  readonly init: readonly Step[]
  readonly payload: readonly Step<'rlimit'>[]
}

const hints = {
  rlimit: { EPERM: "a hard limit cannot be raised: the caller's own is lower" },
  group: {
    EACCES: 'the cgroup, and the directory above it, must belong to the caller: "vial doctor" tells how',
    EBUSY: 'a cgroup that hands controllers on may have no process of its own',
    ENOENT: 'the cgroup was removed meanwhile',
  },
  timer: { EAGAIN: 'this user has too many signals pending: see ulimit -i' },
}

/**
 * @throws {Error} when a limit needs a cgroup, there is none, and the policy does not do without.
 */
export function limitSteps(policy: Policy, { group, descriptors, outputIsWatched }: LimitContext): LimitSteps {
  if (policy.limits === undefined) return { monitor: [], init: [], payload: [] }
  const limits = parseLimits(policy.limits)
  const isHeld = (name: string) => group?.holds.some((one) => one === name) ?? false
  if (limits.required) refuse(limits, isHeld, outputIsWatched)
  const nanoseconds = (milliseconds: number) => BigInt(Math.round(milliseconds * 1e6))
  const monitor: Step[] = []
  if (limits.wallTime !== undefined)
    monitor.push({
      do: 'wallTime',
      limit: nanoseconds(limits.wallTime),
      what: `set a timer of ${limits.wallTime} ms`,
      why: 'then all is killed',
      hints: hints.timer,
    })
  const [usageFd] = descriptors.cpuTime
  if (limits.cpuTime !== undefined && group?.cpuTime !== undefined && usageFd !== undefined)
    monitor.push({
      do: 'cpuTime',
      limit: nanoseconds(limits.cpuTime),
      fd: usageFd,
      ...group.cpuTime,
      what: `watch the CPU time, ${limits.cpuTime} ms`,
      why: 'then all is killed',
      hints: hints.timer,
    })
  for (const fd of descriptors.memory)
    monitor.push({
      do: 'watchMemory',
      fd,
      near: nearLimit(limits.memory ?? 0),
      what: 'watch the memory',
      why: 'when it is short all are killed, as memory.oom.group has it in cgroup v2',
      hints: hints.group,
    })
  const init: Step[] = []
  if (group !== undefined) {
    const own = (policy.namespaces?.cgroup ?? 'new') === 'new'
    init.push({
      do: 'enterGroup',
      group: { way: group.way, fds: descriptors.enter },
      namespace: own,
      what: 'enter the cgroup',
      why: own ? 'all that follows is limited, and sees no group but this' : 'all that follows is limited',
      hints: hints.group,
    })
  }
  const payload = rlimitedLimits.flatMap((limit): Step<'rlimit'>[] => {
    const given = limits[limit]
    if (given === undefined || isHeld(limit)) return []
    const name = limitTable[limit].rlimit
    const value = rlimitValue(name, given)
    return [
      {
        do: 'rlimit',
        name,
        soft: BigInt(value),
        // SIGXCPU at the soft limit tells why; for one that ignores it there is SIGKILL a second later.
        hard: BigInt(name === 'cpu' ? value + 1 : value),
        what: `limit ${name} to ${value}`,
        why: 'the limits of the policy, for each process',
        hints: hints.rlimit,
      },
    ]
  })
  return { monitor, init, payload }
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

/**
 * What memory a group has held when it met its limit: what is refused at the end is at most eight pages
 * (PAGE_ALLOC_COSTLY_ORDER in mm/memcontrol.c), of up to 64 KiB.
 */
function nearLimit(bytes: number): number {
  return bytes - Math.min(Math.floor(bytes / 8), 2 ** 19)
}

/** What a limit is as an rlimit of each process. */
function rlimitValue(name: RlimitName, value: number): number {
  // It counts the user's processes in the sandbox's user namespace: the monitor and init are two of them.
  if (name === 'nproc') return value + 2
  // RLIMIT_CPU counts whole seconds.
  return name === 'cpu' ? Math.ceil(value / 1000) : value
}
