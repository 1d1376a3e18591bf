/**
 * Sockets in the sandbox's network namespace at which Node.js accepts, from outside. They listen before there is a payload, so that no first
 * connection comes too early; and since only Node.js holds them, no process of the sandbox's can take or close them.
 */
import { AF, SOCK } from '../kernel/flags.js'
import { NETLINK } from '../kernel/netlink.js'
import { structs } from '../kernel/structs.js'
import type { Step } from '../plan/step.js'
import { addressBytes } from '../policy/ipAddress.js'
import type { LauncherContext } from './launcherContext.js'
import { localMessages } from './localRoutes.js'
import { handSocket } from './socketCode.js'
import { absentLine, rowOf, socketRow } from './socketRows.js'

type Listen = Step<'listen'>

/** In the namespace, whose loopback device is up. */
export function listen(c: LauncherContext, { own, sockets, channel }: Listen): void {
  makeLocal(c, own)
  if (sockets.length > 0) handAll(c, sockets, channel)
}

/** A kernel without IPv6 has no such addresses to make local. */
function makeLocal(c: LauncherContext, own: Listen['own']): void {
  const { b } = c
  const [socket, error] = b.temporaries(2)
  const answer = b.reserve(256, 8)
  const { nlmsghdr, nlmsgerr } = structs
  b.move(socket, c.must('socket', AF.NETLINK, SOCK.RAW | SOCK.CLOEXEC, NETLINK.ROUTE))
  for (const message of localMessages('INET', addressBytes(own.v4))) {
    c.must('sendto', socket, b.bytes(message, 4), message.length, 0, 0, 0)
    c.must('recvfrom', socket, answer, 256, 0, 0, 0)
    b.load(error, 32, answer, nlmsghdr.size + nlmsgerr.fields.error.offset)
    b.when(error, 'ne', 0, () => {
      // A negative number of 32 bits.
      b.compute(c.result, error, 'or', 0xffffffff00000000n)
      b.jump(c.fail)
    })
  }
  for (const message of localMessages('INET6', addressBytes(own.v6)))
    c.attempt('sendto', socket, b.bytes(message, 4), message.length, 0, 0, 0)
  c.attempt('close', socket)
}

function handAll(c: LauncherContext, sockets: Listen['sockets'], channel: number): void {
  const { b } = c
  const [at, end] = b.temporaries(2)
  // Those of a path are made with the root that they lie in.
  const rows = sockets.flatMap((socket, number) =>
    socket.protocol === 'unix' ? [] : [rowOf({ ...socket, connects: false, number })],
  )
  b.move(at, b.bytes(Buffer.concat(rows), 8))
  b.compute(end, at, 'add', socketRow.size * rows.length)
  b.loop(({ leave }) => {
    b.when(at, 'eq', end, leave)
    handSocket(c, { at, channel })
    // A kernel without IPv6.
    c.whenError(
      'EAFNOSUPPORT',
      () => c.must('write', channel, b.bytes(Buffer.from(absentLine), 1), absentLine.length),
      () => c.orFail(),
    )
    b.compute(at, at, 'add', socketRow.size)
  })
}
