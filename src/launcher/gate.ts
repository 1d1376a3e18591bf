/**
 * A gate: a process that has entered a living sandbox, stays outside of its pid namespace, and starts a command there for each that
 * Node.js asks for. So the way in is gone once, and Node.js makes no process: its own fork is what takes longest of a short run.
 *
 * How this file thinks. The gate is the child of an entrant's monitor (orphans.ts): when Node.js ends, or the monitor does, the gate
 * ends with all that it runs; when the gate is killed, so are its children, which the monitor reaps. It waits in one ppoll(2) for three
 * things: a frame (gateRequest.ts), what a command writes, or that one reads (gateAnswers.ts), and a signal, that a child has ended or
 * that all is over.
 * The table of its children is in gateTable.ts. A child goes on behind the step as what enters does, and tells a failure by a record in a
 * pipe, which all have in the place of the status file.
 *
 * A child shares no memory with the gate, and is not waited for until it executes, as by vfork(2): another payload could stop it in the
 * meantime, for it is in the same pid namespace and of the same user, and with it all others would wait.
 */
import { variables } from '../assembly/variables.js'
import { signals } from '../kernel/signals.js'
import type { Label } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import { requireAllClosedBut } from './descriptorCode.js'
import { noteFailures, tellEnded, usageOf } from './gateAnswers.js'
import { giveStatusFile, reapRows, serveRows } from './gateLoop.js'
import { groupFiles, runCommand } from './gateRun.js'
import { standForMonitor } from './init.js'
import type { LauncherContext } from './launcherContext.js'
import { monitorsPidfd, tieToMonitor } from './tie.js'
import { killCommand } from './orphans.js'
import { endSignal, parentEnded } from './record.js'
import { allSignals, leaveGroup, maskSize } from './signalMask.js'

/** A signalfd(2), and the end of a pipe in which children tell that they have failed. */
const files = variables('signals', 'failures')

export const gateCode = {
  /** Behind it is a child. */
  serve(c: LauncherContext, _: Step<'serve'>): void {
    prepare(c)
    serveRows(c, {
      signal: (over) => takeSignal(c, over),
      requests: (behind, over) => ({ run: ({ body, length }) => runCommand(c, body, length, behind, over) }),
      kill: (_, pid) => killCommand(c, pid),
    })
  },
}

function prepare(c: LauncherContext): void {
  const { b, plan } = c
  const statusFd = plan.start.statusFd!
  const { control } = plan.start.serves!
  const pair = b.reserve(8)
  const writing = b.temporary()
  const { signals: signalFile, failures } = files(b)
  // What changes credentials has cleared it, and the monitor may have ended since.
  tieToMonitor(c, {})
  standForMonitor(c)
  leaveGroup(c)
  b.move(signalFile, c.must('signalfd4', -1, allSignals(c), maskSize, c.open.CLOEXEC))
  c.must('pipe2', pair, c.open.CLOEXEC | c.open.NONBLOCK)
  b.load(failures, 32, pair, 0)
  b.load(writing, 32, pair, 4)
  requireAllClosedBut(c, [statusFd, control, signalFile, failures, writing, monitorsPidfd(b), ...groupFiles(c)])
  giveStatusFile(c, writing, signalFile)
}

function takeSignal(c: LauncherContext, over: Label): void {
  const { b } = c
  const { signals: signalFile, failures } = files(b)
  const size = 128
  const info = b.reserve(size)
  const signal = b.temporary()
  c.attempt('read', signalFile, info, size)
  b.load(signal, 32, info)
  for (const last of [parentEnded, endSignal]) b.branch(signal, 'eq', last, over)
  b.when(signal, 'eq', signals.SIGCHLD, () =>
    reapRows(c, {
      usage: usageOf(c),
      first: () => noteFailures(c, failures),
      ended: (at, polls, status) => tellEnded(c, at, polls, status),
    }),
  )
}
