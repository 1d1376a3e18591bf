/** `limits`: how much of memory, time, processes and output a sandbox may take. docs/limits.md says who measures what. */
import type { RlimitName } from '../kernel/rlimits.js'
import type { Fault } from '../text/error.js'
import { words } from '../text/words.js'
import { faultAt, key } from './keys.js'
import type { LimitsPolicy } from './limitsSchema.js'
import { type Duration, parseDuration, parseSize, type Size } from './units.js'

export type LimitName = Exclude<keyof LimitsPolicy, 'required'>

/** Who holds a sandbox to a limit. A timer and a reader kill everything; `cgroup` is all processes together. */
export type Holder = 'cgroup' | 'rlimit of each process' | 'timer' | 'reader' | 'tmpfs'

interface Row<Written> {
  /** What a policy says, in bytes, milliseconds, or as it is. */
  readonly parse: (written: Written) => unknown
  readonly by: Holder
  /** The rlimit that holds each process to it; where `by` is a cgroup, it stands in for a missing one. */
  readonly rlimit?: RlimitName
  /** The controllers of cgroup v1 and v2 that hold a group to it. What is written there, `cgroup/v1.ts` and `v2.ts` say. */
  readonly v1?: string | undefined
  readonly v2?: string | undefined
  /** What a sandbox without this limit may take from all others. */
  readonly starves?: string
}

const asItIs = <Value>(written: Value): Value => written
const bytes = (written: Size): number => parseSize(written) as number
const milliseconds = (written: Duration): number => parseDuration(written) as number
const eachBytes = <Sizes extends object>(written: Sizes) =>
  Object.fromEntries(Object.entries(written).map(([name, size]) => [name, bytes(size)])) as {
    readonly [Name in keyof Sizes]?: number
  }

/**
 * All limits; of those that need a cgroup, those that matter most come first.
 *
 * RLIMIT_DATA counts private writable memory, setrlimit(2); RLIMIT_AS counts what is only reserved too, of which Node takes
 * 2 GiB and Java 4 before they start.
 */
export const limitTable = {
  fileSize: { parse: bytes, by: 'rlimit of each process', rlimit: 'fsize' },
  openFiles: { parse: asItIs<number>, by: 'rlimit of each process', rlimit: 'nofile' },
  stack: { parse: bytes, by: 'rlimit of each process', rlimit: 'stack' },
  core: { parse: bytes, by: 'rlimit of each process', rlimit: 'core' },
  memory: { parse: bytes, by: 'cgroup', v1: 'memory', v2: 'memory', rlimit: 'data', starves: 'memory' },
  pids: { parse: asItIs<number>, by: 'cgroup', v1: 'pids', v2: 'pids', rlimit: 'nproc', starves: 'processes' },
  // Each group of v2 counts CPU time, whatever controllers are on.
  cpuTime: { parse: milliseconds, by: 'cgroup', v1: 'cpuacct', v2: undefined, rlimit: 'cpu', starves: 'CPU time' },
  cpu: { parse: asItIs<number>, by: 'cgroup', v1: 'cpu', v2: 'cpu' },
  // memory.soft_limit_in_bytes of v1 is another thing: it counts only when the whole machine is short of memory.
  memoryHigh: { parse: bytes, by: 'cgroup', v1: undefined, v2: 'memory' },
  cpuWeight: { parse: asItIs<number>, by: 'cgroup', v1: 'cpu', v2: 'cpu' },
  cpuset: { parse: asItIs<string>, by: 'cgroup', v1: 'cpuset', v2: 'cpuset' },
  io: { parse: (io) => eachBytes(io), by: 'cgroup', v1: 'blkio', v2: 'io' },
  ioWeight: { parse: asItIs<number>, by: 'cgroup', v1: 'blkio', v2: 'io' },
  hugepages: { parse: (pages) => eachBytes(pages), by: 'cgroup', v1: 'hugetlb', v2: 'hugetlb' },
  swap: { parse: bytes, by: 'cgroup', v1: 'memory', v2: 'memory' },
  wallTime: { parse: milliseconds, by: 'timer', starves: 'time' },
  output: { parse: bytes, by: 'reader' },
  stdout: { parse: bytes, by: 'reader' },
  stderr: { parse: bytes, by: 'reader' },
  disk: {
    parse: (disk) =>
      eachBytes<{ size?: Size | undefined; inodes?: number | undefined }>(
        typeof disk === 'object' ? disk : { size: disk },
      ),
    by: 'tmpfs',
  },
} as const satisfies { readonly [Name in LimitName]: Row<NonNullable<LimitsPolicy[Name]>> }

type Table = typeof limitTable
/** The names of the limits that this holds. */
type HeldBy<By extends Holder> = { [Name in LimitName]: Table[Name]['by'] extends By ? Name : never }[LimitName]
export const limitNames = Object.keys(limitTable) as LimitName[]
/** Those whose rows say something of this. */
type Having<Key extends string> = {
  [Name in LimitName]: Table[Name] extends Record<Key, string> ? Name : never
}[LimitName]
const having = <Key extends keyof Row<never>>(key: Key) =>
  limitNames.filter((name) => key in limitTable[name]) as Having<Key>[]
const heldBy = <By extends Holder>(by: By) => limitNames.filter((name) => limitTable[name].by === by) as HeldBy<By>[]

/** The same in bytes and milliseconds. */
export type Limits = { readonly [Name in LimitName]?: ReturnType<Table[Name]['parse']> } & {
  readonly required: boolean
}

/** The numbers of checked limits. */
export function parseLimits({ required = true, ...limits }: LimitsPolicy): Limits {
  const parsed = Object.entries(limits).flatMap(([name, written]) => {
    const parse = limitTable[name as LimitName].parse as (written: unknown) => unknown
    return written === undefined ? [] : [[name, parse(written)]]
  })
  return { ...Object.fromEntries(parsed), required }
}

/** Limits that need a cgroup. Swap goes with memory. */
export type GroupLimitName = Exclude<HeldBy<'cgroup'>, 'swap'>
export const groupLimits = heldBy('cgroup').filter((name) => name !== 'swap')
/** Limits that the reader of the output holds it to. */
export const outputLimits = heldBy('reader')
/** Limits of each process, which are rlimits by another name. */
export const processLimits = heldBy('rlimit of each process')
/** These, and those for which an rlimit of each process stands in where no cgroup holds all together. */
export const rlimitedLimits = having('rlimit')
/** Limits without which a sandbox may starve the host. */
export const starvingLimits = having('starves')

export function neededResources(limits: Limits): GroupLimitName[] {
  return groupLimits.filter((name) => limits[name] !== undefined || (name === 'memory' && limits.swap !== undefined))
}

/** Faults between limits and other keys of a policy. */
export function limitFaults(limits: LimitsPolicy, rlimits: Readonly<Partial<Record<RlimitName, unknown>>>): Fault[] {
  const twice = processLimits.filter(
    (name) => limits[name] !== undefined && rlimits[limitTable[name].rlimit] !== undefined,
  )
  const { memory: max, memoryHigh: high } = parseLimits(limits)
  return [
    ...twice.map((name) =>
      faultAt(
        `limits.${name}`,
        words`says the same as ${key(`rlimits.${limitTable[name].rlimit}`)}; leave one of them out`,
      ),
    ),
    ...(high !== undefined && max !== undefined && high >= max
      ? [faultAt('limits.memoryHigh', words`must be below ${key('limits.memory')}, or it has no effect`)]
      : []),
    ...(limits.swap !== undefined && limits.memory === undefined
      ? [faultAt('limits.swap', words`needs ${key('limits.memory')}`)]
      : []),
  ]
}
