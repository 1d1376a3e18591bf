/** What `limits` of a policy may say. Apart from its numbers, for those who only read a checked policy need no schema. */
import * as v from 'valibot'
import { type HugePage, hugePages } from '../kernel/hugePages.js'
import { dictionary, either, object } from '../text/shapes.js'
import { type Duration, type Size, sizeFault, timeFault } from './units.js'

const size = v.custom<Size>(
  (value) => sizeFault(value) === undefined,
  ({ input }) => sizeFault(input)!,
)
/** A size above 0. */
export const positiveSize = v.custom<Size>(
  (value) => sizeFault(value, 1) === undefined,
  ({ input }) => sizeFault(input, 1)!,
)
const time = v.custom<Duration>(
  (value) => timeFault(value) === undefined,
  ({ input }) => timeFault(input)!,
)
const count = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1'))
const cores = v.pipe(
  v.number(),
  v.minValue(0.01, 'must be at least 0.01 cores'),
  v.maxValue(10_000, 'must be at most 10000 cores'),
)

const weight = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be from 1 to 10000'),
  v.maxValue(10_000, 'must be from 1 to 10000'),
)
const hugePageFault = `is not a size of a huge page: one of ${Object.keys(hugePages).join(', ')}`

export const limitsSchema = object({
  /** Bytes of all processes together, page cache and kernel memory included. The kernel kills when it needs more. */
  memory: v.optional(positiveSize),
  /** Bytes of the same, above which all are slowed down and their memory is reclaimed; no process is killed. Needs cgroup v2. */
  memoryHigh: v.optional(positiveSize),
  /** Bytes of swap beside `memory`; default 0. */
  swap: v.optional(size),
  /** Processes and threads at one time, vial's own pid 1 not counted; more fork(2) fails with EAGAIN. */
  pids: v.optional(count),
  /** Cores, such as 0.5; more is not killed but slowed down. */
  cpu: v.optional(cores),
  /** Share of the CPUs where others want them too, 1 to 10000; default 100. */
  cpuWeight: v.optional(weight),
  /** The CPUs to run on, such as "0-3,6". */
  cpuset: v.optional(
    v.pipe(v.string(), v.regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, 'must be a list of CPUs such as "0-3,6"')),
  ),
  /** CPU time of all processes together, user and system. */
  cpuTime: v.optional(time),
  /** Time on the clock, from the start of pid 1. */
  wallTime: v.optional(time),
  /** Bytes written to standard output and standard error together. */
  output: v.optional(size),
  /** Bytes written to standard output alone. */
  stdout: v.optional(size),
  /** Bytes written to standard error alone. */
  stderr: v.optional(size),
  /** Bytes of each file written; RLIMIT_FSIZE. */
  fileSize: v.optional(size),
  /** File descriptors of each process; RLIMIT_NOFILE. */
  openFiles: v.optional(count),
  /** Bytes of the main thread's stack of each process; RLIMIT_STACK. */
  stack: v.optional(size),
  /** Bytes of a core dump; RLIMIT_CORE. */
  core: v.optional(size),
  /** Bytes and inodes of every writable tmpfs that has no size of its own. */
  disk: v.optional(
    either(
      {
        word: positiveSize,
        object: object({
          /** Bytes of each. */
          size: v.optional(positiveSize),
          /** Files and directories of each. */
          inodes: v.optional(count),
        }),
      },
      'must be a size such as "64M", or { size, inodes }',
    ),
  ),
  /** Bytes and operations per second, for each block device. */
  io: v.optional(
    object({
      /** Bytes read per second. */
      read: v.optional(positiveSize),
      /** Bytes written per second. */
      write: v.optional(positiveSize),
      /** Reads per second. */
      readOps: v.optional(count),
      /** Writes per second. */
      writeOps: v.optional(count),
    }),
  ),
  /** Share of the disks where others want them too, 1 to 10000; default 100. */
  ioWeight: v.optional(weight),
  /** Bytes in huge pages, for each size of page, such as { "2M": "64M" }. */
  hugepages: v.optional(dictionary(v.picklist(Object.keys(hugePages) as HugePage[], hugePageFault), size)),
  /** Default true: no cgroup, no run. `false`: rlimits instead, where they come close; the result says which. */
  required: v.optional(v.boolean()),
})

/** Limits, as a user writes them. */
export interface LimitsPolicy extends v.InferInput<typeof limitsSchema> {}
