/** Plan → program: the code of monitor, init and payload, in this order. */
import { routine } from '../assembly/routine.js'
import type { Architecture } from '../kernel/architecture.js'
import { CLONE, POLL, PR } from '../kernel/flags.js'
import { cloneFlags } from '../kernel/namespaces.js'
import { rlimits } from '../kernel/rlimits.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import type { Program } from '../machine/instruction.js'
import { ownPids, type Plan, relays, stepsOf } from '../plan/plan.js'
import type { LaunchedStep, Step, StepKind } from '../plan/step.js'
import { announce } from './announce.js'
import { becomeSealed } from './becomeSealed.js'
import { belowJoined, cloneBelow } from './below.js'
import { descriptorCode, keepEnd, openStandardDescriptors, release as releaseOf } from './descriptorCode.js'
import { entryRows } from './entryRows.js'
import { execute, prepareArguments } from './execute.js'
import { filesystemCode } from './filesystemCode.js'
import { makeForegroundPipe, rememberForeground, takeForeground } from './foreground.js'
import { hardeningCode } from './hardeningCode.js'
import { identityCode, userMade } from './identityCode.js'
import { landlockCode } from './landlockCode.js'
import { type Code, LauncherContext, type Process } from './launcherContext.js'
import { cloneIntoGroup, limitCode } from './limitCode.js'
import { makeNet, monitorsPidfd, netIsLate, networkCode, prepareNet } from './networkCode.js'
import { diesWithParent, dieWithParent } from './parent.js'
import { awaitAcknowledgement, closeCallersEnds, pipeCode } from './pipeCode.js'
import {
  blockSignals,
  initLoop,
  leaveGroup,
  lingeringInit,
  lingeringMonitor,
  monitorLoop,
  unblockSignals,
  watchMonitor,
} from './wait.js'

type ProcessStep = 'clone' | 'dieWithParent' | 'processName' | 'session' | 'umask' | 'rlimit' | 'execute'

const processCode: Code<ProcessStep> = {
  clone(c, step) {
    if (belowJoined(c.plan)) cloneBelow(c, c.outcome, () => cloneInit(c, step, CLONE.PARENT))
    else cloneInit(c, step)
  },

  dieWithParent(c) {
    dieWithParent(c)
  },

  processName(c, step) {
    c.must('prctl', PR.SET_NAME, c.b.text(step.name), 0, 0, 0)
  },

  session(c) {
    c.must('setsid')
  },

  umask(c, step) {
    c.attempt('umask', step.mask)
  },

  rlimit(c, step) {
    const limit = c.b.bytes(pack(structs.rlimit64, { rlim_cur: step.soft, rlim_max: step.hard }), 8)
    const call = ['prlimit64', 0, rlimits[step.name], limit, 0] as const
    if (step.ifAllowed) c.mustUnless('EPERM', ...call)
    else c.must(...call)
  },

  execute(c) {
    execute(c)
  },
}

const code: Code<Exclude<StepKind, keyof typeof entryRows>> = {
  ...filesystemCode,
  ...identityCode,
  ...descriptorCode,
  ...hardeningCode,
  ...landlockCode,
  ...limitCode,
  ...networkCode,
  ...pipeCode,
  ...processCode,
}

function emitSteps(c: LauncherContext, steps: readonly Step[]): void {
  for (const step of steps) {
    if (isEntry(step)) c.b.scope(() => emit(c, entryRows, step))
    else {
      // Where sentences take room, one that hardly ever fails has none.
      if ('ifAllowed' in step && step.ifAllowed && c.plan.start.statusFd === undefined) c.note(step)
      else c.begin(step)
      c.b.scope(() => emit(c, code, step))
    }
  }
  c.endRows()
}

const isEntry = (step: Step): step is Step<keyof typeof entryRows> => step.do in entryRows

/** Of a table that has code for the kind of this step: else it does not type-check. */
function emit<Kind extends StepKind>(c: LauncherContext, table: Code<Kind>, step: Step<Kind>): void {
  table[step.do](c, step)
}

/** A launched program, and the steps by the numbers that its marks and its status records use. */
export interface Launch {
  readonly program: Program
  readonly steps: readonly LaunchedStep[]
  /** Which process does each of these steps. */
  readonly processes: readonly Process[]
}

/**
 * The program of a plan. The same plan gives the same program.
 * @param again of a sealed plan: what a payload executes that calls for /proc/self/exe; default: the vial itself
 */
