/**
 * Names of groups, which tell whose they are: `vial.NAMESPACE.PID.START.SERIAL`, with the pid namespace of the process
 * that made the group, its pid there, and when it started. A pid is used again; with its start, it is not.
 */
import { readFileSync, readlinkSync } from 'node:fs'

export interface Owner {
  readonly namespace: string
  readonly pid: number
  /** Clock ticks after boot, field 22 of proc_pid_stat(5). */
  readonly start: string
}

/** How sandboxes end that outlive their maker: their groups are only removed when no process is left in them. */
const outlives = '.outlives'

let self: Owner | undefined
let serial = 0

/** This process. */
export function ourselves(): Owner {
  self ??= { namespace: pidNamespace(), pid: process.pid, start: startOf(process.pid)! }
  return self
}

/** A name that no other group has. `tied`: whether its processes die with this one. */
export function newGroupName(tied = true): string {
  const { namespace, pid, start } = ourselves()
  return `vial.${namespace}.${pid}.${start}.${serial++}${tied ? '' : outlives}`
}

/** The owner that a name tells; undefined when it is no name of ours. */
export function ownerOf(name: string): (Owner & { readonly tied: boolean }) | undefined {
  const match = /^vial\.(\d+)\.(\d+)\.(\d+)\.(?:\d+)(\.outlives)?$/.exec(name)
  if (match === null) return undefined
  return { namespace: match[1]!, pid: Number(match[2]), start: match[3]!, tied: match[4] === undefined }
}

/** Whether the owner is dead for sure: one of another pid namespace is none of our business, and counts as alive. */
export function isDead(owner: Owner): boolean {
  return owner.namespace === pidNamespace() && startOf(owner.pid) !== owner.start
}

function pidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))![0]
}

function startOf(pid: number): string | undefined {
  let line: string
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The name, in parentheses, may hold anything.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended: its descriptors and children are gone.
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}
