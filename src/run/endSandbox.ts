/** Ends a whole sandbox from outside, so that its monitor still tells what was used. */
import type { ChildProcess } from 'node:child_process'
import { statOf } from '../cgroup/processStat.js'
import { endSignal } from '../launcher/record.js'
import { readInit } from './status.js'
import { peekStatus } from './statusFile.js'

/** How long the monitor may take to report the end of pid 1, in milliseconds, before it is killed as well. */
export const patience = 1000

/**
 * Has pid 1 end all, which the monitor then reports, usage included. The monitor itself is killed, which ends pid 1 too, when
 * pid 1 is not known yet or does not know that signal, or when no report comes.
 * @returns Whether a signal was sent.
 */
export function endSandbox(monitor: ChildProcess, status: number): boolean {
  if (monitor.pid === undefined || isOver(monitor)) return false
  if (!tellEnd(monitor.pid, peekStatus(status))) return monitor.kill('SIGKILL')
  const timer = setTimeout(() => monitor.kill('SIGKILL'), patience).unref()
  monitor.once('exit', () => clearTimeout(timer))
  return true
}

/** Whether Node.js has seen its end. */
export const isOver = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

/**
 * Has pid 1 kill all others and end; of what has entered a sandbox, the process that waits for the command ends that.
 * @param records of the sandbox's status file
 * @param signal SIGKILL: only that process is ended, whatever it does
 * @returns whether it was told: pid 1 may be unknown yet, be gone, or not know the signal
 */
export function tellEnd(monitor: number, records: Buffer, signal: number | 'SIGKILL' = endSignal): boolean {
  const init = readInit(records)
  // A process that has ended stays its monitor's child until the monitor has waited for it.
  if (init === undefined || statOf(init)?.parent !== monitor) return false
  try {
    return process.kill(init, signal)
  } catch {
    return false
  }
}
