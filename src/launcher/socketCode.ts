/**
 * Makes sockets, and hands them to Node.js: as the parent of a program that it forked it gets each with a line of JSON (child_process,
 * "subprocess.send(message, sendHandle)"; the form of the line is in lib/internal/child_process.js).
 */
import { routine } from '../assembly/routine.js'
import type { StrictAssembler } from '../assembly/strictAssembler.js'
import { errno } from '../kernel/errno.js'
import { AF, IP, IPPROTO, IPV6, MSG, SO, SOCK, SOL } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import { messageOf } from './message.js'
import { socketRow } from './socketRows.js'

/** So many connections wait for Node.js to accept them; listen(2). */
const backlog = 1024

/** Makes the socket of the row `at`, and sends it by `channel`. What it gives is what the call gave that failed, or the last. */
export const handSocket = routine('handSocket', { takes: ['at', 'channel'] }, handOver)

function handOver(c: StrictAssembler, { at, channel }: { readonly at: Slot; readonly channel: Operand }): void {
  const { b } = c
  const [file, value, other] = b.temporaries(3)
  const [failed, end] = [b.label(), b.label()]
  const one = b.bytes(Uint8Array.of(1, 0, 0, 0), 4)
  const { message, vector, descriptors } = messageOf(c, 1)
  const { iov_base, iov_len } = structs.iovec.fields
  const must = (...call: Parameters<StrictAssembler['attempt']>) => {
    c.attempt(...call)
    c.onFailure(failed)
  }
  b.load(value, 8, at, socketRow.family)
  b.load(other, 32, at, socketRow.type)
  c.attempt('socket', value, other, 0)
  c.onFailure(end)
  b.move(file, c.result)
  b.when(value, 'eq', AF.INET6, () => must('setsockopt', file, IPPROTO.IPV6, IPV6.V6ONLY, one, 4))
  const connects = b.temporary()
  b.load(other, 32, at, socketRow.addressSize)
  b.load(connects, 32, at, socketRow.connects)
  b.when(
    connects,
    'ne',
    0,
    () => {
      c.attempt('connect', file, at, other)
      // Over loopback it is over by now, unless the backlog there is full.
      c.whenError('EINPROGRESS', () => c.attempt('connect', file, at, other))
      const goesOn = b.label()
      b.branch(c.result, 'eq', -errno.EALREADY, goesOn)
      c.onFailure(failed)
      b.place(goesOn)
    },
    () => {
      b.when(
        value,
        'eq',
        AF.UNIX,
        () => {
          // The file is made of this mode, less the umask: there is no moment at which it is of another.
          b.load(value, 32, at, socketRow.mode)
          must('fchmod', file, value)
        },
        // The addresses of a name are none of a device's.
        () => must('setsockopt', file, IPPROTO.IP, IP.FREEBIND, one, 4),
      )
      b.load(value, 8, at, socketRow.type)
      // Where one that listened before has connections still. No two listen at one address all the same, socket(7).
      b.when(value, 'eq', SOCK.STREAM, () => must('setsockopt', file, SOL.SOCKET, SO.REUSEADDR, one, 4))
      must('bind', file, at, other)
      b.when(value, 'eq', SOCK.STREAM, () => must('listen', file, backlog))
    },
  )
  b.compute(value, at, 'add', socketRow.text)
  b.load(other, 32, at, socketRow.textSize)
  b.store(64, vector, iov_base.offset, value)
  b.store(64, vector, iov_len.offset, other)
  b.store(32, descriptors, 0, file)
  c.attempt('sendmsg', channel, message, MSG.NOSIGNAL)
  b.place(failed)
  b.move(value, c.result)
  c.attempt('close', file)
  b.move(c.result, value)
  b.place(end)
}
