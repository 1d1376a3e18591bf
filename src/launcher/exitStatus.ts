/** How a process of ours ends as another did. */
import type { Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'

/** Exits as wait status `code` says. */
export function exitAs(c: LauncherContext, code: Slot): void {
  c.exit(toExitCode(c, code))
}

/** Of a wait status: the exit status, or 128 + the signal. */
export function toExitCode(c: LauncherContext, code: Slot): Slot {
  const { b } = c
  const signal = b.temporary()
  const status = b.temporary()
  b.compute(signal, code, 'and', 0x7f)
  b.compute(status, code, 'shr', 8)
  b.compute(status, status, 'and', 0xff)
  b.when(signal, 'ne', 0, () => b.compute(status, signal, 'add', 128))
  return status
}
