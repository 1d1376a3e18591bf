/** Which signals a process of ours takes, and in which process group it is. */
import { own } from '../assembly/variables.js'
import { SIG, SIGMASK } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { record } from './record.js'

export const maskSize = 8
/** A set of one signal. */
export const setOf = (c: LauncherContext, signal: number): Address =>
  c.b.bytes(new Uint8Array(new BigUint64Array([1n << BigInt(signal - 1)]).buffer), 8)
const masks = own(({ b }: LauncherContext) => ({
  every: b.bytes(new Uint8Array(8).fill(255), 8),
  callers: b.reserve(8),
}))
export const allSignals = (c: LauncherContext) => masks(c).every

/** The payload gets the caller's mask back: see {@link unblockSignals}. */
export function blockSignals(c: LauncherContext): void {
  const { every, callers } = masks(c)
  c.must('rt_sigprocmask', SIGMASK.SETMASK, every, callers, maskSize)
}

/** A caller that ignores SIGCHLD would have our children reaped unseen. */
export function hearOfChildren(c: LauncherContext): void {
  c.must('rt_sigaction', signals.SIGCHLD, c.b.bytes(new Uint8Array(32), 8), 0, maskSize)
}

/** What rt_sigtimedwait(2) tells of a signal, of one that was sent from outside the pid namespace of the process that takes it. */
export function whenFromOutside({ b }: LauncherContext, info: Address, then: () => void): void {
  const [origin, sender] = b.temporaries(2)
  const { si_code, si_pid } = structs.siginfo.fields
  b.load(origin, 32, info, si_code.offset)
  b.load(sender, 32, info, si_pid.offset)
  // SI_USER is 0, and so is the pid of a sender that has none there.
  b.compute(sender, sender, 'or', origin)
  b.when(sender, 'eq', 0, then)
}

/** Node.js starts the vial with no signal ignored. What is ignored stays so in init and the command: execve(2). */
export function ignoreAsCaller(c: LauncherContext, statusFd: number): void {
  const { b } = c
  const [mask, signal, ignored] = b.temporaries(3)
  const header = b.reserve(8, 8)
  const ignore = b.bytes(pack(structs.sigaction, { sa_handler: SIG.IGN }), 8)
  c.attempt('pread64', statusFd, header, 8, record.ignored)
  b.when(c.result, 'eq', 8, () => {
    b.load(mask, 64, header)
    b.move(signal, 0)
    b.loop(({ leave }) => {
      b.when(mask, 'eq', 0, leave)
      b.compute(signal, signal, 'add', 1)
      b.compute(ignored, mask, 'and', 1)
      b.compute(mask, mask, 'shr', 1)
      b.when(ignored, 'ne', 0, () => c.attempt('rt_sigaction', signal, ignore, 0, maskSize))
    })
  })
}

export function unblockSignals(c: LauncherContext): void {
  c.must('rt_sigprocmask', SIGMASK.SETMASK, masks(c).callers, 0, maskSize)
}

/** docs/how-it-works.md, "Signals", says who is in which process group. */
export function leaveGroup(c: LauncherContext): void {
  c.attempt('setpgid', 0, 0)
}
