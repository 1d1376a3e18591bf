/** Which processes an open sandbox has now, and what they use. */
import { readFileSync } from 'node:fs'
import type { GroupUsage } from '../cgroup/group.js'
import { openGroup } from '../cgroup/openGroup.js'
import { ifSeen } from '../kernel/shortage.js'
import { isEntrant } from './enterSandbox.js'
import { endedOf, type Inspected, initOf } from './inspectSandbox.js'
import { fieldOf, pidsOf } from './members.js'
import { namespacesHeldBy } from './readProcess.js'

/** A process in an open sandbox. */
export interface RunningProcess {
  /** Its number in the sandbox. */
  readonly pid: number
  /** Its number outside, as this program sees it. */
  readonly hostPid: number
  /** The number of its parent in the sandbox; 0: it has entered, and its parent is outside. */
  readonly parent: number
  /** What it was started with, unless it has changed that. */
  readonly command: readonly string[]
  /** `waiting`: for a disk, where no signal reaches it. `stopped`: by a signal or a debugger, until it is continued. */
  readonly state: 'running' | 'sleeping' | 'waiting' | 'stopped'
  /** Milliseconds of CPU in user mode, children that it has waited for not included. */
  readonly userMs: number
  /** Milliseconds of CPU in the kernel, alike. */
  readonly systemMs: number
  /** Bytes that it has resident; what it shares with others is counted with each. */
  readonly memory: number
}

/** What all in an open sandbox use. */
export interface BoxUsage {
  /** How many there are. */
  readonly processes: number
  /** Bytes: as its cgroup counts them, page cache and kernel memory included; else the sum of what each process has resident. */
  readonly memory: number
  /** Milliseconds of CPU: as its cgroup counts them, of processes that have ended too; else of those that there are. */
  readonly cpuMs: number
  /** What else its cgroup measures; undefined: it has none. */
  readonly group: GroupUsage | undefined
}

/**
 * Without vial's own pid 1, and what is about to enter. In the order of their numbers outside.
 * @throws {HostError} when it has ended
 */
export function processesOf(sandbox: Inspected): RunningProcess[] {
  const init = initOf(sandbox)
  if (init === undefined) throw endedOf(sandbox)
  const namespaces = namespacesHeldBy(sandbox.monitor.pid)
  const depth = init.pids.length - 1
  const all = pidsOf({ init: init.pid, namespaces, group: sandbox.group })
  const seen = all.flatMap((hostPid) => (hostPid === init.pid ? [] : (ifSeen(() => lookAt(hostPid, depth)) ?? [])))
  const inside = new Map<number, number>([[init.pid, 1], ...seen.map((one) => [one.hostPid, one.pid] as const)])
  return seen
    .filter(({ command }) => !isEntrant(command, sandbox.monitor))
    .map(({ hostParent, ...process }) => ({ ...process, parent: inside.get(hostParent) ?? 0 }))
}

/** @throws {HostError} when it has ended */
export function usageOf(sandbox: Inspected): BoxUsage {
  const all = processesOf(sandbox)
  const sum = (of: (process: RunningProcess) => number) => all.reduce((total, one) => total + of(one), 0)
  const group = sandbox.group && openGroup(sandbox.group.version, sandbox.group.paths)
  const measured = group?.measure()
  return {
    processes: all.length,
    memory: group?.memory() ?? sum(({ memory }) => memory),
    cpuMs: measured?.cpuMs ?? sum(({ userMs, systemMs }) => userMs + systemMs),
    group: measured,
  }
}

/** proc_pid_stat(5): the letter of a state. A zombie uses nothing any more. */
const states: Readonly<Record<string, RunningProcess['state']>> = {
  R: 'running',
  S: 'sleeping',
  I: 'sleeping',
  D: 'waiting',
  T: 'stopped',
  t: 'stopped',
}

/** Milliseconds of a clock tick: USER_HZ is 100 on both architectures. */
const tick = 10

type Looked = Omit<RunningProcess, 'parent'> & { readonly hostParent: number }

function lookAt(hostPid: number, depth: number): Looked[] {
  const [line, status, words] = ['stat', 'status', 'cmdline'].map((file) =>
    readFileSync(`/proc/${hostPid}/${file}`, 'utf8'),
  ) as [string, string, string]
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const state = states[fields[0]!]
  if (state === undefined) return []
  return [
    {
      pid: Number(fieldOf(status, 'NSpid')?.split(/\s+/)[depth] ?? 0),
      hostPid,
      hostParent: Number(fields[1]),
      command: words.split('\0').slice(0, -1),
      state,
      userMs: Number(fields[11]) * tick,
      systemMs: Number(fields[12]) * tick,
      memory: Number.parseInt(fieldOf(status, 'VmRSS') ?? '0', 10) * 1024,
    },
  ]
}
