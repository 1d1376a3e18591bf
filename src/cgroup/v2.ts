/** Groups in the one hierarchy of cgroup v2, https://docs.kernel.org/admin-guide/cgroup-v2.html. */
import { constants, openSync } from 'node:fs'
import { join } from 'node:path'
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
  hasFile,
  killPids,
  makeDirectories,
  pidsBelow,
  present,
  readNumber,
  readTable,
  readText,
  removeDirectory,
  writeValue,
} from './groupFiles.js'
import { limitWrites, writeLimits } from './limitWrites.js'

const cpuPeriod = 100_000

/** Groups below this directory, whose cgroup.subtree_control has what is needed. */
export function v2Way(base: string, name: 'cgroup v2' | 'systemd' = 'cgroup v2'): Way {
  return {
    name,
    version: 2,
    bases: [base],
    create(group, limits, shielded = false) {
      const directory = join(base, group)
      // No controller is on in the inner group: it has no file of a limit.
      const entered = shielded ? join(directory, inside) : directory
      makeDirectories([...new Set([directory, entered])], () => writeLimits(2, () => directory, writes, limits))
      return new GroupV2(directory, entered)
    },
  }
}

export const writes = {
  memory: (bytes) => [
    ['memory.max', bytes],
    // One process killed means all killed: what is left of a sandbox is of no use.
    ['memory.oom.group', 1, 'switch'],
  ],
  swap: (bytes, directory) => {
    if (hasFile(directory, 'memory.swap.max')) return [['memory.swap.max', bytes]]
    if (bytes === 0) return []
    throw new CannotLimit('this kernel does not count swap (CONFIG_SWAP)')
  },
  // The kernel takes no less than 1 ms.
  cpu: (cores) => [['cpu.max', `${Math.max(1000, Math.round(cores * cpuPeriod))} ${cpuPeriod}`]],
  io: (limits) => {
    const words = Object.entries(limits).map(([name, value]) => `${ioWords[name as keyof IoLimits]}=${value}`)
    return disks().map((disk) => ['io.max', `${disk} ${words.join(' ')}`])
  },
  ioWeight: (weight, directory) => [
    hasFile(directory, 'io.weight') ? ['io.weight', weight] : bfqWeight(directory, 'io.bfq.weight', weight),
  ],
  // Reservations too, so that mmap(2) fails instead of a page fault.
  hugepages: (sizes) =>
    Object.entries(sizes).flatMap(([page, bytes]) => [
      [`hugetlb.${page}.max`, bytes] as const,
      [`hugetlb.${page}.rsvd.max`, bytes] as const,
    ]),
} satisfies Writes

const ioWords: Readonly<Record<keyof IoLimits, string>> = {
  read: 'rbps',
  write: 'wbps',
  readOps: 'riops',
  writeOps: 'wiops',
}

export class GroupV2 implements Group {
  readonly version = 2
  readonly directories: readonly string[]
  /** What is frozen dies of SIGKILL here. */
  readonly mayFreeze = false

  constructor(
    readonly directory: string,
    readonly entered = directory,
  ) {
    this.directories = [directory]
  }

  open({ cpuTime }: Watch): GroupDescriptors {
    return {
      enter: [openSync(this.entered, constants.O_RDONLY | constants.O_DIRECTORY)],
      cpuTime: cpuTime ? [openSync(join(this.directory, 'cpu.stat'), constants.O_RDONLY)] : [],
      memory: [],
    }
  }

  writes(limits: GroupLimits): Iterable<LimitWrite> {
    return limitWrites(2, () => this.directory, writes, limits)
  }

  measure(): GroupUsage {
    const { directory } = this
    // Of these there is always usage, whatever controllers are on.
    const cpu = readTable(directory, 'cpu.stat')
    const memory = readTable(directory, 'memory.events')
    const milliseconds = (name: string) => {
      const microseconds = cpu.get(name)
      return microseconds === undefined ? undefined : microseconds / 1000
    }
    return present({
      cpuMs: milliseconds('usage_usec'),
      cpuUserMs: milliseconds('user_usec'),
      cpuSystemMs: milliseconds('system_usec'),
      throttledMs: milliseconds('throttled_usec'),
      // memory.peak: Linux 5.19; pids.peak: 6.1.
      peakMemory: readNumber(directory, 'memory.peak'),
      peakPids: readNumber(directory, 'pids.peak'),
      oomKills: memory.get('oom_kill'),
      memoryLimitHits: memory.get('oom'),
      memoryHighHits: memory.get('high'),
      pidsLimitHits: readTable(directory, 'pids.events').get('max'),
      ...measureIo(directory),
      pressure: measurePressure(directory),
    })
  }

  memory(): number | undefined {
    return readNumber(this.directory, 'memory.current')
  }

  /** cgroup.kill: Linux 5.14. Before it, as v1 does without a freezer. */
  kill(): void {
    try {
      writeValue(this.directory, 'cgroup.kill', 1)
    } catch {
      for (let round = 0; round < 100; round++) {
        const pids = pidsBelow(this.directories)
        if (pids.length === 0) break
        killPids(pids)
      }
    }
  }

  thaw(): void {}

  tryRemove(): boolean {
    return removeDirectory(this.directory)
  }
}

/** `8:0 rbytes=1 wbytes=2 …` lines. */
function measureIo(directory: string): GroupUsage {
  const text = readText(directory, 'io.stat')
  if (text === undefined) return {}
  const sum = (word: string) =>
    [...text.matchAll(new RegExp(`\\b${word}=(\\d+)`, 'g'))].reduce((total, [, bytes]) => total + Number(bytes), 0)
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes') }
}

/** `some avg10=0.00 … total=1234` and `full …`, in microseconds. https://docs.kernel.org/accounting/psi.html */
function measurePressure(directory: string): GroupUsage['pressure'] {
  const found = (['cpu', 'memory', 'io'] as const).flatMap((name) => {
    const text = readText(directory, `${name}.pressure`)
    if (text === undefined) return []
    const total = (word: string) => Number(new RegExp(`^${word} .*total=(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1000
    return [[name, { someMs: total('some'), fullMs: total('full') }] as const]
  })
  return found.length === 0 ? undefined : Object.fromEntries(found)
}
