/** What `limits` of a policy may say, and what it comes to. Apart from its rows, for those who only read a checked policy need no schema. */
import * as v from 'valibot'
import { type HugePage, hugePages } from '../kernel/hugePages.js'
import { dictionary, either, object } from '../text/shapes.js'
import { type LimitRows, type LimitUnit, limitRows } from './limitRows.js'
import { type Duration, parseDuration, timeFault } from './units.js'
import { parsed, positiveSize, size } from './values.js'

const count = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1'))
const hugePageFault = `is not a size of a huge page: one of ${Object.keys(hugePages).join(', ')}`

/** By their units: what is written, and what it comes to. Sizes are bytes then, and times milliseconds. */
const unitSchemas = {
  size,
  positiveSize,
  time: parsed<Duration, number>(timeFault, parseDuration),
  count,
  cores: v.pipe(
    v.number(),
    v.minValue(0.01, 'must be at least 0.01 cores'),
    v.maxValue(10_000, 'must be at most 10000 cores'),
  ),
  weight: v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(1, 'must be from 1 to 10000'),
    v.maxValue(10_000, 'must be from 1 to 10000'),
  ),
  cpus: v.pipe(v.string(), v.regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, 'must be a list of CPUs such as "0-3,6"')),
  disk: either(
    {
      word: v.pipe(
        positiveSize,
        v.transform((size): { size?: number | undefined; inodes?: number | undefined } => ({ size })),
      ),
      object: object({
        /** Bytes of each. */
        size: v.optional(positiveSize),
        /** Files and directories of each. */
        inodes: v.optional(count),
      }),
    },
    'must be a size such as "64M", or { size, inodes }',
  ),
  rates: object({
    /** Bytes read per second. */
    read: v.optional(positiveSize),
    /** Bytes written per second. */
    write: v.optional(positiveSize),
    /** Reads per second. */
    readOps: v.optional(count),
    /** Writes per second. */
    writeOps: v.optional(count),
  }),
  hugePages: dictionary(v.picklist(Object.keys(hugePages) as HugePage[], hugePageFault), size),
} as const satisfies Readonly<Record<LimitUnit, unknown>>

/** Spelled, and not inferred, for the texts of the keys go with their names. */
type Entries = {
  [Name in keyof LimitRows]: v.OptionalSchema<(typeof unitSchemas)[LimitRows[Name]['unit']], undefined>
} & {
  /** Default true: no cgroup, no run. `false`: rlimits instead, where they come close; the result says which. */
  required: v.OptionalSchema<v.BooleanSchema<undefined>, true>
}

export const limitsSchema = object({
  ...Object.fromEntries(
    Object.entries(limitRows).map(([name, { unit }]) => [name, v.optional(unitSchemas[unit] as v.GenericSchema)]),
  ),
  required: v.optional(v.boolean(), true),
}) as unknown as v.ObjectSchema<Entries, undefined>

/** Limits, as a user writes them. */
export interface LimitsPolicy extends v.InferInput<typeof limitsSchema> {}
/** The same in bytes and milliseconds. */
export interface Limits extends Readonly<v.InferOutput<typeof limitsSchema>> {}
