/** Of what Node.js asks of a gate: to run a command. */
import { noFile } from '../assembly/files.js'
import { own } from '../assembly/variables.js'
import { F } from '../kernel/flags.js'
import type { Address, Label, Operand, Slot } from '../machine/instruction.js'
import { requireAllClosedBut } from './descriptorCode.js'
import { nameCommand } from './execute.js'
import { most, run, stdin } from './frame.js'
import { tellUnbegun } from './gateAnswers.js'
import { pollsOfRow, row, storeFile, waitFor, withRow } from './gateTable.js'
import type { LauncherContext } from './launcherContext.js'
import { cloneIntoGroup } from './limitCode.js'
import { monitorsPidfd, tieToMonitor } from './tie.js'

/** Arguments and variables, each with a 0 behind. */
const words = own(({ b }: LauncherContext) => b.reserve(8 * (2 * most.words + 2)))

/** A frame of type `run` with this body. A child that is to execute goes on at `behind`; what is wrong leads to `over`. */
export function runCommand(c: LauncherContext, body: Address, length: Slot, behind: Label, over: Label): void {
  const input = readRun(c, body, length, over)
  start(c, body, input, behind, over)
}

export interface Input {
  readonly from: Slot
  readonly length: Slot
}

/** Leaves the words where the steps look for them. */
export function readRun(c: LauncherContext, body: Address, length: Slot, over: Label): Input {
  const { b } = c
  const [args, variables, input, text, end, word] = b.temporaries(6)
  b.branch(length, 'lt', run.size, over)
  b.load(args, 32, body, run.args)
  b.load(variables, 32, body, run.variables)
  b.load(input, 32, body, run.input)
  b.branch(args, 'eq', 0, over)
  for (const count of [args, variables]) b.branch(count, 'gt', most.words, over)
  b.branch(input, 'gt', most.input, over)
  b.compute(end, length, 'sub', run.size)
  b.branch(input, 'gt', end, over)
  b.compute(text, body, 'add', run.size)
  b.compute(end, end, 'sub', input)
  b.compute(end, end, 'add', text)
  b.move(c.cwd, text)
  skipText(c, text, end, over)
  b.move(word, words(c))
  b.move(c.argv, word)
  takeTexts(c, args, { text, end, word }, over)
  b.move(c.envp, word)
  takeTexts(c, variables, { text, end, word }, over)
  b.branch(text, 'ne', end, over)
  nameCommand(c)
  return { from: end, length: input }
}

function takeTexts(
  c: LauncherContext,
  left: Slot,
  { text, end, word }: { readonly text: Slot; readonly end: Slot; readonly word: Slot },
  over: Label,
): void {
  const { b } = c
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    b.store(64, word, 0, text)
    b.compute(word, word, 'add', 8)
    skipText(c, text, end, over)
    b.compute(left, left, 'sub', 1)
  })
  b.store(64, word, 0, 0)
  b.compute(word, word, 'add', 8)
}

/** Behind its NUL. */
export function skipText({ b }: LauncherContext, text: Slot, end: Slot, over: Label): void {
  const byte = b.temporary()
  b.loop(({ leave }) => {
    b.branch(text, 'eq', end, over)
    b.load(byte, 8, text)
    b.compute(text, text, 'add', 1)
    b.when(byte, 'eq', 0, leave)
  })
}

