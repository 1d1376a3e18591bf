/** What a gate tells Node.js of the commands that it runs: what they write, and how they end. */
import { noFile, writeAllBy } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { own } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { frame, frameType, most } from './frame.js'
import { loadFile, pollsOfRow, row, storeFile, type Stream, streams, waitFor, withRow } from './gateTable.js'
import type { LauncherContext } from './launcherContext.js'
import { record } from './record.js'

const at = (address: Address, offset: number): Address => ({ ...address, offset: address.offset + offset })

/**
 * An `ended`: room for three records behind its head. `failed` may be left out: the head is then where it would have ended, so that what
 * follows lies behind it all the same.
 */
const ended = own(({ b }: LauncherContext) => {
  const whole = b.reserve(frame.size + 3 * record.size)
  const [failed, payload, last] = [0, 1, 2].map((index) => at(whole, frame.size + index * record.size))
  return { failed: failed!, payload: payload!, last: last!, long: whole, short: at(whole, record.size) }
})
const output = own(({ b }: LauncherContext) => b.reserve(frame.size + most.piece))

/** Where wait4(2) leaves what a command used. */
export const usageOf = (c: LauncherContext) => at(ended(c).last, 32)

/** Without Node.js there is no process to tell: it ends in the next turn, at the end of its stream. */
const send = routine('sendFrame', { takes: ['from', 'left'] }, (c: LauncherContext, { from, left }) => {
  const control = c.plan.start.serves!.control
  writeAllBy(c, { from, left }, () => {
    c.attempt('write', control, from, left)
    c.whenFailed(() => c.b.return())
  })
})

function head({ b }: LauncherContext, to: Operand, type: number, length: Operand, id: Operand, detail: Operand): void {
  b.store(32, to, frame.length, length)
  b.store(32, to, frame.type, type)
  b.store(32, to, frame.id, id)
  b.store(32, to, frame.detail, detail)
}

/** Hands on what can be read now, at most once; at its end the file is closed. Leaves in `result` what read(2) gave. */
const readOnce = routine(
  'handOn',
  { takes: ['id', 'polls', 'stream', 'file'], gives: ['size'] },
  (c: LauncherContext, { id, stream, file, size }) => {
    const { b } = c
    const buffer = output(c)
    b.move(size, c.attempt('read', file, at(buffer, frame.size), most.piece))
    c.whenFailed(() => b.return())
    b.when(size, 'eq', 0, () => b.return())
    head(c, buffer, frameType.output, size, id, stream)
    const left = b.temporary()
    b.compute(left, size, 'add', frame.size)
    send(c, { from: buffer, left })
  },
)

/** What a stream of a row has now. */
export function handOn(c: LauncherContext, command: Slot, polls: Slot, stream: Stream): Slot {
  const { b } = c
  const [id, file] = b.temporaries(2)
  b.load(id, 32, command, row.id)
  loadFile(c, file, polls, stream)
  const { size } = readOnce(c, { id, polls, stream: stream + 1, file })
  // EAGAIN: another has read it, and there are writers.
  b.when(size, 'ne', -errno.EAGAIN, () => b.when(size, 'gt', most.piece, () => closeFile(c, polls, stream)))
  b.when(size, 'eq', 0, () => closeFile(c, polls, stream))
  return size
}

/** Closes one of the files of a row, if there is one. */
export function closeFile(c: LauncherContext, polls: Slot, index: number): void {
  const { b } = c
  const file = b.temporary()
  loadFile(c, file, polls, index)
  b.when(file, 'ne', noFile, () => c.attempt('close', file))
  storeFile(c, polls, index, noFile)
}

