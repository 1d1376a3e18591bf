/** Groups in v1 hierarchies, https://docs.kernel.org/admin-guide/cgroup-v1/: one directory in each that is needed. */
import { constants, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isWithin } from '../policy/path.js'
import type { LimitRows } from '../policy/limitRows.js'
import type { controllerOf, GroupLimitName } from '../policy/limits.js'
import {
  type Group,
  type GroupDescriptors,
  type GroupLimits,
  type GroupUsage,
  type IoLimits,
  type LimitWrite,
  inside,
  type Watch,
  type Way,
  type Writes,
} from './group.js'
import {
  bfqWeight,
  CannotLimit,
  disks,
  eachGroup,
  hasFile,
  killPids,
  makeDirectories,
  pidsBelow,
  present,
  readNumber,
  readTable,
  readText,
  removeDirectory,
  thaw,
  tryWrite,
  writeValue,
} from './groupFiles.js'
import { hierarchies } from './hierarchies.js'
import { limitWrites, writeLimits } from './limitWrites.js'

export type Controller = ReturnType<typeof controllerOf<NonNullable<LimitRows[GroupLimitName]['v1']>>> | 'freezer'
/** Where each controller's own group of this process lies; two controllers may share a hierarchy. */
export type Bases = Readonly<Partial<Record<Controller, string>>>

const cpuPeriod = 100_000

/** Groups below these directories; `others` are of hierarchies where nothing is limited or measured. */
export function v1Way(bases: Bases, others: readonly string[] = []): Way {
  const all = [...new Set([...Object.values(bases), ...others])]
  return {
    name: 'cgroup v1',
    version: 1,
    bases: all,
    create(name, limits, shielded = false) {
      const at = (base: string) => join(base, name)
      const directory: Bases = Object.fromEntries(
        Object.entries(bases).map(([controller, base]) => [controller, at(base)]),
      )
      return createV1(directory, all.map(at), limits, shielded)
    },
  }
}

function createV1(directory: Bases, directories: readonly string[], limits: GroupLimits, shielded: boolean): Group {
  const entered = shielded ? directories.map((one) => join(one, inside)) : directories
  makeDirectories(directories, () => {
    writeLimits(1, directoryIn(directory), writes, limits)
    if (!shielded) return
    // Before Linux 5.11 a limit of memory held those below only on request, made before there are any.
    if (directory.memory !== undefined && readNumber(directory.memory, 'memory.use_hierarchy') === 0)
      writeValue(directory.memory, 'memory.use_hierarchy', 1)
    makeDirectories(entered, () => [...directories, ...entered].forEach(inheritCpus))
  })
  return new GroupV1(directory, directories, entered)
}

const directoryIn = (bases: Bases) => (controller: string) => bases[controller as Controller]!

/** A new group of cpuset has no CPU and no memory, and no process may enter it then. */
function inheritCpus(directory: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems'])
    if (readText(directory, file)?.trim() === '')
      writeValue(directory, file, readText(dirname(directory), file)!.trim())
}

export const writes = {
  memory: (bytes, directory) => [
    ['memory.limit_in_bytes', bytes],
    // The buffers of TCP and UDP sockets are not in it, and not counted at all before this is written: net/ipv4/tcp_memcontrol.c,
    // mm/memcontrol-v1.c.
    ...(hasFile(directory, tcpBuffers) ? [[tcpBuffers, bytes] as const] : []),
  ],
  swap: (bytes, directory, { memory = 0 }) => {
    // The file is there only if the kernel counts swap (swapaccount=1).
    if (hasFile(directory, memsw)) return [[memsw, memory + bytes]]
    if (bytes === 0) return []
    throw new CannotLimit('this kernel does not count swap', 'boot with swapaccount=1')
  },
  cpu: (cores) => [
    ['cpu.cfs_period_us', cpuPeriod],
    // The kernel takes no less than 1 ms.
    ['cpu.cfs_quota_us', Math.max(1000, Math.round(cores * cpuPeriod))],
  ],
  // 1024 is the default, and 2 the least.
  cpuWeight: (weight) => [['cpu.shares', Math.max(2, Math.round((weight * 1024) / 100))]],
  // A new group has neither, and no process may enter it then.
  cpuset: (cpus, directory) => [
    ['cpuset.cpus', cpus],
    ['cpuset.mems', (readText(dirname(directory), 'cpuset.mems') ?? '').trim()],
  ],
  io: (limits) =>
    disks().flatMap((disk) =>
      Object.entries(ioFiles).flatMap(([name, file]) => {
        const value = limits[name as keyof IoLimits]
        return value === undefined ? [] : [[file, `${disk} ${value}`] as const]
      }),
    ),
  ioWeight: (weight, directory) => [bfqWeight(directory, 'blkio.bfq.weight', weight)],
  hugepages: (sizes) =>
    Object.entries(sizes).flatMap(([page, bytes]) => [
      [`hugetlb.${page}.limit_in_bytes`, bytes] as const,
      [`hugetlb.${page}.rsvd.limit_in_bytes`, bytes] as const,
    ]),
} satisfies Writes
const tcpBuffers = 'memory.kmem.tcp.limit_in_bytes'
const memsw = 'memory.memsw.limit_in_bytes'

