/** Hands the end of what one socket reads on to another, unless it was a reset. */
import type { Socket } from 'node:net'

const nothing = Buffer.alloc(0)

/**
 * libuv takes a reset that comes together with the last bytes for the end of the stream (uv__stream_io, "Short-circuit iff POLLHUP"): what was
 * cut off would look whole to the other side. A write of nothing tells them apart, for tcp_sendmsg_locked() of net/ipv4/tcp.c answers with
 * what has happened to the socket before it looks at how much there is. Where something waits to be written, that does.
 */
export function handOnEnd(from: Socket, to: Socket): void {
  from.once('end', () => {
    if (from.writable && from.writableLength === 0) from.write(nothing)
    // Behind the error, which resets both.
    setImmediate(() => {
      if (!to.destroyed) to.end()
    })
  })
}
