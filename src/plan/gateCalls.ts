/**
 * The system calls of a gate (launcher/gate.ts) from where it loads the filter of its commands for all of them, and of each command until
 * it is executed. Loading takes 0.1 to 0.2 ms, which is a fourth of a short command's time.
 */
import type { SyscallName } from '../kernel/syscalls.js'
import type { Architecture } from '../kernel/architecture.js'
import { F, openFlags, PR, SECCOMP } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { rlimits } from '../kernel/rlimits.js'
import { answer } from '../seccomp/answer.js'
import type { Step } from './step.js'

/** A word that is another one each time, such as a descriptor. */
const any = undefined
/** Memory of its own: rules ask whether there is any. */
const address = 1n << 40n

type Call = readonly [SyscallName, ...(number | bigint | undefined)[]]

/** With the words that are known. */
export const gateCalls: readonly Call[] = [
  // It begins to serve.
  ['prctl', PR.SET_PDEATHSIG, any],
  ['ppoll', any, any, any, any, any],
  ['getppid'],
  ['getpid'],
  ['pidfd_open', any, 0],
  ['setpgid', 0, 0],
  ['signalfd4', any, any, any, any],
  ['close_range', any, any, 0],
  ['dup3', any, any, any],
  // It serves.
  ['recvfrom', any, any, any, any, 0, 0],
  ['pipe2', any, any],
  ['fcntl', any, F.SETFL, openFlags('x64').NONBLOCK],
  ['clone', signals.SIGCHLD, 0, 0, 0, 0],
  ['read', any, any, any],
  ['write', any, any, any],
  ['close', any],
  ['wait4', any, any, any, any],
  ['kill', any, any],
  ['exit_group', any],
  // In the child.
  ['rt_sigprocmask', any, any, any, any],
  ['rt_sigaction', any, any, any, any],
  ['umask', any],
  ['chdir', any],
  ['getcwd', any, any],
  ['setsid'],
  ['execve', any, any, any],
]

/** Limits of a command of its own that its slot can set: the filter keeps that of `core` as it is. */
const slotLimits = ['cpu', 'fsize', 'nofile', 'stack'] as const

/**
 * Those of a slot of a house (launcher/takeCommand.ts), from where it loads the filter of its command until that is executed. A file whose
 * mode the filter refuses, such as one with a set-id bit, the slot cannot write, as the command could not.
 */
export function slotCalls(architecture: Architecture): readonly Call[] {
  const { WRONLY, NOFOLLOW, NONBLOCK, CLOEXEC, CREAT, TRUNC, APPEND } = openFlags(architecture)
  const writes = WRONLY | NOFOLLOW | NONBLOCK | CLOEXEC
  return [
    ['write', any, any, any],
    ['recvfrom', any, any, any, any, 0, 0],
    ['openat', any, any, writes | CREAT | TRUNC, 0o777],
    ['openat', any, any, writes | APPEND, 0o777],
    ['mkdirat', any, any, 0o755],
    ['fchmod', any, 0o777],
    ['close', any],
    ...slotLimits.map((name): Call => ['prlimit64', 0, rlimits[name], address, 0]),
    ['dup3', any, any, any],
    ['close_range', any, any, 0],
    ['chdir', any],
    ['getcwd', any, any],
    ['execve', any, any, any],
    ['exit_group', any],
  ]
}

/** What each command does besides. */
const callsOf = (each: readonly Step[]): Call[] =>
  each.flatMap((step) => (step.do === 'rlimit' ? [['prlimit64', 0, rlimits[step.name], address, 0]] : []))

/** Whether a filter lets all of them through, whatever the unknown words are, and without a line in the log. */
export function letsServe(
  filter: Uint8Array,
  architecture: Architecture,
  each: readonly Step[],
  calls = gateCalls,
): boolean {
  return [...calls, ...callsOf(each)].every(
    ([name, ...words]) => answer(filter, architecture, name, words) === SECCOMP.RET_ALLOW,
  )
}
