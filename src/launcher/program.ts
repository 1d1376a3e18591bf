/** Plan → program: the code of monitor, init and payload, in this order. */
import type { Architecture } from '../kernel/architecture.js'
import { POLL, PR, SIGMASK, WAIT } from '../kernel/flags.js'
import { rlimits } from '../kernel/rlimits.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import type { Program, Slot } from '../machine/instruction.js'
import type { Plan, Step } from '../plan/step.js'
import { LauncherContext, record } from './context.js'
import { execute, prepareArguments } from './environment.js'
import { filesystemCode } from './filesystem.js'
import { cloneFlag, identityCode } from './identity.js'

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>
type Process = 'closeFds' | 'dieWithParent' | 'session' | 'umask' | 'rlimit' | 'execute'

const processCode: { [Kind in Process]: (c: LauncherContext, step: StepOf<Kind>) => void } = {
  closeFds(c, step) {
    let first = 0
    for (const kept of step.keep) {
      if (kept > first) c.must('close_range', first, kept - 1, 0)
      first = kept + 1
    }
    c.must('close_range', first, 0xffffffff, 0)
  },

  /** PR_SET_PDEATHSIG(2const); a parent that died before the call is noticed by its changed pid. */
  dieWithParent(c) {
    const parent = c.b.temporary()
    c.b.move(parent, c.attempt('getppid'))
    c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
    c.attempt('getppid')
    c.b.when(c.result, 'ne', parent, () => c.exit(125))
  },

  session(c) {
    c.must('setsid')
  },

  umask(c, step) {
    c.attempt('umask', step.mask)
  },

  rlimit(c, step) {
    const limit = c.b.bytes(pack(structs.rlimit64, { rlim_cur: step.soft, rlim_max: step.hard }), 8)
    c.must('prlimit64', 0, rlimits[step.name], limit, 0)
  },

  execute(c) {
    execute(c)
  },
}

const code = { ...filesystemCode, ...identityCode, ...processCode } as unknown as Record<
  Step['do'],
  (c: LauncherContext, step: Step) => void
>

function emitSteps(c: LauncherContext, steps: readonly Step[]): void {
  for (const step of steps) {
    c.begin(step)
    code[step.do](c, step)
  }
}

/** A launched program, and the steps by the numbers that its marks and its status records use. */
export interface Launch {
  readonly program: Program
  readonly steps: readonly Step[]
}

const maskSize = 8

/** The program of a plan. The same plan gives the same program. */
export function launch(plan: Plan, architecture: Architecture): Launch {
  const c = new LauncherContext(plan, architecture)
  const { b } = c
  const everySignal = b.bytes(new Uint8Array(8).fill(255), 8)
  const callerMask = b.reserve(8)
  const pidfd = b.slot('monitor.pidfd')
  const child = b.slot('child')

  b.entry(c.stack)
  c.begin({ do: 'start', what: 'start', why: "a failure here is the monitor's own" })
  prepareArguments(c)
  // Signals stay blocked in monitor and init, which take them one at a time; the payload gets the caller's mask back.
  c.must('rt_sigprocmask', SIGMASK.SETMASK, everySignal, callerMask, maskSize)
  const defaultAction = b.bytes(new Uint8Array(32), 8)
  // A caller that ignores SIGCHLD would have our children reaped unseen.
  c.must('rt_sigaction', signals.SIGCHLD, defaultAction, 0, maskSize)
  emitSteps(c, plan.monitor)

  b.move(pidfd, c.must('pidfd_open', c.attempt('getpid'), 0))
  const flags = plan.clone.reduce((all, name) => all | cloneFlag[name], 0)
  const cloning: Step = {
    do: 'clone',
    what: `make the namespaces ${plan.clone.join(', ')}`,
    why: 'each is new',
    hints: {
      EPERM: 'namespaces may be forbidden here: "vial doctor" tells which',
      ENOSPC: 'a limit in /proc/sys/user/max_*_namespaces is reached',
    },
  }
  c.begin(cloning)
  b.move(child, c.must('clone', flags | signals.SIGCHLD, 0, 0, 0, 0))
  b.when(
    child,
    'ne',
    0,
    () => monitorLoop(c, child, everySignal),
    () => {
      emitSteps(c, plan.init)
      // After the last change of credentials, which would clear it; the look covers all the time before.
      tieToMonitor(c, pidfd)
      // The payload is the same user: it may not read, trace or reopen what init holds.
      c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
      if (plan.initIs === 'reaper') {
        if (!plan.newPid) c.must('prctl', PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        const payload = b.slot('payload')
        b.move(payload, c.must('clone', signals.SIGCHLD, 0, 0, 0, 0))
        b.when(payload, 'ne', 0, () => initLoop(c, payload, everySignal))
        if (!plan.newPid) c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
      }
      c.must('rt_sigprocmask', SIGMASK.SETMASK, callerMask, 0, maskSize)
      // What a signal did while it was blocked here is the payload's own now.
      emitSteps(c, plan.payload)
    },
  )
  c.emitFailure()
  return { program: b.finish(), steps: c.steps }
}

/** PDEATHSIG, and a look whether the monitor was dead before it could work. */
function tieToMonitor(c: LauncherContext, pidfd: Slot): void {
  const { b } = c
  const poll = b.reserve(structs.pollfd.size)
  const now = b.bytes(new Uint8Array(16), 8)
  c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
  b.store(32, poll, 0, pidfd)
  b.store(32, poll, 4, POLL.IN)
  c.attempt('ppoll', poll, 1, now, 0, 0)
  b.when(c.result, 'eq', 1, () => c.exit(125))
  c.attempt('close', pidfd)
}

/** Waits for init, passes signals on to it, reports, and ends as the payload did. */
function monitorLoop(c: LauncherContext, init: Slot, everySignal: ReturnType<LauncherContext['b']['bytes']>): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  if (plan.statusFd !== undefined) c.report(record.started, init)
  releaseFds(c)
  b.loop(({ again }) => {
    takeSignal(c, everySignal, init)
    const usage = plan.statusFd === undefined ? 0 : { ...c.recordBuffer(), offset: c.recordBuffer().offset + 32 }
    c.attempt('wait4', init, status, WAIT.NOHANG, usage)
    b.when(c.result, 'ne', init, again)
    b.load(code, 32, status)
    if (plan.statusFd !== undefined) c.report(record.ended, code)
    exitAs(c, code)
  })
}

