/**
 * A group: what cgroups(7) calls a cgroup, or one in each of several v1 hierarchies, that holds the processes of one
 * sandbox. Three ways lead to one (v2, v1, and systemd, which hands out a part of v2), and all give this interface.
 */
import type { Opened } from '../plan/namedDescriptors.js'
import type { GroupLimitName, Limits } from '../policy/limits.js'
import type { Repair } from '../text/repair.js'

/** What a group holds its processes to, all of them together. Absent: no limit. */
export type GroupLimits = Pick<Limits, Exclude<GroupLimitName | 'swap', 'cpuTime' | 'hugepages'>> & {
  /** Bytes for each size of page, `2MB`. */
  readonly hugepages?: Readonly<Record<string, number>>
}

/** A value, and the file of a group that it is written to. `switch`: it is no measure of anything. */
export type Write = readonly [file: string, value: string | number, kind?: 'switch']
/** One file of a group, and what it holds for a limit. */
export interface LimitWrite {
  readonly limit: keyof GroupLimits
  readonly directory: string
  readonly write: Write
}
/**
 * What is written for a limit, where that is not its value alone. The directory is there already, with the files that this kernel
 * has.
 */
type Ways = {
  readonly [Name in keyof GroupLimits]-?: (
    value: NonNullable<GroupLimits[Name]>,
    directory: string,
    limits: GroupLimits,
  ) => readonly Write[]
}
/** Those whose value is no number or text. */
type Compound = {
  [Name in keyof GroupLimits]-?: NonNullable<GroupLimits[Name]> extends string | number ? never : Name
}[keyof GroupLimits]
export type Writes = Pick<Ways, Compound> & Partial<Omit<Ways, Compound>>

/** Bytes and operations per second, for each block device. */
export type IoLimits = NonNullable<Limits['io']>

/** What a group's files say. A field is absent where the kernel does not measure it. Times are milliseconds. */
export interface GroupUsage {
  /** Milliseconds of CPU of all processes together. */
  readonly cpuMs?: number
  /** Milliseconds of it in user mode. */
  readonly cpuUserMs?: number
  /** Milliseconds of it in the kernel. */
  readonly cpuSystemMs?: number
  /** Bytes, of all processes together, page cache and kernel memory included. */
  readonly peakMemory?: number
  /** The most processes and threads at one time. */
  readonly peakPids?: number
  /** Processes that the kernel killed for want of memory; v2: and how often the group's own limit was why. */
  readonly oomKills?: number
  /** v2: how often the group's own limit of memory was met. */
  readonly memoryLimitHits?: number
  /** v2: how often processes were slowed down for `memoryHigh`. */
  readonly memoryHighHits?: number
  /** Forks that the limit of processes refused. */
  readonly pidsLimitHits?: number
  /** Time that runnable processes were held back by the limit of cores. */
  readonly throttledMs?: number
  /** Bytes read from block devices. */
  readonly readBytes?: number
  /** Bytes written to block devices. */
  readonly writtenBytes?: number
  /** Time in which some, or all, processes waited for a resource: PSI. */
  readonly pressure?: {
    /** Waiting for a processor. */
    readonly cpu?: Pressure
    /** Waiting for memory. */
    readonly memory?: Pressure
    /** Waiting for a disk. */
    readonly io?: Pressure
  }
}

/** Milliseconds, of Documentation/accounting/psi.rst. */
export interface Pressure {
  /** In which at least one process waited. */
  readonly someMs: number
  /** In which all waited. */
  readonly fullMs: number
}

/** Descriptors for the process that enters, by their names in its plan. The caller closes them. */
export interface GroupDescriptors extends Opened<number> {
  /** v1: the `tasks` file of each hierarchy, where a process writes 0. v2: the directory, for CLONE_INTO_CGROUP. */
  readonly enter: readonly number[]
  /** At most one: a file that begins with the CPU time used so far. */
  readonly cpuTime: readonly number[]
  /** At most one; v1: the directory whose memory.oom_control tells when memory is short; v2 kills all by itself. */
  readonly memory: readonly number[]
}

/** What the holder of the descriptors looks at. */
export interface Watch {
  readonly cpuTime: boolean
  readonly memory: boolean
}

export interface Group {
  readonly version: 1 | 2
  /** Where it lies: a directory, or one in each hierarchy. */
  readonly directories: readonly string[]
  /** Whether SIGKILL may be late: v1, with a freezer that the payload may reach. */
  readonly mayFreeze: boolean
  open(watch: Watch): GroupDescriptors
  /** Which of its files hold these limits, and the values that were written there. */
  writes(limits: GroupLimits): Iterable<LimitWrite>
  measure(): GroupUsage
  /** Bytes that all its processes use now, page cache and kernel memory included; undefined where nothing counts them. */
  memory(): number | undefined
  /** Sends SIGKILL to all processes in it and below it, so that none can escape by forking, or by being frozen. */
  kill(): void
  /** Wakes what is frozen. */
  thaw(): void
  /** Whether it is gone; false while processes that are dying are still in it. */
  tryRemove(): boolean
}

/** Nanoseconds that 1 stands for in the file behind `cpuTime`: cpuacct.usage and cpu.stat. */
export const cpuTimeUnit = { 1: 1, 2: 1000 } as const

/** A place where groups can be made. */
export interface Way {
  readonly name: 'cgroup v2' | 'cgroup v1' | 'systemd'
  readonly version: 1 | 2
  /** The directories in which groups are made. */
  readonly bases: readonly string[]
  /** @throws {Error} when the kernel refuses; nothing is left behind then. */
  create(name: string, limits: GroupLimits, shielded?: boolean): Group
}

/**
 * The group below a shielded group where its processes are. The files of a group belong to the caller's uid, which is
 * the payload's too. A payload that may mount can make a cgroup namespace and mount the hierarchy, whose root is then
 * the group that it is in: cgroup_namespaces(7). So the limits are one group above, which no such mount shows.
 */
export const inside = 'inside'

/** Why there is no group, and what grants one. */
export interface Missing extends Repair {
  readonly missing: string
}
