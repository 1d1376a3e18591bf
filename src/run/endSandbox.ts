/** Ends a whole sandbox from outside, so that its monitor still tells what was used. */
import type { ChildProcess } from 'node:child_process'
import { statOf } from '../cgroup/processStat.js'
import { endSignal } from '../launcher/record.js'
import { monitorEnds, readInit } from './status.js'
import { peekStatus } from './statusFile.js'

/** How long the monitor may take to report the end of pid 1, in milliseconds, before it is killed as well. */
const patience = 1000

/**
 * Has pid 1 end all, which the monitor then reports, usage included. The monitor itself is killed, which ends pid 1 too, when
 * pid 1 is not known yet or does not know that signal, or when no report comes.
 * @returns Whether a signal was sent.
 */
export function endSandbox(monitor: ChildProcess, status: number): boolean {
  if (monitor.pid === undefined || monitor.exitCode !== null || monitor.signalCode !== null) return false
  const records = peekStatus(status)
  const init = readInit(records)
  // A process that has ended stays its monitor's child until the monitor has waited for it.
  const taker = monitorEnds(records) ? monitor.pid : statOf(init ?? 0)?.parent === monitor.pid ? init : undefined
  if (taker === undefined) return monitor.kill('SIGKILL')
  try {
    process.kill(taker, endSignal)
  } catch {
    return monitor.kill('SIGKILL')
  }
  const timer = setTimeout(() => monitor.kill('SIGKILL'), patience).unref()
  monitor.once('exit', () => clearTimeout(timer))
  return true
}
