/**
 * An init without a payload: it waits, and reaps what others leave behind. At SIGTERM, or at another signal that asks a program to end,
 * all inside get SIGTERM, and init ends when no process is left. All signals are blocked, so that pid 1 gets them too: sig_ignored() in
 * kernel/signal.c.
 */
import { PR, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import type { Slot } from '../machine/instruction.js'
import { exitAs } from './exitStatus.js'
import { tellRunning, tieInit } from './init.js'
import type { LauncherContext } from './launcherContext.js'
import { endSignal, record, suspend } from './record.js'
import { releaseFds } from './relayingMonitor.js'
import { allSignals, maskSize, whenFromOutside } from './signalMask.js'

const asksToEnd = [signals.SIGTERM, signals.SIGINT, signals.SIGQUIT, signals.SIGHUP]
/** signal(7). */
const lastStandard = 31
/** How often it is looked whether a process is left. */
const pause = { tv_sec: 0n, tv_nsec: 10_000_000n }

export function holdOpen(c: LauncherContext): void {
  const { b } = c
  const [signal, ending, code, killed] = b.temporaries(4)
  const status = b.reserve(8)
  const info = b.reserve(128, 16)
  c.begin({ what: 'hold the sandbox open', why: 'others enter it, and it ends at SIGTERM' })
  tieInit(c)
  c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  tellRunning(c)
  releaseFds(c)
  b.move(ending, 0)
  b.move(code, 0)
  b.move(killed, 0)
  const end = (by: number) => {
    b.move(ending, 1)
    c.attempt('kill', -1, by)
  }
  b.loop(({ again }) => {
    b.when(
      ending,
      'eq',
      0,
      () => c.attempt('rt_sigtimedwait', allSignals(c), info, 0, maskSize),
      () => {
        c.attempt('kill', -1, 0)
        c.whenError('ESRCH', () => endAs(c, code, killed))
        c.attempt('rt_sigtimedwait', allSignals(c), info, b.bytes(pack(structs.timespec, pause), 8), maskSize)
      },
    )
    b.move(signal, c.result)
    const on = (one: number, then: () => void) =>
      b.when(signal, 'eq', one, () => {
        then()
        again()
      })
    on(signals.SIGCHLD, () =>
      b.loop(({ leave, again: reapNext }) => {
        c.attempt('wait4', -1, status, WAIT.NOHANG, 0)
        c.whenFailed(leave)
        b.when(c.result, 'ne', 0, reapNext)
        leave()
      }),
    )
    for (const one of asksToEnd) on(one, () => end(signals.SIGTERM))
    on(endSignal, () =>
      whenFromOutside(c, info, () => {
        b.move(code, signals.SIGKILL)
        b.move(killed, 1)
        end(signals.SIGKILL)
      }),
    )
    on(suspend, () => whenFromOutside(c, info, () => c.attempt('kill', -1, signals.SIGSTOP)))
    // Any other is for all inside. Behind these are real-time signals, which are vial's own.
    b.when(signal, 'lt', lastStandard + 1, () => c.attempt('kill', -1, signal))
  })
}

function endAs(c: LauncherContext, code: Slot, killed: Slot): void {
  if (c.plan.start.statusFd !== undefined) c.report(record.payload, code, killed)
  exitAs(c, code)
}
