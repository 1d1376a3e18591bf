/**
 * A program that makes sockets for Node.js: one process, as long as Node.js wants. It reads rows (socketRows.ts) from its standard input until
 * that ends, as it does with Node.js, and sends each socket by the channel to Node.js, which is descriptor 3. Of a row that fails it writes
 * number and errno to standard output.
 *
 * Where: in the network namespace of a sandbox that runs, by what its monitor holds (plan/handles.ts); or among its mounts, as its payload and
 * with no more rights than that has, for the path of a unix socket leads where the process that walks it is, and may be full of the
 * payload's links; or on the host, where it makes what is published by a path.
 */
import { StrictAssembler } from '../assembly/strictAssembler.js'
import type { Architecture } from '../kernel/architecture.js'
import { firstError, type Operand, type Program } from '../machine/instruction.js'
import { CLONE, MSG, PR } from '../kernel/flags.js'
import { namespaceHandles } from '../plan/handles.js'
import { openHandle, openMonitor, statSize } from './entering.js'
import { becomeInside, type InsideIdentity } from './inside.js'
import { handSocket } from './socketCode.js'
import { socketRow } from './socketRows.js'

const [input, output, channel] = [0, 1, 3]

/** The last argument of one whose sandbox has a user namespace of its own. */
export const ownUser = '1'

/** What is written of a row that failed: its number and errno, of 32 bits each. Number {@link unbegun}: the sandbox was not entered. */
export const failureSize = 8
/** Room for many of Node.js's answers. */
const answersSize = 4096
export const unbegun = 0xffffffff

export type ListenerPlace = 'network' | 'host' | InsideIdentity

/** The program, for any sandbox. */
export function listener(architecture: Architecture, place: ListenerPlace): Program {
  const c = new StrictAssembler(architecture)
  const { b } = c
  const [word, row, have, left] = b.temporaries(4)
  const answer = b.reserve(failureSize, 8)
  const answers = b.reserve(answersSize, 8)
  const tell = (number: Parameters<typeof b.store>[3]) => {
    b.compute(left, 0, 'sub', c.result)
    b.store(32, answer, 0, number)
    b.store(32, answer, 4, left)
    c.attempt('write', output, answer, failureSize)
  }
  b.entry(c.stack)
  // The modes of what it makes are those that it is told.
  c.must('umask', 0)
  if (place !== 'host') {
    const monitor = openMonitor(c, b.reserve(statSize + 8))
    if (place === 'network') enterNetwork(c, monitor)
    else becomeInside(c, monitor, place)
  }
  b.move(row, b.reserve(socketRow.size, 8))
  b.loop(({ leave: end }) => {
    b.move(have, 0)
    b.loop(({ leave: complete }) => {
      b.compute(word, row, 'add', have)
      b.compute(left, socketRow.size, 'sub', have)
      b.when(left, 'eq', 0, complete)
      c.attempt('read', input, word, left)
      b.when(c.result, 'eq', 0, end)
      b.when(c.result, 'ge', firstError, end)
      b.compute(have, have, 'add', c.result)
    })
    handSocket(c, { at: row, channel })
    c.whenFailed(() => {
      b.load(word, 32, row, socketRow.number)
      tell(word)
    })
    // Node.js answers each, and keeps what is not read: child_process, "NODE_HANDLE_ACK".
    c.attempt('recvfrom', channel, answers, answersSize, MSG.DONTWAIT, 0, 0)
  })
  c.exit(0)
  b.place(c.fail)
  tell(unbegun)
  c.exit(1)
  return b.finish()
}

function enterNetwork(c: StrictAssembler, monitor: Operand): void {
  const { b } = c
  const [user, net, word, byte] = b.temporaries(4)
  const whenOwnUser = (then: () => void) => b.when(byte, 'eq', ownUser.charCodeAt(0), then)
  b.load(word, 64, c.stack, 32)
  b.load(byte, 8, word)
  whenOwnUser(() => openHandle(c, monitor, user, namespaceHandles.user))
  openHandle(c, monitor, net, namespaceHandles.net)
  // What is inside may not look at it, CVE-2016-9962: it is not in the sandbox's pid namespace either.
  c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  whenOwnUser(() => c.must('setns', user, CLONE.NEWUSER))
  c.must('setns', net, CLONE.NEWNET)
}
