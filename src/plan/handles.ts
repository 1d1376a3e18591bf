/**
 * The descriptors by which others of its user enter a living sandbox. Its monitor holds them at these numbers, and who enters opens
 * /proc/PID/fd/N: that takes the right to look at the monitor (PTRACE_MODE_READ of ptrace(2)), and setns(2) then asks for more.
 */
import type { NamespaceName } from '../kernel/namespaces.js'

/** Of each namespace that is the sandbox's own. */
export const namespaceHandles: Readonly<Record<NamespaceName, number>> = {
  user: 100,
  mount: 101,
  pid: 102,
  ipc: 103,
  uts: 104,
  cgroup: 105,
  net: 106,
  time: 107,
}

/** By which a process enters the cgroup, as of {@link GroupEntry}: of each of its descriptors. */
export const groupHandle = (index: number): number => 110 + index

/** What enters it: a program that speaks for itself, and one that reports to the descriptor behind the standard streams. */
export const programHandles = { alone: 120, reporting: 121 } as const

/** No other descriptor of a living vial may be as high. */
export const firstHandle = namespaceHandles.user
