/** Groups in v1 hierarchies, https://docs.kernel.org/admin-guide/cgroup-v1/: one folder in each that is needed. */
import { constants, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  bfqWeight,
  disks,
  hasFile,
  killPids,
  makeFolders,
  pidsIn,
  present,
  readNumber,
  readTable,
  readText,
  removeFolder,
  writeLimits,
  writeValue,
} from './files.js'
import type { Group, GroupDescriptors, GroupLimits, GroupUsage, IoLimits, Watch, Way, Writes } from './group.js'

export type Controller = 'memory' | 'pids' | 'cpu' | 'cpuset' | 'cpuacct' | 'blkio' | 'hugetlb' | 'freezer'
/** Where each controller's own group of this process lies; two controllers may share a hierarchy. */
export type Bases = Readonly<Partial<Record<Controller, string>>>

const cpuPeriod = 100_000

/** Groups below these folders. */
export function v1Way(bases: Bases): Way {
  return {
    name: 'cgroup v1',
    version: 1,
    bases: [...new Set(Object.values(bases))],
    create(name, limits) {
      const folders = Object.fromEntries(
        Object.entries(bases).map(([controller, base]) => [controller, join(base, name)]),
      )
      return createV1(folders, limits)
    },
  }
}

function createV1(folder: Bases, limits: GroupLimits): Group {
  const folders = [...new Set(Object.values(folder))]
  makeFolders(folders, () => writeLimits((name) => folder[controllerOf[name]]!, writes, limits))
  return new GroupV1(folder, folders)
}

/** Swap comes after memory: memsw, which is both together, may not be less. */
export const writes: Writes = {
  memory: (bytes) => [['memory.limit_in_bytes', bytes]],
  memoryHigh: () => {
    throw new Error('limits.memoryHigh: cgroup v1 cannot do it')
  },
  swap: (bytes, folder) => {
    // The file is there only if the kernel counts swap (swapaccount=1).
    if (hasFile(folder, memsw)) return [[memsw, readNumber(folder, 'memory.limit_in_bytes')! + bytes]]
    if (bytes === 0) return []
    throw new Error('limits.swap: this kernel does not count swap\n      boot with swapaccount=1')
  },
  pids: (count) => [['pids.max', count]],
  cpu: (cores) => [
    ['cpu.cfs_period_us', cpuPeriod],
    // The kernel takes no less than 1 ms.
    ['cpu.cfs_quota_us', Math.max(1000, Math.round(cores * cpuPeriod))],
  ],
  // 1024 is the default, and 2 the least.
  cpuWeight: (weight) => [['cpu.shares', Math.max(2, Math.round((weight * 1024) / 100))]],
  // A new group has neither, and nobody may enter it then.
  cpuset: (cpus, folder) => [
    ['cpuset.cpus', cpus],
    ['cpuset.mems', (readText(dirname(folder), 'cpuset.mems') ?? '').trim()],
  ],
  io: (limits) =>
    disks().flatMap((disk) =>
      Object.entries(ioFiles).flatMap(([name, file]) => {
        const value = limits[name as keyof IoLimits]
        return value === undefined ? [] : [[file, `${disk} ${value}`] as const]
      }),
    ),
  ioWeight: (weight, folder) => [bfqWeight(folder, 'blkio.bfq.weight', weight)],
  hugepages: (sizes) =>
    Object.entries(sizes).flatMap(([page, bytes]) => [
      [`hugetlb.${page}.limit_in_bytes`, bytes] as const,
      [`hugetlb.${page}.rsvd.limit_in_bytes`, bytes] as const,
    ]),
}
const memsw = 'memory.memsw.limit_in_bytes'

const controllerOf: Readonly<Record<keyof GroupLimits, Controller>> = {
  memory: 'memory',
  memoryHigh: 'memory',
  swap: 'memory',
  pids: 'pids',
  cpu: 'cpu',
  cpuWeight: 'cpu',
  cpuset: 'cpuset',
  io: 'blkio',
  ioWeight: 'blkio',
  hugepages: 'hugetlb',
}

