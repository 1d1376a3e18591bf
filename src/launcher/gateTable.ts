/** The commands that a gate runs: a row for each, and what it polls. */
import { noFile } from '../assembly/files.js'
import { own } from '../assembly/variables.js'
import { POLL } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { LoopControl } from '../machine/builder.js'
import type { Operand, Slot } from '../machine/instruction.js'
import { most } from './frame.js'
import type { LauncherContext } from './launcherContext.js'

/** A row, by offsets. `ending`: Node.js ends it. `failed`: it was not executed, and `step` and `errno` say why. A free one has no pid. */
export const row = { size: 32, id: 0, pid: 4, ending: 8, failed: 12, step: 16, errno: 24 } as const

const { size: pollSize, fields: poll } = structs.pollfd

/** Before the two of each row. */
export const pollsOfGate = { control: 0, signals: 1 } as const
const pollsBefore = 2
export const pollCount = pollsBefore + 2 * most.atOnce

const tables = own(({ b }: LauncherContext) => ({
  rows: b.reserve(most.atOnce * row.size),
  polls: b.reserve(pollCount * pollSize),
}))

export const pollsOf = (c: LauncherContext) => tables(c).polls

/** Standard output and error of a row. */
export const streams = [0, 1] as const
export type Stream = (typeof streams)[number]

/** The file of a poll, and that of a stream of a row, whose first poll `polls` is. */
export const loadFile = ({ b }: LauncherContext, to: Slot, polls: Operand, index: number) =>
  b.load(to, 32, polls, index * pollSize + poll.fd.offset)
export const storeFile = ({ b }: LauncherContext, polls: Operand, index: number, file: Operand) =>
  b.store(32, polls, index * pollSize + poll.fd.offset, file)

/** Has each poll wait for something to read, and for nothing yet. */
export function prepareTables(c: LauncherContext): void {
  const { b } = c
  const [at, left] = b.temporaries(2)
  b.move(at, pollsOf(c))
  b.move(left, pollCount)
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    b.store(32, at, poll.fd.offset, noFile)
    b.store(32, at, poll.events.offset, POLL.IN)
    b.compute(at, at, 'add', pollSize)
    b.compute(left, left, 'sub', 1)
  })
}

/** For each row: `at` is it, `polls` its first poll. */
export function eachRow(c: LauncherContext, at: Slot, polls: Slot, body: (leave: LoopControl['leave']) => void): void {
  const { b } = c
  const left = b.temporary()
  b.move(at, tables(c).rows)
  b.compute(polls, pollsOf(c), 'add', pollsBefore * pollSize)
  b.move(left, most.atOnce)
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    body(leave)
    b.compute(at, at, 'add', row.size)
    b.compute(polls, polls, 'add', 2 * pollSize)
    b.compute(left, left, 'sub', 1)
  })
}

/** The row of which a word is `value`: `then` is done with it, and by no more than one. */
export function withRow(
  c: LauncherContext,
  word: 'id' | 'pid',
  value: Operand,
  then: (at: Slot, polls: Slot) => void,
): void {
  const { b } = c
  const [at, polls, found, pid] = b.temporaries(4)
  const none = b.label()
  const here = b.label()
  eachRow(c, at, polls, () => {
    b.load(found, 32, at, row[word])
    b.when(found, 'eq', value, () => {
      b.load(pid, 32, at, row.pid)
      // A free row's words are those of the command that it had.
      if (word === 'pid') b.jump(here)
      else b.branch(pid, 'ne', 0, here)
    })
  })
  b.jump(none)
  b.place(here)
  then(at, polls)
  b.place(none)
}