/** Makes the pipes and the child, which goes on at `behind`, and its row. */
function start(c: LauncherContext, body: Address, input: Input, behind: Label, over: Label): void {
  const { b } = c
  const pairs = { input: b.reserve(8), output: b.reserve(8), error: b.reserve(8) }
  const [reads, writes] = [0, 4]
  const [file, child] = b.temporaries(2)
  const [failed, done] = [b.label(), b.label()]
  const close = (ends: readonly (readonly [keyof typeof pairs, number])[]) => {
    for (const [pair, end] of ends) {
      b.load(file, 32, pairs[pair], end)
      c.attempt('close', file)
    }
  }
  // Of those that are not made there is nothing to close.
  for (const pair of Object.values(pairs)) b.store(64, pair, 0, -1)
  const pipe = (name: keyof typeof pairs) => {
    c.attempt('pipe2', pairs[name], c.open.CLOEXEC)
    c.onFailure(failed)
    b.load(file, 32, pairs[name], name === 'input' ? reads : writes)
    // What /dev/stdout opens anew is a file of the user who made the pipe.
    if (c.plan.start.serves!.foreign) {
      c.attempt('fchmod', file, 0o666)
      c.onFailure(failed)
    }
  }
  for (const name of ['output', 'error'] as const) {
    pipe(name)
    b.load(file, 32, pairs[name], reads)
    c.attempt('fcntl', file, F.SETFL, c.open.NONBLOCK)
    c.onFailure(failed)
  }
  const kind = b.temporary()
  b.load(kind, 32, body, run.stdin)
  b.when(kind, 'ne', stdin.none, () => {
    pipe('input')
    b.load(file, 32, pairs.input, writes)
    c.attempt('write', file, input.from, input.length)
    c.onFailure(failed)
    b.when(
      kind,
      'eq',
      stdin.whole,
      () => {
        // The child would be a writer too.
        c.attempt('close', file)
        b.store(32, pairs.input, writes, -1)
      },
      () => {
        c.attempt('fcntl', file, F.SETFL, c.open.NONBLOCK)
        c.onFailure(failed)
      },
    )
  })
  const free = b.label()
  withRow(c, 'pid', 0, (command, polls) => {
    cloneIntoGroup(c, 0)
    c.onFailure(failed)
    b.move(child, c.result)
    b.when(child, 'eq', 0, () => {
      takeStreams(c, pairs)
      b.jump(behind)
    })
    b.store(32, command, row.id, c.request)
    b.store(32, command, row.pid, child)
    b.store(32, command, row.ending, 0)
    b.store(32, command, row.failed, 0)
    b.store(64, command, row.left, 0)
    for (const [name, end] of [
      ['output', reads],
      ['error', reads],
      ['input', writes],
    ] as const) {
      b.load(file, 32, pairs[name], end)
      storeFile(c, polls, pollsOfRow[name], file)
    }
    // Until there is something to write.
    waitFor(c, polls, pollsOfRow.input, false)
    close([
      ['input', reads],
      ['output', writes],
      ['error', writes],
    ])
    b.jump(free)
  })
  // More than it takes.
  b.jump(over)
  b.place(failed)
  tellUnbegun(c, c.request)
  close(
    (['input', 'output', 'error'] as const).flatMap((name) => [
      [name, reads],
      [name, writes],
    ]),
  )
  b.jump(done)
  b.place(free)
  b.place(done)
}

/** In the child. */
function takeStreams(
  c: LauncherContext,
  pairs: Readonly<Record<'input' | 'output' | 'error', Parameters<LauncherContext['b']['load']>[2]>>,
): void {
  const { b } = c
  const file = b.temporary()
  const take = (fd: number, pair: Operand, end: number) => {
    b.load(file, 32, pair, end)
    b.when(file, 'ne', noFile, () => c.must('dup3', file, fd, 0))
  }
  take(0, pairs.input, 0)
  take(1, pairs.output, 4)
  take(2, pairs.error, 4)
  requireAllClosedBut(c, [c.plan.start.statusFd!, monitorsPidfd(b), ...groupFiles(c)])
  tieToMonitor(c, {})
}

/** By which a child enters the cgroup, and its namespace. */
export const groupFiles = ({ plan }: LauncherContext): readonly number[] =>
  plan.world.init.flatMap((step) => {
    if (step.do === 'enterGroup') return step.group.fds
    return step.do === 'join' && typeof step.from === 'number' ? [step.from] : []
  })