export function launch(plan: Plan, architecture: Architecture, again?: Uint8Array): Launch {
  const c = new LauncherContext(plan, architecture)
  const { b } = c
  const { world, start } = plan
  const { manner, announcement } = start
  const pidfd = monitorsPidfd(b)
  const release = releaseOf(b)
  const [child, umask] = b.temporaries(2)

  b.entry(c.stack)
  if (start.sealed) becomeSealed(c, again)
  c.begin({ what: 'start', why: "a failure here is the monitor's own" })
  prepareArguments(c)
  if (start.statusFd === undefined) openStandardDescriptors(c)
  c.aside('hold signals back', 'the monitor takes them when it waits, and none is lost')
  b.move(umask, c.attempt('umask', 0))
  if (start.sharesSession && relays(plan)) rememberForeground(c)
  blockSignals(c)
  emitSteps(c, stepsOf(plan).monitor)

  c.aside('make ready to start init', 'each of the two notices when the other has ended')
  const released = b.reserve(8)
  if (!relays(plan)) b.move(c.outcome, c.must('eventfd2', 0, c.open.CLOEXEC | c.open.NONBLOCK))
  makeForegroundPipe(c)
  if (announcement !== undefined) c.must('pipe2', released, c.open.CLOEXEC)
  if (manner.tied) b.move(pidfd, c.must('pidfd_open', c.attempt('getpid'), 0))
  if (netIsLate(plan)) prepareNet(c)
  // From then on no process finds our descriptors in /proc. One that is not tied to the caller would wait at its end for a caller that is gone.
  if (!ownPids(plan) || !diesWithParent(plan)) awaitAcknowledgement(c)
  // Who shares our pid namespace sees us in /proc, and behind us the host: ptrace(2), "Ptrace access mode checking".
  if (!ownPids(plan) && relays(plan)) c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  emitSteps(c, [world.clone])
  b.move(child, c.result)
  b.when(
    child,
    'ne',
    0,
    () => {
      c.aside('wait for init', 'signals are handed on, and how it ended is told')
      if (netIsLate(plan)) makeNet(c)
      if (announcement !== undefined) {
        keepEnd(c, released, 'write', release)
        announce(c, announcement, world.clone.namespaces, child)
        c.attempt('close', release)
      }
      // A payload that is pid 1 may untie itself: PR_SET_PDEATHSIG(2const).
      if (manner.tied && start.init === 'payload') watchMonitor(c, pidfd, child)
      if (relays(plan)) monitorLoop(c, child)
      else lingeringMonitor(c, child)
    },
    () => {
      c.process = 'init'
      c.aside('tie init to the monitor', 'neither outlives the other')
      closeCallersEnds(c)
      // What a terminal sends to the job is for the monitor to hand on. Who leads a group makes no session: setsid(2).
      if (leadsGroup(plan)) leaveGroup(c)
      if (announcement !== undefined) keepEnd(c, released, 'read', release)
      // A step may wait for long, such as the one that reads a file's content from a pipe.
      if (manner.tied) tieToMonitor(c, {})
      emitSteps(c, stepsOf(plan).init)
      const starting = c.begin({ what: 'start the payload', why: 'init stays beside it and reaps' })
      if (manner.tied) {
        // Again after the last change of credentials, which clears it; the look covers all the time before.
        tieToMonitor(c, {})
        c.attempt('close', pidfd)
      }
      if (plan.start.init === 'reaper') {
        // The payload is the same user: it may not read, trace or reopen what init holds. A program that was told its
        // pid looks at its namespaces: there a capability that the payload lacks closes it, `spare` of a step.
        if (announcement === undefined) c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
        if (!ownPids(plan) && manner.adopts) c.must('prctl', PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        const payload = b.temporary()
        // As vfork(2): init waits until the payload has left our memory, which then need not be copied.
        b.move(payload, c.must('clone', CLONE.VM | CLONE.VFORK | signals.SIGCHLD, 0, 0, 0, 0))
        b.when(payload, 'ne', 0, () => {
          c.aside('wait for the payload', 'signals are handed on, and what it leaves behind is reaped')
          // The payload has shared this memory: its last step stands there.
          c.resume(starting)
          if (relays(plan)) initLoop(c, payload)
          else lingeringInit(c, payload)
        })
        c.process = 'payload'
        c.aside('let signals through', "the command has the caller's mask of signals, and of modes")
        if (!ownPids(plan) && manner.tied) c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
        takeForeground(c)
      }
      unblockSignals(c)
      c.attempt('umask', umask)
      c.process = 'payload'
      emitSteps(c, stepsOf(plan).payload)
    },
  )
  c.emitFailure()
  return { program: b.finish(), steps: c.steps, processes: c.processes }
}

const leadsGroup = (plan: Plan) =>
  relays(plan) && plan.start.statusFd === undefined && !plan.start.sharesSession && plan.start.init === 'reaper'

/** Clones init into its namespaces, without those that may be left out where they cannot be made. */
function cloneInit(c: LauncherContext, { namespaces, ifPossible }: Step<'clone'>, more = 0): void {
  const { b, plan } = c
  const cloned = b.label()
  for (const dropped of subsets(ifPossible)) {
    const made = namespaces.filter((name) => !dropped.includes(name))
    const flags = cloneFlags(netIsLate(plan) ? made.filter((name) => name !== 'net') : made)
    if (ifPossible.includes('user')) b.move(userMade(b), made.includes('user') ? 1 : 0)
    cloneIntoGroup(c, flags | more)
    c.whenFailed(
      () => {},
      () => b.jump(cloned),
    )
  }
  b.jump(c.fail)
  b.place(cloned)
}

/** All subsets, smaller ones first. */
function subsets<Item>(items: readonly Item[]): Item[][] {
  const found: Item[][] = [[]]
  for (const item of items) found.push(...found.map((set) => [...set, item]))
  return found.sort((a, b) => a.length - b.length)
}

/** PDEATHSIG, and a look whether the monitor was dead before it could work. */
const tieToMonitor = routine('tieToMonitor', {}, (c: LauncherContext) => {
  const { b } = c
  const poll = b.reserve(structs.pollfd.size)
  const now = b.bytes(new Uint8Array(16), 8)
  c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
  b.store(32, poll, 0, monitorsPidfd(b))
  b.store(32, poll, 4, POLL.IN)
  c.attempt('ppoll', poll, 1, now, 0, 0)
  b.when(c.result, 'eq', 1, () => c.exit(125))
})