/** Reaps everything, passes signals on to the payload, and ends when the payload does: the kernel then ends the rest. */
function initLoop(c: LauncherContext, payload: Slot, everySignal: ReturnType<LauncherContext['b']['bytes']>): void {
  const { b, plan } = c
  const status = b.reserve(8)
  const code = b.temporary()
  releaseFds(c)
  b.loop(({ again }) => {
    takeSignal(c, everySignal, payload)
    b.loop(({ again: reapNext }) => {
      c.attempt('wait4', -1, status, WAIT.NOHANG, 0)
      c.whenFailed(again)
      b.when(c.result, 'eq', 0, again)
      b.when(c.result, 'ne', payload, reapNext)
      b.load(code, 32, status)
      if (plan.statusFd !== undefined) c.report(record.payload, code)
      exitAs(c, code)
    })
  })
}

/** Neither monitor nor init may keep a pipe of the payload's open; from here on neither has anything to say there. */
function releaseFds(c: LauncherContext): void {
  const { plan } = c
  c.attempt('close_range', 0, (plan.statusFd ?? 0x100000000) - 1, 0)
  if (plan.statusFd !== undefined) c.attempt('close_range', plan.statusFd + 1, 0xffffffff, 0)
}

/**
 * Takes the next signal; returns when it is SIGCHLD and passes any other on to `to`. What the terminal sends reaches
 * a payload of the same session by itself.
 */
function takeSignal(c: LauncherContext, everySignal: ReturnType<LauncherContext['b']['bytes']>, to: Slot): void {
  const { b, plan } = c
  const info = b.reserve(128, 16)
  const signal = b.temporary()
  const origin = b.temporary()
  b.loop(({ leave, again }) => {
    c.attempt('rt_sigtimedwait', everySignal, info, 0, maskSize)
    c.whenFailed(again)
    b.move(signal, c.result)
    b.when(signal, 'eq', signals.SIGCHLD, leave)
    if (plan.sharesSession) {
      b.load(origin, 32, info, structs.siginfo.fields.si_code.offset)
      const fromKernel = 0x80
      b.when(origin, 'eq', fromKernel, again)
    }
    c.attempt('kill', to, signal)
  })
}

/** Exits as wait status `code` says: its exit status, or 128 + the signal. */
function exitAs(c: LauncherContext, code: Slot): void {
  const { b } = c
  const signal = b.temporary()
  b.compute(signal, code, 'and', 0x7f)
  b.when(signal, 'ne', 0, () => {
    b.compute(signal, signal, 'add', 128)
    c.exit(signal)
  })
  b.compute(code, code, 'shr', 8)
  b.compute(code, code, 'and', 0xff)
  c.exit(code)
}
