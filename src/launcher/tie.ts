/** What ends with the monitor, however that ends. */
import { pollsOf } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { variable } from '../assembly/variables.js'
import { PR } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { LauncherContext } from './launcherContext.js'

/** Of the monitor, which is in the network namespace that it made. */
export const monitorsPidfd = variable()

/** PDEATHSIG, and a look whether the monitor was dead before it could work. */
export const tieToMonitor = routine('tieToMonitor', {}, (c: LauncherContext) => {
  const { b } = c
  const now = b.bytes(new Uint8Array(16), 8)
  c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
  c.attempt('ppoll', pollsOf(b, [monitorsPidfd(b)]), 1, now, 0, 0)
  b.when(c.result, 'eq', 1, () => c.exit(125))
})
