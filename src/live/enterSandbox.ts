/** The program that a living sandbox's monitor holds for what enters it, as far as a start needs it. */
import { closeSync, openSync } from 'node:fs'
import { O_PATH, type OpenVial } from '../cache/executable.js'
import { isShortage, shortageError } from '../kernel/shortage.js'
import { systemFault } from '../kernel/systemError.js'
import { programHandles } from '../plan/handles.js'
import { payloadEnvironment } from '../plan/payloadEnvironment.js'
import type { Startable } from '../run/spawn.js'
import { perRunOf } from '../run/startEnvironment.js'
import { HostError } from '../text/error.js'
import { isMonitor } from './processes.js'
import { reachGroup } from './reachGroup.js'
import type { SandboxRecord } from './recordFile.js'

/** The first arguments of what enters: launcher/entering.ts. */
export const targetOf = ({ pid, start }: SandboxRecord['monitor']): readonly string[] => [`/proc/${pid}`, start]

/** Whether a command line is that of a process which is about to enter. */
export const isEntrant = (command: readonly string[], monitor: SandboxRecord['monitor']): boolean =>
  targetOf(monitor).every((word, index) => command[index + 1] === word)

/** Nothing is compiled: the monitor's program is that of the sandbox, whatever vial this is. */
export function entrantOf(record: SandboxRecord, ignored: bigint): Startable {
  const { monitor, policy, base } = record
  reachGroup(record)
  return {
    open: () => openProgram(record),
    ownPids: true,
    limiter: undefined,
    ignored,
    target: targetOf(monitor),
    perRun: perRunOf(policy, payloadEnvironment(policy)),
    async steps() {
      const [{ compile }, { groupOf }] = await Promise.all([
        import('../compile/compile.js'),
        import('./recordedGroup.js'),
      ])
      const group = groupOf(record)
      const options = { base, enters: true as const, descriptors: { status: 1 }, outputIsWatched: true }
      return compile(policy, group === undefined ? options : { ...options, group }).steps
    },
  }
}

function openProgram(record: SandboxRecord): OpenVial {
  const path = `/proc/${record.monitor.pid}/fd/${programHandles.reporting}`
  let fd: number
  try {
    // No process may read it: handOut.ts in launcher.
    fd = openSync(path, O_PATH)
  } catch (error) {
    if (isShortage(error)) throw shortageError(error)
    throw isMonitor(record) ? closed(record, error) : ended(record, error)
  }
  // Of a process that has the pid by now it would be another file.
  if (isMonitor(record)) return { fd, path }
  closeSync(fd)
  throw ended(record)
}

/** Its descriptors are for those whom ptrace(2) would let look at it: not for a caller in a user namespace beside its own. */
const closed = ({ name }: SandboxRecord, cause: unknown) =>
  new HostError(`the sandbox "${name}" cannot be entered: ${systemFault(cause)}`, {
    cause,
    code: (cause as NodeJS.ErrnoException).code,
    hint: 'it was started in another user namespace, such as that of a container or of unshare(1): call vial there',
  })

const ended = ({ name }: SandboxRecord, cause?: unknown) =>
  new HostError(`the sandbox "${name}" has ended`, { cause, hint: `see "vial ps"; start it again with "vial start"` })
