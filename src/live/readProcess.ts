/**
 * What /proc says of a process to every user, or to its own: proc_pid_status(5) and its like. Where it may be looked at by its user alone
 * (PTRACE_MODE_READ of ptrace(2)), as its namespaces may, a process that is not dumpable, such as init, tells nothing.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { statOf } from '../cgroup/processStat.js'
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { type NamespaceName, namespaceNames, namespaces } from '../kernel/namespaces.js'
import { ifSeen } from '../kernel/shortage.js'
import { RLIM_INFINITY, type RlimitName } from '../kernel/rlimits.js'
import { namespaceHandles } from '../plan/handles.js'
import { attempt } from '../text/attempt.js'

export interface ProcessFacts {
  readonly pid: number
  /** Clock ticks from the boot to its start. */
  readonly start: string
  readonly parent: number
  /** In each pid namespace from ours down to its own. */
  readonly pids: readonly number[]
  /** The leader of its session, alike; 0 in a namespace that the leader is not in. */
  readonly sessions: readonly number[]
  /** Real, effective, saved and of files: as they are outside. */
  readonly uids: readonly number[]
  readonly gids: readonly number[]
  readonly groups: readonly number[]
  readonly capabilities: Readonly<Record<CapabilitySet, readonly CapabilityName[]>>
  readonly noNewPrivs: boolean
  /** Filters of system calls; undefined: this kernel tells only that there are some. */
  readonly filters: number | undefined
  readonly filtered: boolean
  readonly rlimits: Readonly<Record<RlimitName, { readonly soft: bigint; readonly hard: bigint }>>
  /** /proc/PID/cgroup. */
  readonly cgroup: string
  readonly mountinfo: string
  readonly uidMap: string
  readonly gidMap: string
  readonly command: readonly string[]
  /** Their inodes; undefined: it does not let us look. */
  readonly namespaces: Readonly<Partial<Record<NamespaceName, number>>> | undefined
}

/** As status calls them, behind "Cap". */
export const capabilitySets = {
  Inh: 'inheritable',
  Prm: 'permitted',
  Eff: 'effective',
  Bnd: 'bounding',
  Amb: 'ambient',
} as const
export type CapabilitySet = (typeof capabilitySets)[keyof typeof capabilitySets]

/** As /proc/PID/limits calls them: lnames[] of fs/proc/base.c. */
const limitNames: Readonly<Record<RlimitName, string>> = {
  as: 'Max address space',
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  locks: 'Max file locks',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
}

/** Undefined: it has ended, or is about to. Its start is read before and after all the rest: a pid is used again. */
export function readProcess(pid: number): ProcessFacts | undefined {
  const before = statOf(pid)
  if (before === undefined || before.ended) return undefined
  const facts = ifSeen(() => factsOfPid(pid))
  const after = statOf(pid)
  if (facts === undefined || after === undefined || after.ended || after.start !== before.start) return undefined
  return { ...facts, pid, start: before.start, parent: before.parent }
}

function factsOfPid(pid: number): Omit<ProcessFacts, 'pid' | 'start' | 'parent'> | undefined {
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'latin1')
  const [command, limits, cgroup] = [read('cmdline'), read('limits'), read('cgroup')]
  const [mountinfo, uidMap, gidMap] = [read('mountinfo'), read('uid_map'), read('gid_map')]
  const own = namespacesIn(pid)
  const status = new Map(
    read('status')
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  )
  // Read last: one that exits gives up its memory first, and with it its arguments; then its namespaces, do_exit() of kernel/exit.c.
  if (!status.has('VmSize')) return undefined
  const numbers = (name: string) => (status.get(name) ?? '').split(/\s+/).filter(Boolean).map(Number)
  const sets = Object.entries(capabilitySets).map(([name, set]) => [set, capabilitiesIn(status.get(`Cap${name}`)!)])
  return {
    pids: numbers('NSpid'),
    sessions: numbers('NSsid'),
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    capabilities: Object.fromEntries(sets) as ProcessFacts['capabilities'],
    noNewPrivs: status.get('NoNewPrivs') === '1',
    filters: numbers('Seccomp_filters')[0],
    filtered: status.get('Seccomp') === '2',
    rlimits: Object.fromEntries(
      Object.entries(limitNames).map(([name, label]) => [name, rlimitIn(limits, label)]),
    ) as unknown as ProcessFacts['rlimits'],
    cgroup,
    mountinfo,
    uidMap,
    gidMap,
    command: Buffer.from(command, 'latin1').toString().split('\0').slice(0, -1),
    namespaces: own,
  }
}

/** A bit for each, in hexadecimal digits. One that is not known to us is of a later kernel, and told by its number. */
function capabilitiesIn(digits: string): CapabilityName[] {
  const bits = BigInt(`0x${digits}`)
  const names = new Map(Object.entries(capabilities).map(([name, number]) => [number as number, name]))
  return Array.from({ length: 64 }, (_, number) => number)
    .filter((number) => (bits & (1n << BigInt(number))) !== 0n)
    .map((number) => (names.get(number) ?? `capability ${number}`) as CapabilityName)
}

function rlimitIn(text: string, label: string): { soft: bigint; hard: bigint } {
  const [, soft, hard] = new RegExp(`^${label} +(\\d+|unlimited) +(\\d+|unlimited)`, 'm').exec(text)!
  const value = (word: string) => (word === 'unlimited' ? RLIM_INFINITY : BigInt(word))
  return { soft: value(soft!), hard: value(hard!) }
}

function namespacesIn(pid: number): ProcessFacts['namespaces'] {
  const found = namespacesAt((name) => `/proc/${pid}/ns/${namespaces[name].file}`)
  return Object.keys(found).length === 0 ? undefined : found
}

/** Inodes of those that files of /proc lead to. */
export function namespacesAt(path: (name: NamespaceName) => string): Partial<Record<NamespaceName, number>> {
  const found = namespaceNames.map((name) => [name, namespaceAt(path(name))] as const)
  return Object.fromEntries(found.filter(([, inode]) => inode !== undefined))
}

/** Of those that a monitor holds: the sandbox's own. */
export const namespacesHeldBy = (monitor: number) =>
  namespacesAt((name) => `/proc/${monitor}/fd/${namespaceHandles[name]}`)

/** The inode of the namespace that a file of /proc leads to. */
export function namespaceAt(path: string): number | undefined {
  const inode = /\[(\d+)\]/.exec(attempt(() => readlinkSync(path)) ?? '')?.[1]
  return inode === undefined ? undefined : Number(inode)
}
