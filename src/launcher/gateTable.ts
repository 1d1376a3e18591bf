/** The commands that a gate runs: a row for each, and what it polls. */
import { noFile } from '../assembly/files.js'
import { own } from '../assembly/variables.js'
import { POLL } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { LoopControl } from '../machine/builder.js'
import type { Operand, Slot } from '../machine/instruction.js'
import { isHouse } from '../plan/plan.js'
import { most } from './frame.js'
import type { LauncherContext } from './launcherContext.js'

/**
 * A row, by offsets. `ending`: Node.js ends it. `failed`: it was not executed, and `step` and `errno` say why. `held` is memory for input;
 * of what is there, `left` bytes at `next` are not in the command's pipe yet. A free row has no pid. Of a slot of a house `pid` is its
 * monitor, `told` whether the end of its command was told, and `words` the socket by which it gets its command.
 */
export const row = {
  size: 64,
  id: 0,
  pid: 4,
  ending: 8,
  failed: 12,
  step: 16,
  errno: 24,
  held: 32,
  next: 40,
  left: 48,
  told: 56,
  words: 60,
} as const

const { size: pollSize, fields: poll } = structs.pollfd

/** Before those of each row. A gate reads its records behind a signal. */
export const pollsOfGate = { control: 0, signals: 1, records: 2 } as const
const pollsBefore = 3
/** Of a row: what the command writes to 1 and to 2, and what it reads from 0. */
export const pollsOfRow = { output: 0, error: 1, input: 2 } as const
const pollsPerRow = 3
const atOnce = ({ plan }: LauncherContext) => (isHouse(plan) ? most.slots : most.atOnce)
export const pollCount = (c: LauncherContext) => pollsBefore + pollsPerRow * atOnce(c)

const tables = own((c: LauncherContext) => ({
  rows: c.b.reserve(atOnce(c) * row.size),
  held: c.b.reserve(atOnce(c) * most.piece),
  polls: c.b.reserve(pollCount(c) * pollSize),
}))

export const pollsOf = (c: LauncherContext) => tables(c).polls

/** Standard output and error of a row. */
export const streams = [pollsOfRow.output, pollsOfRow.error] as const
export type Stream = (typeof streams)[number]

/** A poll of a file that is not waited for holds its complement: ppoll(2) passes over negative numbers. */
const asleep = 0x8000_0000
const complement = 0xffff_ffff

/** The file of a poll, also where it is not waited for; and that of a row, whose first poll `polls` is. */
export function loadFile({ b }: LauncherContext, to: Slot, polls: Operand, index: number): void {
  b.load(to, 32, polls, index * pollSize + poll.fd.offset)
  b.when(to, 'ge', asleep, () => b.when(to, 'ne', noFile, () => b.compute(to, to, 'xor', complement)))
}
export const storeFile = ({ b }: LauncherContext, polls: Operand, index: number, file: Operand) =>
  b.store(32, polls, index * pollSize + poll.fd.offset, file)

/** Whether its file, if there is one, is waited for from now on. */
export function waitFor(c: LauncherContext, polls: Operand, index: number, waits: boolean): void {
  const { b } = c
  const file = b.temporary()
  loadFile(c, file, polls, index)
  b.when(file, 'ne', noFile, () => {
    if (!waits) b.compute(file, file, 'xor', complement)
    storeFile(c, polls, index, file)
  })
}

/** Has each poll wait for something to read, or for room, and for nothing yet. */
export function prepareTables(c: LauncherContext): void {
  const { b } = c
  const [at, left, held, polls] = b.temporaries(4)
  b.move(at, pollsOf(c))
  b.move(left, pollCount(c))
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    b.store(32, at, poll.fd.offset, noFile)
    b.store(32, at, poll.events.offset, POLL.IN)
    b.compute(at, at, 'add', pollSize)
    b.compute(left, left, 'sub', 1)
  })
  b.move(held, tables(c).held)
  eachRow(c, at, polls, () => {
    b.store(32, polls, pollsOfRow.input * pollSize + poll.events.offset, POLL.OUT)
    b.store(64, at, row.held, held)
    b.compute(held, held, 'add', most.piece)
  })
}

/** For each row: `at` is it, `polls` its first poll. */
export function eachRow(c: LauncherContext, at: Slot, polls: Slot, body: (leave: LoopControl['leave']) => void): void {
  const { b } = c
  const left = b.temporary()
  b.move(at, tables(c).rows)
  b.compute(polls, pollsOf(c), 'add', pollsBefore * pollSize)
  b.move(left, atOnce(c))
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    body(leave)
    b.compute(at, at, 'add', row.size)
    b.compute(polls, polls, 'add', pollsPerRow * pollSize)
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
