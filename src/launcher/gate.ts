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
import { ifReady } from '../assembly/files.js'
import { variables } from '../assembly/variables.js'
import { WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { Label } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import { requireAllClosedBut } from './descriptorCode.js'
import { feed, handOn, noteFailures, tellEnded, usageOf } from './gateAnswers.js'
import { takeRequest } from './gateRequest.js'
import { groupFiles, runCommand } from './gateRun.js'
import {
  eachRow,
  pollCount,
  pollsOf,
  pollsOfGate,
  pollsOfRow,
  prepareTables,
  row,
  storeFile,
  streams,
  withRow,
} from './gateTable.js'
import { standForMonitor, tieToMonitor } from './init.js'
import type { LauncherContext } from './launcherContext.js'
import { monitorsPidfd } from './networkCode.js'
import { killCommand } from './orphans.js'
import { endSignal, parentEnded } from './record.js'
import { allSignals, leaveGroup, maskSize } from './signalMask.js'

/** A signalfd(2), and the end of a pipe in which children tell that they have failed. */
const files = variables('signals', 'failures')

export const gateCode = {
  /** Behind it is a child. */
  serve(c: LauncherContext, _: Step<'serve'>): void {
    const { b } = c
    const [at, polls] = b.temporaries(2)
    const [behind, over] = [b.label(), b.label()]
    prepare(c)
    b.loop(() => {
      c.attempt('ppoll', pollsOf(c), pollCount(c), 0, 0, 0)
      c.onFailure(over)
      eachRow(c, at, polls, () => {
        for (const stream of streams) ifReady(b, polls, stream, () => handOn(c, at, polls, stream))
        ifReady(b, polls, pollsOfRow.input, () => feed(c, at, polls))
      })
      ifReady(b, pollsOf(c), pollsOfGate.signals, () => takeSignal(c, over))
      ifReady(b, pollsOf(c), pollsOfGate.control, () =>
        takeRequest(c, over, {
          run: ({ body, length }) => runCommand(c, body, length, behind, over),
        }),
      )
    })
    b.place(over)
    end(c)
    b.place(behind)
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
  // The last that may fail: from here on the status file is that of its children.
  c.must('dup3', writing, statusFd, c.open.CLOEXEC)
  c.attempt('close', writing)
  prepareTables(c)
  storeFile(c, pollsOf(c), pollsOfGate.control, control)
  storeFile(c, pollsOf(c), pollsOfGate.signals, signalFile)
}

function takeSignal(c: LauncherContext, over: Label): void {
  const { b } = c
  const { signals: signalFile, failures } = files(b)
  const size = 128
  const info = b.reserve(size)
  const [signal, pid, code] = b.temporaries(3)
  const status = b.reserve(8)
  c.attempt('read', signalFile, info, size)
  b.load(signal, 32, info)
  for (const last of [parentEnded, endSignal]) b.branch(signal, 'eq', last, over)
  b.when(signal, 'eq', signals.SIGCHLD, () => {
    b.loop(({ leave }) => {
      b.move(pid, c.attempt('wait4', -1, status, WAIT.NOHANG, usageOf(c)))
      c.whenFailed(leave)
      b.when(pid, 'eq', 0, leave)
      // It has written before it ended.
      noteFailures(c, failures)
      b.load(code, 32, status)
      withRow(c, 'pid', pid, (at, polls) => {
        tellEnded(c, at, polls, code)
        b.store(32, at, row.pid, 0)
      })
    })
  })
}

/** Ends all that it runs, and reaps it. */
function end(c: LauncherContext): void {
  const { b } = c
  const [at, polls, pid] = b.temporaries(3)
  eachRow(c, at, polls, () => {
    b.load(pid, 32, at, row.pid)
    b.when(pid, 'ne', 0, () => killCommand(c, pid))
  })
  b.loop(({ leave }) => {
    c.attempt('wait4', -1, 0, 0, 0)
    c.whenFailed(leave)
  })
  c.exit(0)
}
