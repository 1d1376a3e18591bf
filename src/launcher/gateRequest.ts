/** What Node.js asks of a gate: of its commands, or to run one (gateRun.ts); and of a house (house.ts). */
import { own } from '../assembly/variables.js'
import { MSG } from '../kernel/flags.js'
import type { Address, Label, Slot } from '../machine/instruction.js'
import { frame, frameType, most } from './frame.js'
import { closeFile, feed } from './gateAnswers.js'
import { pollsOfRow, row, streams, waitFor, withRow } from './gateTable.js'
import type { LauncherContext } from './launcherContext.js'
import { killCommand } from './orphans.js'

export const received = own(({ b }: LauncherContext) => ({ head: b.reserve(frame.size), body: b.reserve(most.body) }))

/** A frame that was read. */
export interface Request {
  readonly id: Slot
  readonly head: Address
  readonly body: Address
  readonly length: Slot
}

/** What is done with frames of types that are not about a command which runs. */
export type Takes = Partial<Record<keyof typeof frameType, (request: Request) => void>>

/**
 * Takes one frame; what is no frame, and the end, leads to `over`.
 */
export function takeRequest(c: LauncherContext, over: Label, takes: Takes): void {
  const { b } = c
  const { head, body } = received(c)
  const [length, type, id, to, detail] = b.temporaries(5)
  const { control } = c.plan.start.serves!
  c.attempt('recvfrom', control, head, frame.size, MSG.WAITALL, 0, 0)
  b.branch(c.result, 'ne', frame.size, over)
  b.load(length, 32, head, frame.length)
  b.load(type, 32, head, frame.type)
  b.load(id, 32, head, frame.id)
  b.load(detail, 32, head, frame.detail)
  b.branch(length, 'gt', most.body, over)
  b.move(to, body)
  b.when(type, 'eq', frameType.input, () => {
    b.branch(length, 'gt', most.piece, over)
    withRow(c, 'id', id, (command) => placeForInput(c, command, to, over))
  })
  b.when(length, 'ne', 0, () => {
    c.attempt('recvfrom', control, to, length, MSG.WAITALL, 0, 0)
    b.branch(c.result, 'ne', length, over)
  })
  const taken = b.label()
  for (const [of, take] of Object.entries(ofCommand) as [keyof typeof ofCommand, Take][])
    b.when(type, 'eq', frameType[of], () => {
      // Of one that has ended nothing is asked any more.
      withRow(c, 'id', id, (command, polls) => take(c, { command, polls, detail, length, over }))
      b.jump(taken)
    })
  for (const [of, take] of Object.entries(takes) as [keyof typeof frameType, (request: Request) => void][])
    b.when(type, 'eq', frameType[of], () => {
      b.move(c.request, id)
      take({ id, head, body, length })
      b.jump(taken)
    })
  b.jump(over)
  b.place(taken)
}

/** Where the body goes. There is room again when the last one was taken. */
function placeForInput({ b }: LauncherContext, command: Slot, to: Slot, over: Label): void {
  b.load(to, 64, command, row.left)
  b.branch(to, 'ne', 0, over)
  b.load(to, 64, command, row.held)
}

interface Asked {
  readonly command: Slot
  /** The first of the command. */
  readonly polls: Slot
  readonly detail: Slot
  readonly length: Slot
  readonly over: Label
}

type Take = (c: LauncherContext, asked: Asked) => void

const ofCommand = {
  end(c, { command }) {
    const { b } = c
    const pid = b.temporary()
    b.store(32, command, row.ending, 1)
    b.load(pid, 32, command, row.pid)
    killCommand(c, pid)
  },
  input(c, { command, polls, length }) {
    const { b } = c
    const held = b.temporary()
    b.load(held, 64, command, row.held)
    b.store(64, command, row.next, held)
    b.store(64, command, row.left, length)
    feed(c, command, polls)
  },
  pause: (c, asked) => withOutput(c, asked, (index) => waitFor(c, asked.polls, index, false)),
  resume: (c, asked) => withOutput(c, asked, (index) => waitFor(c, asked.polls, index, true)),
  close(c, asked) {
    const { b } = c
    const { command, polls, detail } = asked
    const closed = b.label()
    b.when(detail, 'eq', 0, () => {
      b.store(64, command, row.left, 0)
      closeFile(c, polls, pollsOfRow.input)
      b.jump(closed)
    })
    withOutput(c, asked, (index) => closeFile(c, polls, index))
    b.place(closed)
  },
  signal(c, { command, detail }) {
    const { b } = c
    const pid = b.temporary()
    b.load(pid, 32, command, row.pid)
    c.attempt('kill', pid, detail)
  },
  signalGroup(c, { command, detail }) {
    const { b } = c
    const [pid, group] = b.temporaries(2)
    b.load(pid, 32, command, row.pid)
    b.compute(group, 0, 'sub', pid)
    c.attempt('kill', group, detail)
    // It leads none yet.
    c.whenFailed(() => c.attempt('kill', pid, detail))
  },
} satisfies Partial<Record<keyof typeof frameType, Take>>

/** What is asked is of an output of the command. */
function withOutput({ b }: LauncherContext, { detail, over }: Asked, then: (index: number) => void): void {
  const done = b.label()
  for (const index of streams)
    b.when(detail, 'eq', 1 + index, () => {
      then(index)
      b.jump(done)
    })
  b.jump(over)
  b.place(done)
}
