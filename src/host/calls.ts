/**
 * The system calls that vials make, and what each is for. Each can be tried in a way that changes nothing: with arguments
 * that the kernel refuses before it looks at who asks, so that ENOSYS and EPERM tell of a kernel without it, or of a filter.
 */
import { release } from 'node:os'
import { type ErrnoName, errno } from '../kernel/errno.js'
import { CLONE, PR } from '../kernel/flags.js'
import type { SyscallName } from '../kernel/syscalls.js'
import type { Step } from '../plan/step.js'
import { answersTo } from './asked.js'

const anotherWay = 'nothing: another way is taken'

interface Call {
  readonly args: readonly (number | bigint)[]
  /** What needs it. */
  readonly without: string
  /** Permission is looked at first: what a filter answers shows in a user namespace only. */
  readonly privileged?: true
}

const none = -1
const noAddress = 1
const wrongFlags = 0x7fff_0000
const sealed = 'vial-bwrap, and policies whose payload shares the pid namespace or is its pid 1'
const every = 'everything'

/** Beside what any program needs, such as read(2) and execve(2). */
export const calls = {
  // processes and their ends
  clone: { args: [CLONE.NEWUSER | CLONE.FS, 0, 0, 0, 0], without: every },
  wait4: { args: [none, 0, wrongFlags, 0], without: every },
  rt_sigtimedwait: { args: [0, 0, 0, 0], without: every },
  pidfd_open: { args: [none, 0], without: every },
  getppid: { args: [], without: every },
  geteuid: { args: [], without: every },
  getegid: { args: [], without: every },
  ppoll: { args: [0, 0, noAddress, 0, 0], without: anotherWay },
  kill: { args: [0x7fff_ffff, 0], without: 'signals that reach the payload through the vial' },
  pidfd_send_signal: { args: [none, 0, 0, 0], without: 'the early end of a vial-bwrap whose parent died' },
  eventfd2: { args: [0, wrongFlags], without: every },
  timer_create: { args: [wrongFlags, 0, 0], without: 'limits.wallTime and limits.cpuTime' },
  timer_settime: { args: [none, 0, 0, 0], without: 'limits.wallTime and limits.cpuTime' },
  clone3: { args: [0, 0], without: anotherWay },
  close_range: { args: [2, 1, 0], without: every },
  setsid: { args: [], without: every },
  setpgid: { args: [0, none], without: anotherWay },
  // namespaces
  unshare: { args: [0], without: every },
  setns: { args: [none, CLONE.NEWUSER], without: every },
  sethostname: { args: [0, none], without: every, privileged: true },
  setdomainname: { args: [0, none], without: 'domainname', privileged: true },
  socket: { args: [none, none, none], without: every },
  // mounts
  fsopen: { args: [0, wrongFlags], without: every, privileged: true },
  fsconfig: { args: [none, 0, 0, 0, 0], without: every },
  fsmount: { args: [none, wrongFlags, 0], without: every, privileged: true },
  open_tree: { args: [none, 0, wrongFlags], without: every },
  move_mount: { args: [none, 0, none, 0, wrongFlags], without: every, privileged: true },
  mount_setattr: { args: [none, 0, wrongFlags, 0, 0], without: every },
  mount: { args: [0, 0, 0, 0, 0], without: 'entries of the kind overlay' },
  umount2: { args: [0, wrongFlags], without: every },
  pivot_root: { args: [0, 0], without: every, privileged: true },
  // the vial itself, where its payload could look at a process of it
  memfd_create: { args: [0, wrongFlags], without: sealed },
  sendfile: { args: [none, none, 0, 0], without: sealed },
  execveat: { args: [none, 0, 0, 0, wrongFlags], without: sealed },
  // files
  openat2: { args: [none, 0, 0, 0], without: anotherWay },
  statx: { args: [none, 0, 0, 0, 0], without: every },
  mkdirat: { args: [none, 0, 0], without: every },
  mknodat: { args: [none, 0, 0x8000, 0], without: every },
  symlinkat: { args: [0, none, 0], without: 'entries of the kind symlink' },
  unlinkat: { args: [none, 0, wrongFlags], without: "content in the place of another user's file" },
  fchmod: { args: [none, 0], without: 'entries of the kind file' },
  fchmodat: { args: [none, 0, 0], without: 'entries of the kind chmod' },
  fchown: { args: [none, 0, 0], without: 'entries with an owner' },
  fstatfs: { args: [none, 0], without: anotherWay },
  fchdir: { args: [none], without: every },
  chdir: { args: [0], without: every },
  // what the payload may not
  prctl: { args: [wrongFlags, 0, 0, 0, 0], without: every },
  prlimit64: { args: [0, 999, 0, 0], without: 'rlimits' },
  capget: { args: [0, 0], without: 'identity.uid in root mode' },
  capset: { args: [0, 0], without: every },
  setgroups: { args: [none, 0], without: every },
  setresuid: { args: [none, none, none], without: 'identity.uid in root mode' },
  setresgid: { args: [none, none, none], without: 'identity.gid in root mode' },
  seccomp: { args: [wrongFlags, 0, 0], without: 'filters of system calls' },
  keyctl: {
    args: [wrongFlags, 0, 0, 0, 0],
    without: "keeping the caller's keys from the payload, where the filter lets it ask",
  },
  landlock_create_ruleset: { args: [0, 0, wrongFlags], without: 'Landlock around the payload' },
  landlock_add_rule: { args: [none, 0, 0, wrongFlags], without: 'Landlock around the payload' },
  landlock_restrict_self: { args: [none, wrongFlags], without: 'Landlock around the payload' },
} as const satisfies Partial<Record<SyscallName, Call>>