const ioFiles: Readonly<Record<keyof IoLimits, string>> = {
  read: 'blkio.throttle.read_bps_device',
  write: 'blkio.throttle.write_bps_device',
  readOps: 'blkio.throttle.read_iops_device',
  writeOps: 'blkio.throttle.write_iops_device',
}

class GroupV1 implements Group {
  readonly version = 1
  readonly mayFreeze: boolean

  constructor(
    readonly directory: Bases,
    readonly directories: readonly string[],
    readonly entered: readonly string[],
  ) {
    this.mayFreeze = entered !== directories && directory.freezer !== undefined
  }

  /**
   * `tasks`, not `cgroup.procs`: a thread that moves itself needs no lock on all forks of the machine. A hierarchy of v2
   * beside those of v1 has the other only.
   */
  open({ cpuTime, memory }: Watch): GroupDescriptors {
    const file = (directory: string) => join(directory, hasFile(directory, 'tasks') ? 'tasks' : 'cgroup.procs')
    return {
      enter: this.entered.map((directory) => openSync(file(directory), constants.O_WRONLY)),
      cpuTime: cpuTime ? [openSync(join(this.directory.cpuacct!, 'cpuacct.usage'), constants.O_RDONLY)] : [],
      memory: memory ? [openSync(this.directory.memory!, constants.O_RDONLY | constants.O_DIRECTORY)] : [],
    }
  }

  writes(limits: GroupLimits): Iterable<LimitWrite> {
    return limitWrites(1, directoryIn(this.directory), writes, limits)
  }

  measure(): GroupUsage {
    const { memory, pids, cpu, cpuacct, blkio } = this.directory
    return {
      ...(memory === undefined ? {} : measureMemory(memory)),
      ...(pids === undefined ? {} : measurePids(pids)),
      ...(cpuacct === undefined ? {} : measureCpu(cpuacct)),
      ...(cpu === undefined ? {} : { throttledMs: (readTable(cpu, 'cpu.stat').get('throttled_time') ?? 0) / 1e6 }),
      ...(blkio === undefined ? {} : measureIo(blkio)),
    }
  }

  memory(): number | undefined {
    const { memory } = this.directory
    return memory === undefined ? undefined : readNumber(memory, 'memory.usage_in_bytes')
  }

  /**
   * Where there is a freezer no process can fork meanwhile, and none dies before all are woken; elsewhere it is done again
   * until none is left.
   */
  kill(): void {
    const { freezer } = this.directory
    if (freezer !== undefined) tryWrite(freezer, 'freezer.state', 'FROZEN')
    const killed = new Set<number>()
    for (let round = 0; round < 100; round++) {
      const pids = pidsBelow(this.directories)
      const fresh = pids.filter((pid) => !killed.has(pid))
      if (freezer === undefined ? pids.length === 0 : fresh.length === 0) break
      killPids(fresh.length === 0 ? pids : fresh)
      for (const pid of fresh) killed.add(pid)
    }
    this.thaw()
  }

  thaw(): void {
    if (this.directory.freezer !== undefined) thaw(this.directory.freezer)
  }

  tryRemove(): boolean {
    return this.directories.map(removeDirectory).every(Boolean)
  }
}

/** The group of these directories, which may have been made by another process. */
export function openV1(directories: readonly string[]): Group {
  const bases = Object.fromEntries(
    directories.flatMap((directory) => {
      const hierarchy = hierarchies().find(({ version, mount }) => version === 1 && isWithin(directory, mount))
      return (hierarchy?.controllers ?? []).map((controller) => [controller, directory])
    }),
  )
  return new GroupV1(bases, directories, directories)
}

function measureMemory(directory: string): GroupUsage {
  return present({
    peakMemory: readNumber(directory, 'memory.max_usage_in_bytes'),
    oomKills: readTable(directory, 'memory.oom_control').get('oom_kill'),
  })
}

/** pids.peak: Linux 6.1 or newer. A refused fork is counted in the group of the process, whichever group's limit it was. */
function measurePids(directory: string): GroupUsage {
  let refused: number | undefined
  eachGroup(directory, (group) => {
    const here = readTable(group, 'pids.events').get('max')
    if (here !== undefined) refused = (refused ?? 0) + here
  })
  return present({ peakPids: readNumber(directory, 'pids.peak'), pidsLimitHits: refused })
}

function measureCpu(directory: string): GroupUsage {
  const milliseconds = (file: string) => {
    const nanoseconds = readNumber(directory, file)
    return nanoseconds === undefined ? undefined : nanoseconds / 1e6
  }
  return present({
    cpuMs: milliseconds('cpuacct.usage'),
    cpuUserMs: milliseconds('cpuacct.usage_user'),
    cpuSystemMs: milliseconds('cpuacct.usage_sys'),
  })
}

/** `8:0 Read 4096` lines. */
function measureIo(directory: string): GroupUsage {
  const file = 'blkio.throttle.io_service_bytes'
  const lines = (readText(directory, `${file}_recursive`) ?? readText(directory, file) ?? '')
    .split('\n')
    .map((line) => line.split(' '))
  const sum = (kind: string) =>
    lines.filter(([, word]) => word === kind).reduce((total, [, , bytes]) => total + Number(bytes), 0)
  return { readBytes: sum('Read'), writtenBytes: sum('Write') }
}
