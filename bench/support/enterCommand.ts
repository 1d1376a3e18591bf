import { targetOf } from '../../src/live/enterSandbox.js'
import { identityOf } from '../../src/live/processes.js'
import { programHandles } from '../../src/plan/handles.js'
import type { Command } from './race.js'

/** What starts a program in an open sandbox without Node: its monitor's own executable, as `vial exec` starts it. */
export const enterCommand = (monitor: number, program: string): Command => [
  `/proc/${monitor}/fd/${programHandles.alone}`,
  ...targetOf(identityOf(monitor)!),
  '/',
  program,
]