export type NeededCall = keyof typeof calls

export interface RefusedCall {
  readonly call: NeededCall
  /** `SIGSYS`: a filter kills the process that makes it. */
  readonly answer: ErrnoName | 'SIGSYS'
  /** What needs it. */
  readonly without: string
}

/**
 * The calls of {@link calls} that this kernel lacks or a filter refuses, in their order.
 * @throws {Error} when the cache cannot be used
 */
export function refusedCalls(): RefusedCall[] {
  try {
    return askAll()
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    // Node itself can start nothing.
    if (syscall?.startsWith('spawn') && (code === 'ENOSYS' || code === 'EPERM'))
      return [{ call: 'clone', answer: code, without: calls.clone.without }]
    throw error
  }
}

function askAll(): RefusedCall[] {
  const all = Object.entries(calls) as [NeededCall, Call][]
  const answers = tryCalls(all.filter(([, { privileged }]) => !privileged))
  const inside = tryCalls([enter, ...all.filter(([, { privileged }]) => privileged)])
  // A namespace may be forbidden for other reasons, and then so is what needs one.
  const [[, entered]] = inside as [[unknown, number | 'SIGSYS']]
  return [...answers, ...inside.slice(1).filter(([, answer]) => entered === 0 || answer !== -errno.EPERM)].flatMap(
    ([call, answer]): RefusedCall[] => {
      const { without } = calls[call]
      if (answer === 'SIGSYS') return [{ call, answer, without }]
      if (answer === -errno.ENOSYS) return [{ call, answer: 'ENOSYS', without }]
      // Who keeps its groups is no matter for a filter: setgroups(2) looks at permission first.
      return answer === -errno.EPERM && call !== 'setgroups' ? [{ call, answer: 'EPERM', without }] : []
    },
  )
}

type Try = readonly [NeededCall, Pick<Call, 'args'>]

const enter: Try = ['unshare', { args: [CLONE.NEWUSER | CLONE.NEWNS | CLONE.NEWUTS] }]

/** What each answers. Behind one that kills, the rest is tried again from the first. */
function tryCalls(list: readonly Try[]): (readonly [NeededCall, number | 'SIGSYS'])[] {
  const found = answersOf(list)
  const answers = list.slice(0, found.length).map(([call], index) => [call, found[index]!] as const)
  const killer = list[found.length]
  if (killer === undefined) return answers
  const rest = tryCalls([...list.slice(0, found.length), ...list.slice(found.length + 1)]).slice(found.length)
  return [...answers, [killer[0], 'SIGSYS'], ...rest]
}

/** As far as they come: one that kills is the next. */
function answersOf(list: readonly Try[]): readonly number[] {
  const { answers, error } = answersTo(
    (ask) => {
      // landlock_restrict_self(2) wants it of those without a privilege.
      ask('prctl', PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
      for (const [name, { args }] of list) ask(name, ...args)
    },
    { stops: false, timeout: 5000 },
  )
  if (error !== undefined) throw error
  return answers.slice(1)
}

/** Who may be behind it. */
export function whoRefuses({ call, answer }: RefusedCall): string {
  const containers =
    "a container runtime's filter (docker run --security-opt seccomp=unconfined), systemd's SystemCallFilter= or the filter of a vial around this process"
  const namespaces: readonly NeededCall[] = ['clone', 'unshare', 'setns']
  if (answer !== 'ENOSYS')
    return namespaces.includes(call) ? `systemd's RestrictNamespaces=, ${containers}` : containers
  if (call === 'openat2') return `systemd's RestrictSUIDSGID=, gVisor, a kernel older than 5.6, ${containers}`
  const kernel = call.startsWith('landlock') ? 'older than 5.13 or without Landlock' : 'older than 5.12'
  return `a kernel ${kernel}, gVisor, ${containers}`
}

/** Calls of one step only: no other step fails without them. */
const ofOneStep: Partial<Record<NeededCall, Step['do']>> = {
  keyctl: 'newKeyring',
  landlock_create_ruleset: 'landlock',
  landlock_add_rule: 'landlock',
  landlock_restrict_self: 'landlock',
}

/**
 * Why a step may have failed with this error, where a call is refused that has no other way; undefined where that is not
 * so, or cannot be asked.
 */
export function refusal(error: string | undefined, step?: Step['do']): string | undefined {
  if (error !== 'ENOSYS' && error !== 'EPERM') return undefined
  let refused: RefusedCall[] = []
  try {
    refused = refusedCalls()
  } catch {}
  refused = refused.filter(
    ({ call, answer, without }) => answer === error && without !== anotherWay && (ofOneStep[call] ?? step) === step,
  )
  const [first] = refused
  if (first === undefined)
    return error === 'EPERM'
      ? undefined
      : `this is Linux ${release()}; vial needs 5.12 or newer, and a container around it that does not forbid the call`
  return `refused here: ${refused.map(({ call, answer }) => `${call} (${answer})`).join(', ')}; by ${whoRefuses(first)}`
}