/** Writes what input there is into the command's pipe, as much as that has room for; the rest waits. Tells when all was taken. */
export function feed(c: LauncherContext, command: Slot, polls: Slot): void {
  const { b } = c
  const [file, next, left] = b.temporaries(3)
  const [over, waits] = [b.label(), b.label()]
  loadFile(c, file, polls, pollsOfRow.input)
  b.load(next, 64, command, row.next)
  b.load(left, 64, command, row.left)
  c.attempt('write', file, next, left)
  c.whenError('EAGAIN', () => b.jump(waits))
  c.whenFailed(() => {
    closeFile(c, polls, pollsOfRow.input)
    tellTaken(c, command, 1)
    b.jump(over)
  })
  b.compute(next, next, 'add', c.result)
  b.compute(left, left, 'sub', c.result)
  b.store(64, command, row.next, next)
  b.store(64, command, row.left, left)
  b.when(left, 'eq', 0, () => {
    waitFor(c, polls, pollsOfRow.input, false)
    tellTaken(c, command, 0)
    b.jump(over)
  })
  b.place(waits)
  waitFor(c, polls, pollsOfRow.input, true)
  b.place(over)
}

function tellTaken(c: LauncherContext, command: Slot, detail: number): void {
  c.b.store(64, command, row.left, 0)
  tell(c, command, 'taken', detail)
}

/** A frame about a row that has no body. */
export function tell(c: LauncherContext, command: Slot, type: keyof typeof frameType, detail = 0): void {
  const { b } = c
  const from = b.reserve(frame.size)
  const id = b.temporary()
  b.load(id, 32, command, row.id)
  head(c, from, frameType[type], 0, id, detail)
  send(c, { from, left: frame.size })
}

/** pipe(7): by default the most that a pipe can hold. What is written meanwhile, by one in the background, is no output of the command. */
const largestPipe = 2 ** 20

/** A command has ended with a wait status, and what it used is in {@link usageOf}. */
export function tellEnded(c: LauncherContext, command: Slot, polls: Slot, status: Operand): void {
  const { b } = c
  const [left, file, failed, value] = b.temporaries(4)
  for (const stream of streams) {
    b.move(left, largestPipe)
    b.loop(({ leave }) => {
      loadFile(c, file, polls, stream)
      b.when(file, 'eq', noFile, leave)
      const size = handOn(c, command, polls, stream)
      b.when(size, 'gt', left, leave)
      b.compute(left, left, 'sub', size)
    })
    closeFile(c, polls, stream)
  }
  closeFile(c, polls, pollsOfRow.input)
  const { failed: why, payload, last, long, short } = ended(c)
  b.store(64, why, 0, record.failed)
  for (const [index, word] of [row.step, row.errno].entries()) {
    b.load(value, 64, command, word)
    b.store(64, why, 8 * (1 + index), value)
  }
  b.store(64, payload, 0, record.payload)
  b.store(64, payload, 8, status)
  b.load(value, 32, command, row.ending)
  b.store(64, payload, 16, value)
  b.store(64, last, 0, record.ended)
  b.store(64, last, 8, status)
  b.load(failed, 32, command, row.failed)
  b.load(value, 32, command, row.id)
  b.when(
    failed,
    'ne',
    0,
    () => sendRecords(c, long, 3, value),
    () => sendRecords(c, short, 2, value),
  )
}

function sendRecords(c: LauncherContext, from: Address, count: number, id: Operand): void {
  head(c, from, frameType.ended, count * record.size, id, 0)
  send(c, { from, left: frame.size + count * record.size })
}

/** A command could not even be begun: `result` has the error. */
export function tellUnbegun(c: LauncherContext, id: Operand): void {
  const { b } = c
  const from = b.reserve(frame.size + record.size)
  const error = b.temporary()
  b.compute(error, 0, 'sub', c.result)
  b.store(64, from, frame.size, record.failed)
  b.store(64, from, frame.size + 8, c.step)
  b.store(64, from, frame.size + 16, error)
  sendRecords(c, from, 1, id)
}

/** Takes note of what commands that could not be executed have said of it, in the pipe `file`. */
export function noteFailures(c: LauncherContext, file: Operand): void {
  const { b } = c
  const heard = b.reserve(record.size)
  const [id, value] = b.temporaries(2)
  b.loop(({ leave }) => {
    c.attempt('read', file, heard, record.size)
    b.when(c.result, 'ne', record.size, leave)
    b.load(id, 32, heard, record.request)
    withRow(c, 'id', id, (command) => {
      b.store(32, command, row.failed, 1)
      for (const [index, word] of [row.step, row.errno].entries()) {
        b.load(value, 64, heard, 8 * (1 + index))
        b.store(64, command, word, value)
      }
    })
  })
}
