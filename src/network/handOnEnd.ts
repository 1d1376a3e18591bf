/** Hands the end of what one socket reads on to another, unless it was a reset. */
import type { Socket } from 'node:net'
import { isPipe } from './isPipe.js'

/**
 * libuv takes a reset that comes together with the last bytes for the end of the stream (uv__stream_io, "Short-circuit iff POLLHUP"): what was
 * cut off would look whole to the other side. But then the kernel has no peer any more, getpeername(2); it has one behind an end, until
 * both sides have ended. Of a unix socket nothing is cut off: what was sent is read before any end.
 */
export function handOnEnd(from: Socket, to: Socket): void {
  from.once('end', () => {
    const { _handle } = from as unknown as { _handle: { getpeername(out: object): number } | null }
    const isCut = _handle !== null && !isPipe(from) && _handle.getpeername({}) !== 0
    if (!from.writableEnded && isCut) from.destroy(new Reset())
    else if (!to.destroyed) to.end()
  })
}

/** As Node.js tells of one. */
class Reset extends Error {
  readonly code = 'ECONNRESET'

  constructor() {
    super('read ECONNRESET')
  }
}
