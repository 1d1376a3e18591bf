/** Code for limits: getting into a cgroup, and the monitor's watch over time and memory, at whose end it kills all. */
import { noFile } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { copyText, decimal } from '../assembly/text.js'
import { variable, variables } from '../assembly/variables.js'
import { CLOCK, CLONE, SI } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { ownPids, type Plan, relays } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import { closeAllBut } from './descriptorCode.js'
import { foregroundEnds } from './foreground.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { callersEnds } from './pipeCode.js'
import { endSignal, reached, record } from './record.js'
import type { Source } from './sources.js'

type Limit = 'wallTime' | 'cpuTime' | 'watchMemory' | 'enterGroup'

/**
 * What the timers send: the last of the real-time signals, which queue, so that none is lost to another of its number.
 * One that another process sends differs by its si_code, and is passed on.
 */
const timerSignal = 64

const second = 1_000_000_000
/** The CPU time is looked at again no sooner than after this: how late the end may be, for each CPU. */
const shortest = 1_000_000

const cpuTimer = variable()
/** What the monitor watches a group's memory by: an eventfd(2), and the file that tells the most. */
const memory = variables('event', 'most')
/** Whether init was born in its group. */
const entered = variable()
/** The timer behind an end by a signal: one for all limits. */
const ending = variables('timer', 'made')

export const limitCode: Code<Limit> = {
  wallTime(c, step) {
    const { b } = c
    prepareEnd(c)
    const timer = makeTimer(c, reached.wallTime)
    const left = b.temporary()
    b.move(left, step.limit)
    setTimer(c, timer, left)
  },

  cpuTime(c, step) {
    const { b } = c
    prepareEnd(c)
    const timer = makeTimer(c, reached.cpuTime)
    b.move(cpuTimer(b), timer)
    const left = b.temporary()
    b.move(left, step.limit)
    setCpuTimer(c, left, step.cpus)
  },

  /**
   * In v2 init is in it from birth, unless clone3 is missing. A process that moves itself, and alone, needs no
   * lock that stops all forks of the machine: kernel commit 9a3284fad42f.
   */
  enterGroup(c, step) {
    const { b } = c
    const { way, fds } = step.group
    const file = b.temporary()
    const enter = (fd: Operand) => {
      c.must('write', fd, b.text('0'), 1)
      c.attempt('close', fd)
    }
    if (way === 'move') for (const fd of fds) enter(fd)
    else {
      b.when(entered(b), 'eq', 0, () => {
        b.move(file, c.must('openat', fds[0]!, b.text('cgroup.procs'), c.open.WRONLY | c.open.CLOEXEC, 0))
        enter(file)
      })
      c.attempt('close', fds[0]!)
    }
    for (const { fd } of cpuTimeSteps(c.plan)) c.attempt('close', fd)
    if (step.namespace) c.must('unshare', CLONE.NEWCGROUP)
  },

  /** The eventfd of memory.oom_control, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html, section 10. */
  watchMemory(c, step) {
    const { b } = c
    prepareEnd(c)
    const { event, most } = memory(b)
    const [file, control, cursor] = [b.temporary(), b.temporary(), b.temporary()]
    const text = b.reserve(64)
    b.move(event, c.must('eventfd2', 0, c.open.CLOEXEC))
    b.move(file, c.must('openat', step.fd, b.text('memory.oom_control'), c.open.RDONLY | c.open.CLOEXEC, 0))
    b.move(control, c.must('openat', step.fd, b.text('cgroup.event_control'), c.open.WRONLY | c.open.CLOEXEC, 0))
    b.move(cursor, text)
    decimal(b, cursor, event)
    copyText(b, cursor, b.text(' '))
    decimal(b, cursor, file)
    b.compute(cursor, cursor, 'sub', text)
    c.must('write', control, text, cursor)
    b.move(most, c.must('openat', step.fd, b.text('memory.max_usage_in_bytes'), c.open.RDONLY | c.open.CLOEXEC, 0))
    for (const fd of [file, control, step.fd]) c.attempt('close', fd)
  },
}

const cpuTimeSteps = (plan: Plan) => plan.start.watch.filter((step) => step.do === 'cpuTime')

function hasTimers(plan: Plan): boolean {
  return plan.start.watch.some((step) => step.do === 'wallTime' || step.do === 'cpuTime')
}

const memorySteps = (plan: Plan) => plan.start.watch.filter((step) => step.do === 'watchMemory')
const watchesMemory = (plan: Plan) => memorySteps(plan).length > 0

/** Whether the monitor of this plan does more than to pass signals on. */
export const watches = (plan: Plan) => hasTimers(plan) || watchesMemory(plan)

