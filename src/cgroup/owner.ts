/**
 * Names of groups, which tell whose they are: `vial.NAMESPACE.PID.START.SERIAL`, with the pid namespace of the process
 * that made the group, its pid there, and when it started. A pid is used again; with its start, it is not.
 */
import { readlinkSync } from 'node:fs'
import { statOf } from './processStat.js'

export interface Owner {
  readonly namespace: string
  readonly pid: number
  /** Clock ticks after boot, field 22 of proc_pid_stat(5). */
  readonly start: string
}

/**
 * What becomes of a group when its owner is dead: its processes are killed (`tied`); it stays until no process is left in it
 * (`outlives`); it stays until the record that names it is removed, and without one until no process is left (`recorded`).
 */
export type GroupKind = 'tied' | 'outlives' | 'recorded'

let self: Owner | undefined
let serial = 0

/** This process. */
export function ourselves(): Owner {
  self ??= { namespace: pidNamespace(), pid: process.pid, start: startOf(process.pid)! }
  return self
}

/** A name that no other group has. */
export function newGroupName(kind: GroupKind = 'tied'): string {
  const { namespace, pid, start } = ourselves()
  return `vial.${namespace}.${pid}.${start}.${serial++}${kind === 'tied' ? '' : `.${kind}`}`
}

/** The owner that a name tells; undefined when it is no name of ours. */
export function ownerOf(name: string): (Owner & { readonly kind: GroupKind }) | undefined {
  const match = /^vial\.(\d+)\.(\d+)\.(\d+)\.\d+(?:\.(outlives|recorded))?$/.exec(name)
  if (match === null) return undefined
  const kind = (match[4] ?? 'tied') as GroupKind
  return { namespace: match[1]!, pid: Number(match[2]), start: match[3]!, kind }
}

/** Whether the owner is dead for sure: one of another pid namespace is none of our business, and counts as alive. */
export function isDead(owner: Owner): boolean {
  return owner.namespace === pidNamespace() && startOf(owner.pid) !== owner.start
}

function pidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))![0]
}

/** Of one that has not ended. */
function startOf(pid: number): string | undefined {
  const stat = statOf(pid)
  return stat?.ended ? undefined : stat?.start
}
