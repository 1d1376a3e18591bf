/** `limits`: how much of memory, time, processes and output a sandbox may take. docs/limits.md says who measures what. */
import type { RlimitName } from '../kernel/rlimits.js'
import type { Fault } from '../text/error.js'
import { words } from '../text/words.js'
import { faultAt, key } from './keys.js'
import { type Holder, type LimitName, type LimitRows, type LimitUnit, limitRows } from './limitRows.js'
import type { Limits, LimitsPolicy } from './limitsSchema.js'
import { type Duration, parseDuration, parseSize, type Size } from './units.js'

export type { Limits } from './limitsSchema.js'

/** The names of the limits that this holds. */
type HeldBy<By extends Holder> = { [Name in LimitName]: LimitRows[Name]['by'] extends By ? Name : never }[LimitName]
export const limitNames = Object.keys(limitRows) as LimitName[]
/** Those whose rows say something of this. */
type Having<Key extends string> = {
  [Name in LimitName]: LimitRows[Name] extends Record<Key, string> ? Name : never
}[LimitName]
const having = <Key extends 'rlimit' | 'starves' | 'own'>(key: Key, names: readonly LimitName[] = limitNames) =>
  names.filter((name) => key in limitRows[name]) as Having<Key>[]
const heldBy = <By extends Holder>(by: By) => limitNames.filter((name) => limitRows[name].by === by) as HeldBy<By>[]

/** What a checked value of each unit comes to; where nothing is said, it stays as it is. */
const parsers: Partial<Readonly<Record<LimitUnit, (written: never) => unknown>>> = {
  size: parseSize,
  positiveSize: parseSize,
  time: (written: Duration) => parseDuration(written),
  disk: (written: Size | Readonly<Record<string, Size>>) =>
    typeof written === 'object' ? eachBytes(written) : { size: parseSize(written) },
  rates: eachBytes,
  hugePages: eachBytes,
}

function eachBytes(written: Readonly<Record<string, Size>>) {
  return Object.fromEntries(Object.entries(written).map(([name, size]) => [name, parseSize(size)]))
}

/**
 * What the schema makes of limits, without the schema, which takes long to load: for a policy that was checked when its vial was
 * compiled.
 */
export function parseLimits({ required = true, ...limits }: LimitsPolicy): Limits {
  const numbers = Object.entries(limits).flatMap(([name, written]) => {
    const parse = (parsers[limitRows[name as LimitName].unit] ?? ((same) => same)) as (written: unknown) => unknown
    return written === undefined ? [] : [[name, parse(written)]]
  })
  return { ...Object.fromEntries(numbers), required }
}

/** Limits that need a cgroup. Swap goes with memory. */
export type GroupLimitName = Exclude<HeldBy<'cgroup'>, 'swap'>
export const groupLimits = heldBy('cgroup').filter((name) => name !== 'swap')
/** Limits that the reader of the output holds it to. */
export const outputLimits = heldBy('reader')
export const limitsOutput = (limits: Partial<Limits>) => outputLimits.some((name) => limits[name] !== undefined)
/** Limits of each process, which are rlimits by another name. */
export const processLimits = heldBy('rlimit of each process')
/** What a command that enters a sandbox may have of its own. */
export type OwnLimitName = Having<'own'>
export const ownLimits = having('own')
/** These, and those for which an rlimit of each process stands in where no cgroup holds all together. */
export const rlimitedLimits = [...processLimits, ...having('rlimit', heldBy('cgroup'))]
/** Limits without which a sandbox may starve the host. */
export const starvingLimits = having('starves')

export function neededResources(limits: Limits): GroupLimitName[] {
  return groupLimits.filter((name) => limits[name] !== undefined || (name === 'memory' && limits.swap !== undefined))
}

/** Those for which something is written into a group. */
export const writtenLimits = heldBy('cgroup').filter((name) => name !== 'cpuTime')

type FirstWord<File> = File extends `${infer Word}.${string}` ? Word : never
/** The controller of a file of a group, which is how its name begins. */
export const controllerOf = <File extends string>(file: File) => file.slice(0, file.indexOf('.')) as FirstWord<File>

/** Faults between limits and other keys of a policy. */
export function limitFaults(limits: Limits, rlimits: Readonly<Partial<Record<RlimitName, unknown>>>): Fault[] {
  const twice = processLimits.filter(
    (name) => limits[name] !== undefined && rlimits[limitRows[name].rlimit] !== undefined,
  )
  const { memory: max, memoryHigh: high, swap } = limits
  return [
    ...twice.map((name) =>
      faultAt(
        `limits.${name}`,
        words`says the same as ${key(`rlimits.${limitRows[name].rlimit}`)}; leave one of them out`,
      ),
    ),
    ...(high !== undefined && max !== undefined && high >= max
      ? [faultAt('limits.memoryHigh', words`must be below ${key('limits.memory')}, or it has no effect`)]
      : []),
    ...(swap !== undefined && max === undefined ? [faultAt('limits.swap', words`needs ${key('limits.memory')}`)] : []),
  ]
}