/** What the monitor keeps open to its end. */
function watchedFds(c: LauncherContext): Operand[] {
  const files = watchesMemory(c.plan) ? Object.values(memory(c.b)) : []
  return [...cpuTimeSteps(c.plan).map(({ fd }) => fd), ...files]
}

/** Kills all, once, when memory is short. */
export function memorySource(c: LauncherContext, init: Slot): Source[] {
  if (!watchesMemory(c.plan)) return []
  const { b } = c
  const { event, most } = memory(b)
  const act = () => {
    c.attempt('read', event, b.reserve(8, 8), 8)
    // The event also comes when memory is short in a group above, at a limit that is not of this sandbox:
    // mem_cgroup_oom_notify() in mm/memcontrol-v1.c.
    for (const step of memorySteps(c.plan))
      b.when(readNumber(c, { file: most }).number, 'ge', step.near, () => {
        b.move(event, noFile)
        end(c, init, reached.memory, 0, 'the memory limit is reached')
      })
  }
  return [{ fd: event, act }]
}

/** clone(2), or, for a v2 group, clone3 with CLONE_INTO_CGROUP; where clone3 is missing, init moves itself. */
export function cloneIntoGroup(c: LauncherContext, flags: number): void {
  const { b } = c
  const step = c.plan.world.init.find((one) => one.do === 'enterGroup')
  const plain = () => c.attempt('clone', flags | signals.SIGCHLD, 0, 0, 0, 0)
  if (step?.group.way !== 'clone') {
    plain()
    return
  }
  const args = b.bytes(
    pack(structs.clone_args, {
      flags: BigInt(flags) | BigInt(CLONE.INTO_CGROUP),
      exit_signal: signals.SIGCHLD,
      cgroup: step.group.fds[0]!,
    }),
    8,
  )
  b.move(entered(b), 1)
  // ENOSYS also from filters of containers, which cannot look into the arguments.
  c.attempt('clone3', args, structs.clone_args.size)
  c.whenError('ENOSYS', () => {
    b.move(entered(b), 0)
    plain()
  })
}

/** The signal of a timer is dealt with here; any other is not. */
export function takeTimer(c: LauncherContext, signal: Slot, info: Address, init: Slot, again: () => void): void {
  if (!hasTimers(c.plan) && !(watches(c.plan) && endsBySignal(c.plan))) return
  const { b } = c
  const origin = b.temporary()
  b.when(signal, 'eq', timerSignal, () => {
    b.load(origin, 32, info, structs.siginfo.fields.si_code.offset)
    b.when(origin, 'eq', SI.TIMER >>> 0, () => {
      expired(c, info, init)
      again()
    })
  })
}

/** Closes what the monitor needs no more: all but what it watches, and what it holds for others. Standard error stays for the sentence about a limit. */
export function releaseUnwatched(c: LauncherContext, held: readonly Operand[]): void {
  const { statusFd } = c.plan.start
  c.attempt('close_range', 0, statusFd === undefined ? 1 : 2, 0)
  closeAllBut(c, [
    ...(statusFd === undefined ? [] : [statusFd]),
    ...callersEnds(c),
    ...foregroundEnds(c, 'monitor'),
    ...watchedFds(c),
    ...held,
  ])
}

/** What the monitor does with the signal of a timer: kills init, and with it all, unless CPU time is left. */
function expired(c: LauncherContext, info: Address, init: Slot): void {
  const { b } = c
  const which = b.temporary()
  b.load(which, 32, info, structs.siginfo.fields.si_value.offset)
  if (endsBySignal(c.plan)) b.when(which, 'eq', lastResort, () => c.attempt('kill', init, signals.SIGKILL))
  for (const step of c.plan.start.watch) {
    if (step.do === 'wallTime')
      b.when(which, 'eq', reached.wallTime, () => end(c, init, reached.wallTime, 0, 'the wall time limit is reached'))
    if (step.do === 'cpuTime')
      b.when(which, 'eq', reached.cpuTime, () => {
        const used = readCpuTime(c, step)
        const left = b.temporary()
        b.compute(left, step.limit, 'sub', used)
        b.when(
          used,
          'gt',
          step.limit,
          () => end(c, init, reached.cpuTime, used, 'the CPU time limit is reached'),
          () => setCpuTimer(c, left, step.cpus),
        )
      })
  }
}