const ioFiles: Readonly<Record<keyof IoLimits, string>> = {
  read: 'blkio.throttle.read_bps_device',
  write: 'blkio.throttle.write_bps_device',
  readOps: 'blkio.throttle.read_iops_device',
  writeOps: 'blkio.throttle.write_iops_device',
}

class GroupV1 implements Group {
  readonly version = 1

  constructor(
    readonly folder: Bases,
    readonly folders: readonly string[],
  ) {}

  /** `tasks`, not `cgroup.procs`: a thread that moves itself needs no lock on all forks of the machine. */
  open({ cpuTime, memory }: Watch): GroupDescriptors {
    return {
      enter: this.folders.map((folder) => openSync(join(folder, 'tasks'), constants.O_WRONLY)),
      cpuTime: cpuTime ? openSync(join(this.folder.cpuacct!, 'cpuacct.usage'), constants.O_RDONLY) : undefined,
      memory: memory ? openSync(this.folder.memory!, constants.O_RDONLY | constants.O_DIRECTORY) : undefined,
    }
  }

  measure(): GroupUsage {
    const { memory, pids, cpu, cpuacct, blkio } = this.folder
    return {
      ...(memory === undefined ? {} : measureMemory(memory)),
      ...(pids === undefined ? {} : measurePids(pids)),
      ...(cpuacct === undefined ? {} : measureCpu(cpuacct)),
      ...(cpu === undefined ? {} : { throttledMs: (readTable(cpu, 'cpu.stat').get('throttled_time') ?? 0) / 1e6 }),
      ...(blkio === undefined ? {} : measureIo(blkio)),
    }
  }

  /** Where there is a freezer nobody can fork meanwhile; elsewhere it is done again until nobody is left. */
  kill(): void {
    const { freezer } = this.folder
    const freeze = (state: string) => {
      try {
        if (freezer !== undefined) writeValue(freezer, 'freezer.state', state)
      } catch {
        // It is removed already; another hierarchy's folder may still have processes.
      }
    }
    freeze('FROZEN')
    for (let round = 0; round < 100; round++) {
      const pids = pidsIn(this.folders)
      killPids(pids)
      if (pids.length === 0) break
    }
    freeze('THAWED')
  }

  tryRemove(): boolean {
    return this.folders.map(removeFolder).every(Boolean)
  }
}

function measureMemory(folder: string): GroupUsage {
  return present({
    peakMemory: readNumber(folder, 'memory.max_usage_in_bytes'),
    oomKills: readTable(folder, 'memory.oom_control').get('oom_kill'),
  })
}

/** pids.peak: Linux 6.1 or newer. */
function measurePids(folder: string): GroupUsage {
  return present({
    peakPids: readNumber(folder, 'pids.peak'),
    pidsLimitHits: readTable(folder, 'pids.events').get('max'),
  })
}

function measureCpu(folder: string): GroupUsage {
  const milliseconds = (file: string) => {
    const nanoseconds = readNumber(folder, file)
    return nanoseconds === undefined ? undefined : nanoseconds / 1e6
  }
  return present({
    cpuMs: milliseconds('cpuacct.usage'),
    cpuUserMs: milliseconds('cpuacct.usage_user'),
    cpuSystemMs: milliseconds('cpuacct.usage_sys'),
  })
}

/** `8:0 Read 4096` lines. */
function measureIo(folder: string): GroupUsage {
  const lines = (readText(folder, 'blkio.throttle.io_service_bytes') ?? '').split('\n').map((line) => line.split(' '))
  const sum = (kind: string) =>
    lines.filter(([, word]) => word === kind).reduce((total, [, , bytes]) => total + Number(bytes), 0)
  return { readBytes: sum('Read'), writtenBytes: sum('Write') }
}
