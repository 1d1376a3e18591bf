/** The answers of filer.ts, which are written when there is no request left to serve, or no room. */
import { ifReady, pollsOf, writeAllBy } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { copyText } from '../assembly/text.js'
import { own, variables } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { AT, S_IF, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Filer } from './filesAssembler.js'
import { filesAnswer, filesRequest } from './filesCall.js'

const outputSize = 1 << 18
/** Any frame but one of data has room there. */
const reserve = filesAnswer.header + structs.statx.size + 2 * filesRequest.longest

const output = own(({ b }: Filer) => b.reserve(outputSize + reserve))
const state = variables('used')

export const flush = routine('flushAnswers', {}, (c: Filer) => {
  const { b } = c
  const { used } = state(b)
  const [from, left] = b.temporaries(2)
  b.move(from, output(c))
  b.move(left, used)
  writeAllBy(c, { from, left }, () => {
    c.attempt('write', 1, from, left)
    c.whenFailed(() => c.exit(2))
  })
  b.move(used, 0)
})

/** Begins a frame: leaves in `place` where its content goes. */
function begin(c: Filer, place: Slot): void {
  const { b } = c
  const { used } = state(b)
  b.when(used, 'gt', outputSize, () => flush(c, {}))
  b.compute(place, output(c), 'add', used)
  b.compute(place, place, 'add', filesAnswer.header)
}

function endFrame(c: Filer, kind: Operand, place: Slot, length: Operand): void {
  const { b } = c
  const { used } = state(b)
  const header = b.temporary()
  b.compute(header, place, 'sub', filesAnswer.header)
  b.store(32, header, 0, kind)
  b.store(32, header, 4, length)
  b.compute(used, used, 'add', length)
  b.compute(used, used, 'add', filesAnswer.header)
}

export function answerNumbers(c: Filer, kind: number, numbers: readonly Operand[]): void {
  const place = c.b.temporary()
  begin(c, place)
  for (const [index, one] of numbers.entries()) c.b.store(64, place, 8 * index, one)
  endFrame(c, kind, place, 8 * numbers.length)
}

/** Answers with a number: 0 or -errno. */
export const answer = routine('answer', { takes: ['kind', 'status'] }, (c: Filer, { kind, status }) => {
  const { b } = c
  const place = b.temporary()
  begin(c, place)
  b.store(64, place, 0, status)
  endFrame(c, kind, place, 8)
})

/** What is in a file, as frames of data: at most so many bytes, else EFBIG. Its size is no promise. `rest`: how many more there might have been. */
export const sendFile = routine(
  'sendFile',
  { takes: ['file', 'most'], gives: ['status', 'rest'] },
  (c: Filer, { file, most, status, rest }) => {
    const { b } = c
    const { used } = state(b)
    const [place, room] = b.temporaries(2)
    b.move(status, 0)
    b.move(rest, most)
    b.loop(({ leave }) => {
      // Of a small buffer there would be many small frames.
      b.when(used, 'gt', outputSize >> 1, () => flush(c, {}))
      begin(c, place)
      b.compute(room, outputSize, 'sub', used)
      c.attempt('read', file, place, room)
      b.move(status, c.result)
      c.whenFailed(leave)
      b.move(status, 0)
      b.when(c.result, 'eq', 0, leave)
      b.when(c.result, 'gt', rest, () => {
        b.move(status, -errno.EFBIG)
        leave()
      })
      b.compute(rest, rest, 'sub', c.result)
      endFrame(c, filesAnswer.data, place, c.result)
    })
  },
)

/** What happens to a watched directory, as it happens, until the caller says no more: its requests end. */
export function sendChanges(c: Filer, events: Operand): void {
  const { b } = c
  const place = b.temporary()
  answerNumbers(c, filesAnswer.data, [])
  b.loop(() => {
    flush(c, {})
    const polls = pollsOf(b, [0, events])
    c.attempt('ppoll', polls, 2, 0, 0, 0)
    ifReady(b, polls, 0, () => c.exit(0))
    begin(c, place)
    c.must('read', events, place, outputSize)
    endFrame(c, filesAnswer.data, place, c.result)
  })
}

/** An entry, if it can be looked at: of a name in a directory, or of an open file with the name "". `kind`: of S_IF. */
export const sendEntry = routine(
  'sendEntry',
  { takes: ['directory', 'name', 'path'], gives: ['status', 'kind'] },
  (c: Filer, { directory, name, path, status, kind }) => {
    const { b } = c
    const [place, at] = b.temporaries(2)
    const gone = b.label()
    begin(c, place)
    const how = AT.EMPTY_PATH | AT.SYMLINK_NOFOLLOW | AT.NO_AUTOMOUNT
    c.attempt('statx', directory, name, how, STATX.BASIC_STATS | STATX.BTIME, place)
    b.move(status, c.result)
    b.branch(c.result, 'ne', 0, gone)
    b.load(kind, 32, place, structs.statx.fields.stx_mode.offset)
    b.compute(kind, kind, 'and', S_IF.MT)
    b.compute(at, place, 'add', filesAnswer.status)
    copyText(b, at, path)
    b.compute(at, at, 'add', 1)
    b.when(kind, 'eq', S_IF.LNK, () => {
      c.attempt('readlinkat', directory, name, at, filesRequest.longest)
      c.whenFailed(
        () => {},
        () => b.compute(at, at, 'add', c.result),
      )
    })
    b.compute(at, at, 'sub', place)
    endFrame(c, filesAnswer.entry, place, at)
    b.place(gone)
  },
)
