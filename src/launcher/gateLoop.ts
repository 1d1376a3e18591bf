/** What a gate (gate.ts) and a house (house.ts) have in common: they wait for frames, for what their children write or read, and for signals. */
import { ifReady } from '../assembly/files.js'
import { WAIT } from '../kernel/flags.js'
import type { Address, Label, Slot } from '../machine/instruction.js'
import { feed, handOn } from './gateAnswers.js'
import { type Takes, takeRequest } from './gateRequest.js'
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
import type { LauncherContext } from './launcherContext.js'

/** What is done at each event. `behind`: where a child goes on; `over`: where all is ended. */
export interface Serving {
  /** First of all, for what a record tells belongs before what came with it. */
  readonly records?: () => void
  readonly signal: (over: Label) => void
  readonly requests: (behind: Label, over: Label) => Takes
  /** Ends what a row has started. */
  readonly kill: (at: Slot, pid: Slot) => void
}

/** Behind it is a child. */
export function serveRows(c: LauncherContext, { records, signal, requests, kill }: Serving): void {
  const { b } = c
  const [at, polls] = b.temporaries(2)
  const [behind, over] = [b.label(), b.label()]
  b.loop(() => {
    c.attempt('ppoll', pollsOf(c), pollCount(c), 0, 0, 0)
    c.onFailure(over)
    if (records !== undefined) ifReady(b, pollsOf(c), pollsOfGate.records, records)
    eachRow(c, at, polls, () => {
      for (const stream of streams) ifReady(b, polls, stream, () => handOn(c, at, polls, stream))
      ifReady(b, polls, pollsOfRow.input, () => feed(c, at, polls))
    })
    ifReady(b, pollsOf(c), pollsOfGate.signals, () => signal(over))
    ifReady(b, pollsOf(c), pollsOfGate.control, () => takeRequest(c, over, requests(behind, over)))
  })
  b.place(over)
  end(c, kill)
  b.place(behind)
}

/** The last of the preparations that may fail: from here on the status file is that of the children, who write into this pipe. */
export function giveStatusFile(c: LauncherContext, writing: Slot, signals: Slot): void {
  const { control } = c.plan.start.serves!
  c.must('dup3', writing, c.plan.start.statusFd!, c.open.CLOEXEC)
  c.attempt('close', writing)
  prepareTables(c)
  storeFile(c, pollsOf(c), pollsOfGate.control, control)
  storeFile(c, pollsOf(c), pollsOfGate.signals, signals)
}

interface Reaping {
  /** Where wait4(2) leaves what the child has used; 0: nowhere. */
  readonly usage: Address | 0
  /** What the child wrote before it ended is taken first. */
  readonly first: () => void
  readonly ended: (at: Slot, polls: Slot, status: Slot) => void
}

/** Reaps all that have ended. The row of a child is free behind that. */
export function reapRows(c: LauncherContext, { usage, first, ended }: Reaping): void {
  const { b } = c
  const [pid, code] = b.temporaries(2)
  const status = b.reserve(8)
  b.loop(({ leave }) => {
    b.move(pid, c.attempt('wait4', -1, status, WAIT.NOHANG, usage))
    c.whenFailed(leave)
    b.when(pid, 'eq', 0, leave)
    first()
    b.load(code, 32, status)
    withRow(c, 'pid', pid, (at, polls) => {
      ended(at, polls, code)
      b.store(32, at, row.pid, 0)
    })
  })
}

/** Ends all that it has started, and reaps it. */
function end(c: LauncherContext, kill: Serving['kill']): void {
  const { b } = c
  const [at, polls, pid] = b.temporaries(3)
  eachRow(c, at, polls, () => {
    b.load(pid, 32, at, row.pid)
    b.when(pid, 'ne', 0, () => kill(at, pid))
  })
  b.loop(({ leave }) => {
    c.attempt('wait4', -1, 0, 0, 0)
    c.whenFailed(leave)
  })
  c.exit(0)
}
