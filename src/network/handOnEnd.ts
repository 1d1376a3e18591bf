/** Hands the end of what one socket reads on to another, unless it was a reset. */
import type { Socket } from 'node:net'

const nothing = Buffer.alloc(0)

/**
 * libuv takes a reset that comes together with the last bytes for the end of the stream (uv__stream_io, "Short-circuit iff POLLHUP"): what was
 * cut off would look whole to the other side. A write of nothing tells them apart, for tcp_sendmsg_locked() of net/ipv4/tcp.c answers with
 * what has happened to the socket before it looks at how much there is.
 */
export function handOnEnd(from: Socket, to: Socket): void {
  const end = () => {
    // What the error does is for those who listen to it.
    if (from.errored === null && !to.destroyed) to.end()
  }
  from.once('end', () => {
    // What waits to be written meets the error by itself, at once.
    if (from.writable && from.writableLength > 0) setImmediate(end)
    else {
      // It is known now: a sandbox that ends behind its connections leaves no time.
      if (from.writable) from.write(nothing)
      end()
    }
  })
}
