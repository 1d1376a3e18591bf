/** What proc_pid_stat(5) says of a process. */
import { readFileSync } from 'node:fs'
import { ifSeen } from '../kernel/shortage.js'

export interface ProcessStat {
  /** Whether it has ended, and only waits to be waited for: its descriptors and children are gone. */
  readonly ended: boolean
  /** The pid of its parent. */
  readonly parent: number
  /** Clock ticks from the boot to its start. A pid is used again; with its start, it is not. */
  readonly start: string
}

/** Undefined when there is no such process, or none that may be seen. */
export function statOf(pid: number): ProcessStat | undefined {
  const line = ifSeen(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  if (line === undefined) return undefined
  // The name, in parentheses, may hold anything. Behind it are the fields from the third on.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return { ended: fields[0] === 'Z' || fields[0] === 'X', parent: Number(fields[1]), start: fields[19]! }
}
