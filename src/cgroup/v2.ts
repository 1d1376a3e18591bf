/** Groups in the one hierarchy of cgroup v2, https://docs.kernel.org/admin-guide/cgroup-v2.html. */
import { constants, openSync } from 'node:fs'
import { join } from 'node:path'
import {
  disks,
  killPids,
  makeFolders,
  pidsIn,
  present,
  readNumber,
  readTable,
  readText,
  removeFolder,
  writeValue,
} from './files.js'
import type { Group, GroupDescriptors, GroupLimits, GroupUsage, IoLimits, Watch, Way } from './group.js'

const cpuPeriod = 100_000

/** Groups below this folder, whose cgroup.subtree_control has what is needed. */
export function v2Way(base: string, name: 'cgroup v2' | 'systemd' = 'cgroup v2'): Way {
  return {
    name,
    version: 2,
    bases: [base],
    create(group, limits) {
      const folder = join(base, group)
      makeFolders([folder], () => setLimits(folder, limits))
      return new GroupV2(folder)
    },
  }
}

function setLimits(folder: string, limits: GroupLimits): void {
  const { memory, swap, pids, cpu, io } = limits
  if (memory !== undefined) {
    writeValue(folder, 'memory.max', memory)
    // One process killed means all killed: what is left of a sandbox is of no use.
    writeValue(folder, 'memory.oom.group', 1)
    if (readText(folder, 'memory.swap.max') !== undefined) writeValue(folder, 'memory.swap.max', swap ?? 0)
    else if (swap !== undefined) throw new Error('limits.swap: this kernel does not count swap (CONFIG_SWAP)')
  }
  if (pids !== undefined) writeValue(folder, 'pids.max', pids)
  // The kernel takes no less than 1 ms.
  if (cpu !== undefined) writeValue(folder, 'cpu.max', `${Math.max(1000, Math.round(cpu * cpuPeriod))} ${cpuPeriod}`)
  if (io !== undefined) limitIo(folder, io)
}

const ioWords: Readonly<Record<keyof IoLimits, string>> = {
  read: 'rbps',
  write: 'wbps',
  readOps: 'riops',
  writeOps: 'wiops',
}

function limitIo(folder: string, io: IoLimits): void {
  const words = Object.entries(io).map(([name, value]) => `${ioWords[name as keyof IoLimits]}=${value}`)
  for (const disk of disks()) writeValue(folder, 'io.max', `${disk} ${words.join(' ')}`)
}

export class GroupV2 implements Group {
  readonly version = 2
  readonly folders: readonly string[]

  constructor(readonly folder: string) {
    this.folders = [folder]
  }

  open({ cpuTime }: Watch): GroupDescriptors {
    return {
      enter: [openSync(this.folder, constants.O_RDONLY | constants.O_DIRECTORY)],
      cpuTime: cpuTime ? openSync(join(this.folder, 'cpu.stat'), constants.O_RDONLY) : undefined,
      memory: undefined,
    }
  }

  measure(): GroupUsage {
    const { folder } = this
    // Of these there is always usage, whatever controllers are on.
    const cpu = readTable(folder, 'cpu.stat')
    const memory = readTable(folder, 'memory.events')
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
      peakMemory: readNumber(folder, 'memory.peak'),
      peakPids: readNumber(folder, 'pids.peak'),
      oomKills: memory.get('oom_kill'),
      memoryLimitHits: memory.get('oom'),
      pidsLimitHits: readTable(folder, 'pids.events').get('max'),
      ...measureIo(folder),
      pressure: measurePressure(folder),
    })
  }

  /** cgroup.kill: Linux 5.14. Before it, as v1 does without a freezer. */
  kill(): void {
    try {
      writeValue(this.folder, 'cgroup.kill', 1)
    } catch {
      for (let round = 0; round < 100; round++) {
        const pids = pidsIn(this.folders)
        if (pids.length === 0) break
        killPids(pids)
      }
    }
  }

  tryRemove(): boolean {
    return removeFolder(this.folder)
  }
}

/** `8:0 rbytes=1 wbytes=2 …` lines. */
function measureIo(folder: string): GroupUsage {
  const text = readText(folder, 'io.stat')
  if (text === undefined) return {}
  const sum = (word: string) =>
    [...text.matchAll(new RegExp(`\\b${word}=(\\d+)`, 'g'))].reduce((total, [, bytes]) => total + Number(bytes), 0)
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes') }
}

/** `some avg10=0.00 … total=1234` and `full …`, in microseconds. https://docs.kernel.org/accounting/psi.html */
function measurePressure(folder: string): GroupUsage['pressure'] {
  const found = (['cpu', 'memory', 'io'] as const).flatMap((name) => {
    const text = readText(folder, `${name}.pressure`)
    if (text === undefined) return []
    const total = (word: string) => Number(new RegExp(`^${word} .*total=(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1000
    return [[name, { someMs: total('some'), fullMs: total('full') }] as const]
  })
  return found.length === 0 ? undefined : Object.fromEntries(found)
}
