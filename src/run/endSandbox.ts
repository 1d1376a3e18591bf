/** Ends a whole sandbox from outside, so that its monitor still tells what was used. */
import type { ChildProcess } from 'node:child_process'
import { statOf } from '../cgroup/processStat.js'
import { endSignal } from '../launcher/record.js'
import { readInit } from './status.js'
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
  const init = readInit(peekStatus(status))
  // A process that has ended stays its monitor's child until the monitor has waited for it.
  if (init === undefined || statOf(init)?.parent !== monitor.pid) return monitor.kill('SIGKILL')
  try {
    process.kill(init, endSignal)
  } catch {
    return monitor.kill('SIGKILL')
  }
  const timer = setTimeout(() => monitor.kill('SIGKILL'), patience).unref()
  monitor.once('exit', () => clearTimeout(timer))
  return true
}
