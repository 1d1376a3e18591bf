/** `rlimits` of a policy: limits of each process. */
import * as v from 'valibot'
import { RLIM_INFINITY, type RlimitName, rlimits } from '../kernel/rlimits.js'
import { dictionary, either, object } from '../text/shapes.js'
import { parseSize, type Size, sizeFault } from './units.js'
import { parsed } from './values.js'

const rlimitFault = 'must be a number, a size such as "64M" or "unlimited"'
const rlimitValue = parsed<Size | 'unlimited', bigint>(
  (value) => (value === 'unlimited' || sizeFault(value) === undefined ? undefined : rlimitFault),
  (value) => (value === 'unlimited' ? RLIM_INFINITY : BigInt(parseSize(value) as number)),
)
const both = v.transform((value: bigint): ParsedRlimit => ({ soft: value, hard: value }))
const rlimit = either(
  { word: v.pipe(rlimitValue, both), object: object({ soft: rlimitValue, hard: rlimitValue }) },
  rlimitFault,
)

/** What it comes to, RLIM_INFINITY where it is unlimited. */
export interface ParsedRlimit {
  readonly soft: bigint
  readonly hard: bigint
}

/** A limit of each process, getrlimit(2): one value for both, or soft and hard. `unlimited` is RLIM_INFINITY. */
export type Rlimit =
  | Size
  | 'unlimited'
  | {
      /** What the kernel holds the process to; it may raise it up to `hard`. */
      soft: Size | 'unlimited'
      /** Never raised again. */
      hard: Size | 'unlimited'
    }

/** Limits of each process by the names of getrlimit(2), without RLIMIT_. */
export interface Rlimits {
  /** Bytes of address space. */
  as?: Rlimit | undefined
  /** Bytes of a core dump; default 1, with which no handler of the host is called. */
  core?: Rlimit | undefined
  /** Seconds of CPU; then SIGXCPU, and at the hard limit SIGKILL. */
  cpu?: Rlimit | undefined
  /** Bytes of data segment and private writable memory. */
  data?: Rlimit | undefined
  /** Bytes of a file; more is SIGXFSZ. */
  fsize?: Rlimit | undefined
  /** Not used since Linux 2.4.25. */
  locks?: Rlimit | undefined
  /** Bytes of locked memory. */
  memlock?: Rlimit | undefined
  /** Bytes of POSIX message queues of the user. */
  msgqueue?: Rlimit | undefined
  /** 20 less the lowest niceness. */
  nice?: Rlimit | undefined
  /** One more than the highest file descriptor. */
  nofile?: Rlimit | undefined
  /** Processes and threads of the user. */
  nproc?: Rlimit | undefined
  /** Not used since Linux 2.4.30. */
  rss?: Rlimit | undefined
  /** Real-time priority. */
  rtprio?: Rlimit | undefined
  /** Microseconds of CPU under a real-time policy without a pause. */
  rttime?: Rlimit | undefined
  /** Signals queued for the user; default 1024. */
  sigpending?: Rlimit | undefined
  /** Bytes of stack of the main thread. */
  stack?: Rlimit | undefined
}

const fault = `is not a resource: one of ${Object.keys(rlimits).join(', ')}`
export const rlimitsSchema = dictionary(
  v.picklist(Object.keys(rlimits) as RlimitName[], fault),
  rlimit,
) as unknown as v.GenericSchema<Rlimits, { [Name in RlimitName]?: ParsedRlimit }>