function end(c: LauncherContext, init: Slot, limit: number, used: Operand, sentence: string): void {
  const text = `vial: ${sentence}\n`
  if (c.plan.start.statusFd !== undefined) c.report(record.limit, limit, used)
  else c.attempt('write', 2, c.b.text(text), text.length)
  if (!endsBySignal(c.plan)) c.attempt('kill', init, signals.SIGKILL)
  else {
    c.attempt('kill', init, endSignal)
    const left = c.b.temporary()
    c.b.move(left, second)
    setTimer(c, ending(c.b).timer, left)
  }
}

/**
 * Whether the monitor's child knows the signal at which it ends all: pid 1, where there is a record to tell what they used, or what
 * waits for a command that entered a sandbox.
 */
export const endsBySignal = (plan: Plan) => {
  const { enters, statusFd, init } = plan.start
  const isReaper = statusFd !== undefined && ownPids(plan) && init === 'reaper'
  return relays(plan) && (isReaper || enters !== undefined)
}

/** The timer for a pid 1 that does not end all in time, such as one that still waits for a mount. */
const lastResort = 0

function prepareEnd(c: LauncherContext): void {
  if (!endsBySignal(c.plan)) return
  const { b } = c
  // Once for all limits.
  const { timer, made } = ending(b)
  b.when(made, 'eq', 0, () => {
    b.move(timer, makeTimer(c, lastResort))
    b.move(made, 1)
  })
}

function makeTimer(c: LauncherContext, value: number): Slot {
  const { b } = c
  const id = b.reserve(8)
  const timer = b.temporary()
  const event = b.bytes(pack(structs.sigevent, { sigev_value: value, sigev_signo: timerSignal }), 8)
  c.must('timer_create', CLOCK.MONOTONIC, event, id)
  b.load(timer, 32, id)
  return timer
}

/** Lets the timer go off once, after `left` nanoseconds, which is spent here. */
function setTimer(c: LauncherContext, timer: Slot, left: Slot): void {
  const { b } = c
  const { itimerspec } = structs
  const [seconds, count, chunk] = [b.temporary(), b.temporary(), b.temporary()]
  const when = b.reserve(itimerspec.size)
  // There is no instruction that divides: as by hand, from 2^33 seconds on, which is as much as 64 bits of nanoseconds hold.
  b.move(seconds, 0)
  b.move(count, 2 ** 33)
  b.move(chunk, BigInt(second) << 33n)
  b.loop(({ leave }) => {
    b.when(left, 'ge', chunk, () => {
      b.compute(left, left, 'sub', chunk)
      b.compute(seconds, seconds, 'add', count)
    })
    b.compute(chunk, chunk, 'shr', 1)
    b.compute(count, count, 'shr', 1)
    b.when(count, 'eq', 0, leave)
  })
  b.store(64, when, itimerspec.fields['it_value.tv_sec'].offset, seconds)
  b.store(64, when, itimerspec.fields['it_value.tv_nsec'].offset, left)
  c.must('timer_settime', timer, 0, when, 0)
}

/**
 * The limit cannot be reached before all CPUs have worked for what is left: that is the next moment to look. What is
 * left shrinks by a constant factor each time, so there are few looks, and none while nothing runs near the limit.
 */
function setCpuTimer(c: LauncherContext, left: Slot, cpus: number): void {
  const { b } = c
  b.compute(left, left, 'shr', Math.ceil(Math.log2(cpus)))
  b.when(left, 'lt', shortest, () => b.move(left, shortest))
  setTimer(c, cpuTimer(b), left)
}

/** In nanoseconds. */
function readCpuTime(c: LauncherContext, step: Step<'cpuTime'>): Slot {
  const used = readNumber(c, { file: step.fd }).number
  c.b.compute(used, used, 'mul', step.unit)
  return used
}

/** The first number in the file. */
const readNumber = routine('readNumber', { takes: ['file'], gives: ['number'] }, (c: LauncherContext, own) => {
  const { file, number } = own
  const { b } = c
  const size = 128
  const text = b.reserve(size + 1)
  const [at, byte, digit] = [b.temporary(), b.temporary(), b.temporary()]
  c.must('pread64', file, text, size, 0)
  b.move(number, 0)
  b.move(at, text)
  const isDigit = (yes: () => void, no: () => void) => {
    b.load(byte, 8, at)
    b.compute(digit, byte, 'sub', 0x30)
    b.compute(at, at, 'add', 1)
    b.when(digit, 'le', 9, yes, no)
  }
  b.loop(({ leave, again }) => {
    isDigit(leave, () => b.when(byte, 'ne', 0, again))
    leave()
  })
  b.compute(at, at, 'sub', 1)
  b.loop(({ leave }) => {
    isDigit(() => {
      b.compute(number, number, 'mul', 10)
      b.compute(number, number, 'add', digit)
    }, leave)
  })
})
