/**
 * The limits of a sandbox, a row for each: its key in a policy with the text that an editor shows, its unit, who holds a sandbox to
 * it and where, and its flag. Schema, types, parsing, steps, groups and flags follow from it. Only data, for the command loads it at once.
 */
import type { RlimitName } from '../kernel/rlimits.js'

/** How a limit is written: limitsSchema.ts has the schema of each unit, limits.ts what it comes to. */
export type LimitUnit =
  | 'size'
  | 'positiveSize'
  | 'time'
  | 'count'
  | 'cores'
  | 'weight'
  | 'cpus'
  | 'disk'
  | 'rates'
  | 'hugePages'

/** A file of a group, which begins with the name of its controller. */
type GroupFile = `${string}.${string}`

/** A flag of the commands that sets it; how its value is written follows from the unit. */
export interface LimitFlag {
  /** Without the two dashes. */
  readonly name: string
  /** A value of fewer bytes than this, without a unit, was surely meant in another unit. */
  readonly least?: number
  /** Default: each command that takes a policy has it. */
  readonly only?: 'run'
  /** For help: a sentence without its full stop. */
  readonly about: string
  /** The same, of a command that enters a sandbox. Default: `about`. */
  readonly aboutOwn?: string
}

interface Common {
  readonly unit: LimitUnit
  /** What a sandbox without this limit may take from all others. */
  readonly starves?: string
  /** A command that enters a sandbox may have a lower one, by which no other process is held. Of CPU time it is the rlimit: the group counts all. */
  readonly own?: 'own'
  readonly flag?: LimitFlag
}

/** Who holds a sandbox to a limit. A timer and a reader kill everything; `cgroup` is all processes together. */
export type Holder = 'cgroup' | 'rlimit of each process' | 'timer' | 'reader' | 'tmpfs'

type LimitRow = Common &
  (
    | {
        readonly by: 'cgroup'
        /**
         * The files of cgroup v1 and v2 that hold a group to it; `cpuTime` is read there. The value is written as it is, unless
         * cgroup/v1.ts or v2.ts has another way. Undefined: that version cannot do it.
         */
        readonly v1: GroupFile | undefined
        readonly v2: GroupFile | undefined
        /** The rlimit that stands in, for each process by itself, where no cgroup can be made. */
        readonly rlimit?: RlimitName
      }
    | { readonly by: 'rlimit of each process'; readonly rlimit: RlimitName }
    | { readonly by: 'timer' | 'reader' | 'tmpfs' }
  )

/** Of a tmpfs, which has no room for a byte in less: tmpfs(5). The smallest of all machines. */
export const tmpfsPage = 4096

/**
 * Of those that need a cgroup, those that matter most come first. Swap comes after memory: memory.memsw of v1, which is both together,
 * may not be less.
 *
 * RLIMIT_DATA counts private writable memory, setrlimit(2); RLIMIT_AS counts what is only reserved too, of which Node takes
 * 2 GiB and Java 4 before they start.
 */
