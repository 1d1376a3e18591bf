/** Signals to a sandbox by its name: to its payload, through the monitor, and the end of all. */
import { join } from 'node:path'
import { killAll } from '../cgroup/garbage.js'
import { type SignalName, signals } from '../kernel/signals.js'
import { systemFault } from '../kernel/systemError.js'
import { suspend } from '../launcher/record.js'
import { tellEnd } from '../run/endSandbox.js'
import { readStatusAt } from '../run/statusFile.js'
import { HostError, OptionError } from '../text/error.js'
import { didYouMean } from '../text/closest.js'
import { printable } from '../text/printable.js'
import { statusName } from './findSandbox.js'
import { isMonitor } from './processes.js'
import type { SandboxRecord } from './recordFile.js'
import type { RunningSandbox } from './runningSandbox.js'

/** The signal `TERM`, `SIGTERM` or `15`. @throws {OptionError} when there is none, or none that can be passed on */
export function signalNamed(text: string): SignalName {
  const upper = text.toUpperCase()
  const known = Object.keys(signals) as SignalName[]
  const name = known.find((one) => [one, one.slice(3), String(signals[one])].includes(upper))
  if (name !== undefined && name !== 'SIGCHLD') return name
  const names = Object.keys(signals).map((one) => one.slice(3))
  throw new OptionError(
    `"${printable(text)}" is no signal that a sandbox can be sent${didYouMean(upper.replace(/^SIG/, ''), names)}`,
    { hint: 'such as TERM, SIGHUP or 10; real-time signals and CHLD are not passed on' },
  )
}

/**
 * Sends a signal to the payload, as a run does: SIGINT and SIGQUIT reach its process group, SIGSTOP and SIGCONT all of the sandbox,
 * SIGKILL ends it.
 * @returns false when it has ended meanwhile
 */
export function signalSandbox(found: RunningSandbox, signal: SignalName): boolean {
  if (signal === 'SIGKILL') return endRunning(found)
  // What stops the monitor itself does not stop the sandbox.
  return kill(found.record, signal === 'SIGSTOP' ? suspend : signals[signal])
}

/**
 * Has pid 1 kill all others and end, so that the monitor tells what was used; kills the monitor where pid 1 cannot be told.
 * @returns false when it has ended meanwhile
 */
export function endRunning({ record, directory }: RunningSandbox): boolean {
  if (!isMonitor(record)) return false
  return tellEnd(record.monitor.pid, readStatusAt(join(directory, statusName))) || killRunning(record)
}

/** Kills the monitor, with which all others end, and what may be frozen in the cgroup. */
export function killRunning(record: SandboxRecord): boolean {
  const killed = kill(record, signals.SIGKILL)
  record.group?.paths.forEach(killAll)
  return killed
}

/** Node.js has no pidfd: that it is still the monitor is looked at just before. */
function kill(record: SandboxRecord, signal: number): boolean {
  if (!isMonitor(record)) return false
  try {
    return process.kill(record.monitor.pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return false
    throw new HostError(`the sandbox "${record.name}" cannot be sent a signal: ${systemFault(error)}`, {
      code,
      cause: error,
    })
  }
}
