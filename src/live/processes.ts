/**
 * Which process is meant by a pid that was written down: one that has the pid again is another. A pid is counted in a pid namespace,
 * and a start from a boot, as the clock of a time namespace shows it; where these are not ours, no process here can be told to be that one.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { statOf } from '../cgroup/processStat.js'
import { attempt } from '../text/attempt.js'

export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from the boot to its start: field 22 of proc_pid_stat(5). */
  readonly start: string
  /** Of /proc/sys/kernel/random/boot_id: random(4). */
  readonly boot: string
  /** The pid and time namespace in which the two numbers hold. */
  readonly view: string
}

/** `alive`; `dead` for sure; `unknown`: another container's. */
export type Fate = 'alive' | 'dead' | 'unknown'

/** Undefined when the process has ended. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = statOf(pid)
  return stat === undefined || stat.ended ? undefined : { pid, start: stat.start, boot: bootId(), view: view() }
}

/** Of a child that has just been started, also when it has ended since: Node.js waits for its children in its event loop only. */
export function identityOfChild(pid: number): ProcessIdentity {
  return { pid, start: statOf(pid)!.start, boot: bootId(), view: view() }
}

export function fateOf({ pid, start, boot, view: seenFrom }: ProcessIdentity): Fate {
  // No process outlives its boot.
  if (boot !== bootId()) return 'dead'
  if (seenFrom !== view()) return 'unknown'
  return identityOf(pid)?.start === start ? 'alive' : 'dead'
}

/** On one line, without a slash. */
export const identityText = ({ pid, start, boot, view }: ProcessIdentity) => [pid, start, view, boot].join(':')

/** The inverse; undefined of any other text. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const [, pid, start, view, boot] = /^(\d+):(\d+):(\d+\.\d*):([0-9a-f-]+)$/.exec(text) ?? []
  return pid === undefined ? undefined : { pid: Number(pid), start: start!, view: view!, boot: boot! }
}

export const bootId = () => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()

/** Time namespaces: since Linux 5.6, and where the kernel is built with them. */
function view(): string {
  const inode = (name: string) => /\d+/.exec(attempt(() => readlinkSync(`/proc/self/ns/${name}`)) ?? '')?.[0] ?? ''
  return `${inode('pid')}.${inode('time')}`
}

/** Whether the monitor that a record names is still there. */
export const isMonitor = ({ monitor, boot, view }: Recorded) => fateOf({ ...monitor, boot, view }) === 'alive'

interface Recorded extends Pick<ProcessIdentity, 'boot' | 'view'> {
  readonly monitor: Pick<ProcessIdentity, 'pid' | 'start'>
}