export const limitRows = {
  /** Bytes of all processes together, page cache and kernel memory included. The kernel kills when it needs more. */
  memory: {
    unit: 'positiveSize',
    by: 'cgroup',
    v1: 'memory.limit_in_bytes',
    v2: 'memory.max',
    rlimit: 'data',
    starves: 'memory',
    flag: {
      name: 'memory',
      least: 2 ** 20,
      about: 'at most this much memory for all processes together, such as 256M',
    },
  },
  /** Processes and threads at one time, vial's own pid 1 not counted; more fork(2) fails with EAGAIN. */
  pids: {
    unit: 'count',
    by: 'cgroup',
    v1: 'pids.max',
    v2: 'pids.max',
    rlimit: 'nproc',
    starves: 'processes',
    flag: { name: 'pids', about: 'at most this many processes and threads' },
  },
  /** CPU time of all processes together, user and system. */
  cpuTime: {
    unit: 'time',
    by: 'cgroup',
    v1: 'cpuacct.usage',
    v2: 'cpu.stat',
    rlimit: 'cpu',
    starves: 'CPU time',
    own: 'own',
    flag: {
      name: 'cpu-time',
      about: 'kill everything after this much CPU time, such as 2s',
      aboutOwn: 'kill each of its processes after this much CPU time of its own, such as 2s',
    },
  },
  /** Cores, such as 0.5; more is not killed but slowed down. */
  cpu: {
    unit: 'cores',
    by: 'cgroup',
    v1: 'cpu.cfs_quota_us',
    v2: 'cpu.max',
    flag: { name: 'cpus', about: 'at most this many cores, such as 0.5; the processes are slowed down to it' },
  },
  /** Bytes as of `memory`, above which all are slowed down and their memory is reclaimed; no process is killed. Needs cgroup v2. */
  // memory.soft_limit_in_bytes of v1 is another thing: it counts only when the whole machine is short of memory.
  memoryHigh: { unit: 'positiveSize', by: 'cgroup', v1: undefined, v2: 'memory.high' },
  /** Share of the CPUs where others want them too, 1 to 10000; default 100. */
  cpuWeight: { unit: 'weight', by: 'cgroup', v1: 'cpu.shares', v2: 'cpu.weight' },
  /** The CPUs to run on, such as "0-3,6". */
  cpuset: { unit: 'cpus', by: 'cgroup', v1: 'cpuset.cpus', v2: 'cpuset.cpus' },
  /** Bytes and operations per second, for each block device. */
  io: { unit: 'rates', by: 'cgroup', v1: 'blkio.throttle.read_bps_device', v2: 'io.max' },
  /** Share of the disks where others want them too, 1 to 10000; default 100. */
  ioWeight: { unit: 'weight', by: 'cgroup', v1: 'blkio.bfq.weight', v2: 'io.weight' },
  /** Bytes in huge pages, for each size of page, such as { "2M": "64M" }. */
  hugepages: { unit: 'hugePages', by: 'cgroup', v1: 'hugetlb.2MB.limit_in_bytes', v2: 'hugetlb.2MB.max' },
  /** Bytes of swap beside `memory`; default 0. */
  swap: { unit: 'size', by: 'cgroup', v1: 'memory.memsw.limit_in_bytes', v2: 'memory.swap.max' },
  /** Time on the clock, from the start of pid 1. */
  wallTime: {
    unit: 'time',
    by: 'timer',
    starves: 'time',
    own: 'own',
    flag: {
      name: 'wall-time',
      about: 'kill everything after this time, such as 5s',
      aboutOwn: 'kill the command after this time, such as 5s',
    },
  },
  /** Bytes written to standard output and standard error together. */
  output: {
    unit: 'size',
    by: 'reader',
    own: 'own',
    flag: {
      name: 'output',
      only: 'run',
      about: 'kill everything when it writes more than this to standard output and error',
      aboutOwn: 'kill the command when it writes more than this to standard output and error',
    },
  },
  /** Bytes written to standard output alone. */
  stdout: { unit: 'size', by: 'reader', own: 'own' },
  /** Bytes written to standard error alone. */
  stderr: { unit: 'size', by: 'reader', own: 'own' },
  /** Bytes and inodes of every writable tmpfs that has no size of its own. */
  disk: {
    unit: 'disk',
    by: 'tmpfs',
    flag: {
      name: 'disk',
      least: tmpfsPage,
      about: 'at most this much in each directory in memory that has no size of its own',
    },
  },
  /** Bytes of each file written; RLIMIT_FSIZE. */
  fileSize: {
    unit: 'size',
    by: 'rlimit of each process',
    rlimit: 'fsize',
    own: 'own',
    flag: { name: 'file-size', about: 'no file larger than this' },
  },
  /** File descriptors of each process; RLIMIT_NOFILE. */
  openFiles: {
    unit: 'count',
    by: 'rlimit of each process',
    rlimit: 'nofile',
    own: 'own',
    flag: { name: 'open-files', about: 'at most this many open files in each process' },
  },
  /** Bytes of the main thread's stack of each process; RLIMIT_STACK. */
  stack: {
    unit: 'size',
    by: 'rlimit of each process',
    rlimit: 'stack',
    own: 'own',
    flag: { name: 'stack', about: 'no larger stack of the main thread of each process, such as 8M' },
  },
  /** Bytes of a core dump; RLIMIT_CORE. */
  core: {
    unit: 'size',
    by: 'rlimit of each process',
    rlimit: 'core',
    own: 'own',
    flag: { name: 'core', about: 'no larger core dump, such as 100M; default: none' },
  },
} as const satisfies Readonly<Record<string, LimitRow>>

export type LimitRows = typeof limitRows
export type LimitName = keyof LimitRows
