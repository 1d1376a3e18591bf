/** Which processes a sandbox has, as they are outside, and the memory that they use. */
import { readdirSync, readFileSync } from 'node:fs'
import { pidsBelow } from '../cgroup/groupFiles.js'
import { openGroup } from '../cgroup/openGroup.js'
import { ifSeen } from '../kernel/shortage.js'
import { namespaceAt } from './readProcess.js'
import type { SandboxRecord } from './recordFile.js'

export interface Members {
  /** Without vial's own pid 1, where the payload is another. */
  readonly pids: readonly number[]
  /** Bytes. */
  readonly memory: number
  /**
   * `cgroup`: page cache and kernel memory included. `processes`: the sum of what each has resident, so that what several share counts
   * several times; vial's own pid 1 included.
   */
  readonly memoryBy: 'cgroup' | 'processes'
}

export function membersOf(record: SandboxRecord): Members {
  const { init, policy, group } = record
  const all = group === undefined ? inNamespace(record) : pidsBelow(group.paths)
  const memory = group === undefined ? undefined : openGroup(group.version, group.paths).memory()
  const pids = all.filter((pid) => pid !== init || policy.init === 'payload').sort((a, b) => a - b)
  if (memory !== undefined) return { pids, memory, memoryBy: 'cgroup' }
  return { pids, memory: all.reduce((sum, pid) => sum + residentSet(pid), 0), memoryBy: 'processes' }
}

/** All that are in its pid namespace, and all that are in its cgroup; in the order of their pids. */
export function pidsOf(
  sandbox: Pick<SandboxRecord, 'init' | 'namespaces'> & { readonly group: SandboxRecord['group'] },
): number[] {
  // One of another pid namespace than ours has the number 0.
  const grouped = sandbox.group === undefined ? [] : pidsBelow(sandbox.group.paths).filter((pid) => pid > 0)
  return [...new Set([...inNamespace(sandbox), ...grouped])].sort((a, b) => a - b)
}

interface Process {
  readonly pid: number
  readonly parent: number
  /** How many pid namespaces deep it is. */
  readonly depth: number
}

/**
 * Init and all that come from it; and entrants, whose parents are outside: these are seen by their pid namespace, which a process of the
 * same user may look at unless they have made themselves undumpable (ptrace(2)), as an entrant is until it executes. What is read of
 * the others, every user may read: proc_pid_status(5).
 */
function inNamespace({ init, namespaces }: Pick<SandboxRecord, 'init' | 'namespaces'>): number[] {
  const all = runningProcesses()
  const depth = all.find(({ pid }) => pid === init)?.depth
  if (depth === undefined) return []
  const deep = all.filter((one) => one.depth >= depth)
  const members = new Set(
    deep.flatMap(({ pid }) => (pid === init || namespaceAt(`/proc/${pid}/ns/pid`) === namespaces.pid ? [pid] : [])),
  )
  for (let before = 0; before !== members.size; ) {
    before = members.size
    for (const { pid, parent } of deep) if (members.has(parent)) members.add(pid)
  }
  return [...members]
}

export function runningProcesses(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    const status = statusOf(Number(name))
    const [parent, levels] = [fieldOf(status, 'PPid'), fieldOf(status, 'NSpid')]
    const ended = fieldOf(status, 'State')?.startsWith('Z')
    if (parent === undefined || ended) return []
    return [{ pid: Number(name), parent: Number(parent), depth: levels?.split(/\s+/).length ?? 1 }]
  })
}

const statusOf = (pid: number) => ifSeen(() => readFileSync(`/proc/${pid}/status`, 'latin1')) ?? ''
/** The name of the process, which is its own choice, is on one line. */
export const fieldOf = (status: string, name: string): string | undefined =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]

/** Bytes; 0 of one that has ended. */
const residentSet = (pid: number) => Number.parseInt(fieldOf(statusOf(pid), 'VmRSS') ?? '0', 10) * 1024
