/**
 * A house: a process that makes sandboxes ahead, its slots, each for one command that Node.js will ask for. So Node.js makes no process for
 * one, and the sandbox is there before the command is known.
 *
 * How this file thinks. A house is a gate (gate.ts), with the same frames and the same table, but each child is the monitor of a whole
 * sandbox, made by the very code of a run: it goes on behind the step. It makes init as a child of the house, tells its pid and ends; init
 * goes on behind that (monitor.ts). Its payload stops short of executing (takeCommand.ts), says so by a
 * record, and reads its command from a socket that only the two have. Records of all slots come through one pipe, each with the number of its slot. By that
 * of the payload's end the house hands on what there is of output, and tells Node.js; the sandbox ends behind that, and then its row
 * is free. No slot gets a second command: the socket is closed behind the first.
 *
 * When Node.js ends, so does the house, and it kills what it has made; when the house is killed, the kernel kills each init. With init ends
 * all in the sandbox. What such a sandbox leaves to be reaped the house gets.
 */
import { noFile } from '../assembly/files.js'
import { own, variables } from '../assembly/variables.js'
import { AF, F, MSG, SOCK } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { Address, Label, Operand, Slot } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import { requireAllClosedBut } from './descriptorCode.js'
import { frame, run, stdin } from './frame.js'
import { closeFile, tell, tellEnded, tellUnbegun, usageOf } from './gateAnswers.js'
import { giveStatusFile, reapRows, serveRows } from './gateLoop.js'
import type { Request } from './gateRequest.js'
import { pollsOf, pollsOfGate, pollsOfRow, row, storeFile, waitFor, withRow } from './gateTable.js'
import type { LauncherContext } from './launcherContext.js'
import { monitorsPidfd, tieToMonitor } from './tie.js'
import { adoptOrphans } from './orphans.js'
import { record } from './record.js'
import { allSignals, maskSize } from './signalMask.js'
import { slotFiles } from './takeCommand.js'

/** A signalfd(2), and the end of the pipe of records. */
const files = variables('signals', 'records')

export const houseCode = {
  /** Behind it is the monitor of a slot. */
  house(c: LauncherContext, _: Step<'house'>): void {
    prepare(c)
    serveRows(c, {
      records: () => takeRecords(c),
      signal: () => takeSignal(c),
      requests: (behind, over) => ({
        make: () => makeSlot(c, behind, over),
        file: (request) => handDown(c, request),
        limit: (request) => handDown(c, request),
        run: (request) => handDown(c, request, true),
      }),
      kill: (at) => killSlot(c, at),
    })
  },
}

function prepare(c: LauncherContext): void {
  const { b } = c
  const pair = b.reserve(8)
  const writing = b.temporary()
  const { signals: signalFile, records } = files(b)
  adoptOrphans(c)
  b.move(monitorsPidfd(b), c.must('pidfd_open', c.attempt('getpid'), 0))
  b.move(signalFile, c.must('signalfd4', -1, allSignals(c), maskSize, c.open.CLOEXEC))
  c.must('pipe2', pair, c.open.CLOEXEC)
  b.load(records, 32, pair, 0)
  b.load(writing, 32, pair, 4)
  c.must('fcntl', records, F.SETFL, c.open.NONBLOCK)
  giveStatusFile(c, writing, signalFile)
  storeFile(c, pollsOf(c), pollsOfGate.records, records)
}

/** What is made for a slot: pipes, and a pair of sockets. */
const pairs = own(({ b }: LauncherContext) => ({
  input: b.reserve(8),
  output: b.reserve(8),
  error: b.reserve(8),
  words: b.reserve(8),
}))
type Pair = keyof ReturnType<typeof pairs>
const [reads, writes] = [0, 4]
/** The house's end of each, and the slot's. */
const houseEnds = { input: writes, output: reads, error: reads, words: 0 } as const
const slotEnds = { input: reads, output: writes, error: writes, words: 4 } as const
const names = Object.keys(houseEnds) as Pair[]

function makeSlot(c: LauncherContext, behind: Label, over: Label): void {
  const { b, plan } = c
  const [child, file] = b.temporaries(2)
  const [failed, done] = [b.label(), b.label()]
  const load = (name: Pair, end: number) => b.load(file, 32, pairs(c)[name], end)
  const close = (name: Pair, end: number) => {
    load(name, end)
    c.attempt('close', file)
  }
  // Of those that are not made there is nothing to close.
  for (const name of names) b.store(64, pairs(c)[name], 0, -1)
  const may = (...[call, ...words]: Parameters<LauncherContext['attempt']>) => {
    c.attempt(call, ...words)
    c.onFailure(failed)
  }
  for (const name of ['input', 'output', 'error'] as const) {
    may('pipe2', pairs(c)[name], c.open.CLOEXEC)
    load(name, houseEnds[name])
    may('fcntl', file, F.SETFL, c.open.NONBLOCK)
    load(name, slotEnds[name])
    // What /dev/stdout opens anew is a file of the user who made the pipe.
    if (plan.start.serves!.foreign) may('fchmod', file, 0o666)
  }
  may('socketpair', AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC, 0, pairs(c).words)
  withRow(c, 'pid', 0, (at, polls) => {
    may('clone', signals.SIGCHLD, 0, 0, 0, 0)
    b.move(child, c.result)
    b.when(child, 'eq', 0, () => {
      beginSlot(c, load, file)
      b.jump(behind)
    })
    b.store(32, at, row.id, c.request)
    b.store(32, at, row.pid, child)
    for (const word of [row.ending, row.failed, row.told]) b.store(32, at, word, 0)
    b.store(64, at, row.left, 0)
    for (const name of ['input', 'output', 'error'] as const) {
      load(name, houseEnds[name])
      storeFile(c, polls, pollsOfRow[name], file)
    }
    // Until there is something to write.
    waitFor(c, polls, pollsOfRow.input, false)
    load('words', houseEnds.words)
    b.store(32, at, row.words, file)
    for (const name of names) close(name, slotEnds[name])
    b.jump(done)
  })
  // More than it takes.
  b.jump(over)
  b.place(failed)
  tellUnbegun(c, c.request)
  for (const name of names) {
    close(name, reads)
    close(name, writes)
  }
  b.place(done)
}

