/** `limits`: how much of memory, time, processes and output a sandbox may take. docs/limits.md says who measures what. */
import type { HugePage } from '../kernel/hugePages.js'
import type { RlimitName } from '../kernel/rlimits.js'
import type { Fault } from '../text/error.js'
import { words } from '../text/words.js'
import { faultAt, key } from './keys.js'
import type { LimitsPolicy } from './limitsSchema.js'
import { parseDuration, parseSize } from './units.js'

export type LimitName = Exclude<keyof LimitsPolicy, 'required'>

/** The same in bytes and milliseconds. */
export interface Limits {
  readonly memory?: number
  readonly memoryHigh?: number
  readonly swap?: number
  readonly pids?: number
  readonly cpu?: number
  readonly cpuWeight?: number
  readonly cpuset?: string
  readonly cpuTime?: number
  readonly wallTime?: number
  readonly output?: number
  readonly stdout?: number
  readonly stderr?: number
  readonly fileSize?: number
  readonly openFiles?: number
  readonly stack?: number
  readonly core?: number
  readonly disk?: { readonly size?: number; readonly inodes?: number }
  readonly io?: {
    readonly read?: number
    readonly write?: number
    readonly readOps?: number
    readonly writeOps?: number
  }
  readonly ioWeight?: number
  readonly hugepages?: Readonly<Partial<Record<HugePage, number>>>
  readonly required: boolean
}

const sizes = ['memory', 'memoryHigh', 'swap', 'output', 'stdout', 'stderr', 'fileSize', 'stack', 'core'] as const
const times = ['cpuTime', 'wallTime'] as const

/** The numbers of checked limits. */
export function parseLimits(limits: LimitsPolicy): Limits {
  const { disk, io, hugepages, required = true, ...rest } = limits
  const parsed: Record<string, unknown> = { ...rest, required }
  for (const name of sizes) if (rest[name] !== undefined) parsed[name] = parseSize(rest[name])
  for (const name of times) if (rest[name] !== undefined) parsed[name] = parseDuration(rest[name])
  const parseParts = (parts: object) =>
    Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, parseSize(value as string | number)]))
  if (disk !== undefined) parsed.disk = parseParts(typeof disk === 'object' ? disk : { size: disk })
  if (io !== undefined) parsed.io = parseParts(io)
  if (hugepages !== undefined) parsed.hugepages = parseParts(hugepages)
  return parsed as unknown as Limits
}

/** Limits that need a cgroup, those that matter most first. Swap goes with memory. */
export const groupLimits = [
  'memory',
  'pids',
  'cpuTime',
  'cpu',
  'memoryHigh',
  'cpuWeight',
  'cpuset',
  'io',
  'ioWeight',
  'hugepages',
] as const
export type GroupLimitName = (typeof groupLimits)[number]

export function neededResources(limits: Limits): GroupLimitName[] {
  return groupLimits.filter((name) => limits[name] !== undefined || (name === 'memory' && limits.swap !== undefined))
}

/** Limits of each process, which are rlimits by another name. */
export const processLimits = {
  fileSize: 'fsize',
  openFiles: 'nofile',
  stack: 'stack',
  core: 'core',
} as const satisfies {
  readonly [Name in LimitName]?: RlimitName
}

/**
 * What stands in for a missing cgroup, for each process instead of all together. RLIMIT_DATA counts private writable memory,
 * setrlimit(2); RLIMIT_AS counts what is only reserved too, of which Node takes 2 GiB and Java 4 before they start.
 */
export const substitutes = { memory: 'data', pids: 'nproc', cpuTime: 'cpu' } as const satisfies {
  readonly [Name in GroupLimitName]?: RlimitName
}

/** Faults between limits and other keys of a policy. */
export function limitFaults(limits: LimitsPolicy, rlimits: Readonly<Partial<Record<RlimitName, unknown>>>): Fault[] {
  const twice = (Object.keys(processLimits) as (keyof typeof processLimits)[]).filter(
    (name) => limits[name] !== undefined && rlimits[processLimits[name]] !== undefined,
  )
  const { memory: max, memoryHigh: high } = parseLimits(limits)
  return [
    ...twice.map((name) =>
      faultAt(
        `limits.${name}`,
        words`says the same as ${key(`rlimits.${processLimits[name]}`)}; leave one of them out`,
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