/** In the child. */
function beginSlot(c: LauncherContext, load: (name: Pair, end: number) => void, file: Slot): void {
  const { b } = c
  tieToMonitor(c, {})
  load('output', slotEnds.output)
  c.must('dup3', file, 1, 0)
  load('error', slotEnds.error)
  c.must('dup3', file, 2, 0)
  const { words, input, inputEnd } = slotFiles(b)
  for (const [slot, name, end] of [
    [words, 'words', slotEnds.words],
    [input, 'input', slotEnds.input],
    [inputEnd, 'input', houseEnds.input],
  ] as const)
    b.load(slot, 32, pairs(c)[name], end)
  requireAllClosedBut(c, [c.plan.start.statusFd!, monitorsPidfd(b), words, input, inputEnd])
}

/** Gives a slot a frame as it is. The last one is that of its command. There is always room: Node.js waits for an answer before it sends much. */
function handDown(c: LauncherContext, { id, head, body, length }: Request, last = false): void {
  const { b } = c
  const [file, kind] = b.temporaries(2)
  withRow(c, 'id', id, (at, polls) => {
    const [lost, done] = [b.label(), b.label()]
    b.load(file, 32, at, row.words)
    const give = (from: Address, size: Operand) => {
      c.attempt('sendto', file, from, size, MSG.DONTWAIT | MSG.NOSIGNAL, 0, 0)
      b.branch(c.result, 'ne', size, lost)
    }
    give(head, frame.size)
    give(body, length)
    if (last) {
      closeWords(c, at)
      b.load(kind, 32, body, run.stdin)
      // All that there is the slot itself writes there.
      b.when(kind, 'ne', stdin.open, () => closeFile(c, polls, pollsOfRow.input))
    }
    b.jump(done)
    b.place(lost)
    killSlot(c, at)
    b.place(done)
  })
}

function closeWords(c: LauncherContext, at: Slot): void {
  const { b } = c
  const file = b.temporary()
  b.load(file, 32, at, row.words)
  b.when(file, 'ne', noFile, () => c.attempt('close', file))
  b.store(32, at, row.words, noFile)
}

function killSlot(c: LauncherContext, at: Slot): void {
  const { b } = c
  const pid = b.temporary()
  b.load(pid, 32, at, row.pid)
  c.attempt('kill', pid, signals.SIGKILL)
}

function takeRecords(c: LauncherContext): void {
  const { b } = c
  const heard = b.reserve(record.size, 16)
  const [kind, id, value] = b.temporaries(3)
  b.loop(({ leave }) => {
    c.attempt('read', files(b).records, heard, record.size)
    b.when(c.result, 'ne', record.size, leave)
    b.load(kind, 64, heard)
    b.load(id, 32, heard, record.request)
    withRow(c, 'id', id, (at, polls) => {
      const on = (one: number, then: () => void) => b.when(kind, 'eq', one, then)
      on(record.started, () => {
        b.load(value, 32, heard, 8)
        b.store(32, at, row.pid, value)
      })
      on(record.running, () => tell(c, at, 'ready'))
      on(record.written, () => tell(c, at, 'written'))
      on(record.failed, () => {
        b.load(value, 32, at, row.failed)
        // The first failure is the cause of any other.
        b.when(value, 'eq', 0, () => {
          b.store(32, at, row.failed, 1)
          for (const [index, word] of [row.step, row.errno].entries()) {
            b.load(value, 64, heard, 8 * (1 + index))
            b.store(64, at, word, value)
          }
        })
      })
      on(record.payload, () => {
        b.load(value, 64, heard, 16)
        b.store(32, at, row.ending, value)
        copyUsage(c, heard)
        b.load(value, 64, heard, 8)
        tellOnce(c, at, polls, value)
      })
    })
  })
}

/** @param heard a record; undefined: nothing is known */
function copyUsage(c: LauncherContext, heard?: Address): void {
  const { b } = c
  const value = b.temporary()
  b.move(value, 0)
  for (let at = 32; at < record.size; at += 8) {
    if (heard !== undefined) b.load(value, 64, heard, at)
    b.store(64, usageOf(c), at - 32, value)
  }
}

function tellOnce(c: LauncherContext, at: Slot, polls: Slot, status: Slot): void {
  const { b } = c
  const told = b.temporary()
  b.load(told, 32, at, row.told)
  b.when(told, 'eq', 0, () => {
    b.store(32, at, row.told, 1)
    tellEnded(c, at, polls, status)
  })
}

function takeSignal(c: LauncherContext): void {
  const { b } = c
  const size = 128
  const info = b.reserve(size)
  const told = b.temporary()
  c.attempt('read', files(b).signals, info, size)
  reapRows(c, {
    usage: 0,
    first: () => takeRecords(c),
    ended(at, polls, status) {
      b.load(told, 32, at, row.told)
      b.when(told, 'eq', 0, () => {
        b.store(32, at, row.ending, 1)
        copyUsage(c)
      })
      tellOnce(c, at, polls, status)
      closeWords(c, at)
      tell(c, at, 'gone')
    },
  })
}
