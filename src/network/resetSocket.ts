/** Resets of connections, which tell the other end that something is missing: made, and handed on. */
import type { Socket } from 'node:net'

/**
 * Like `socket.resetAndDestroy()`, and safe at any time: libuv refuses a reset while the end of what was written is on its way (uv_tcp_close_reset,
 * "uv__is_stream_shutting"), and Node.js 20 to 24 then forget the descriptor unclosed, and turn for ever when they end.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return
  const { writableEnded, writableFinished, writableLength } = socket
  // Nothing is left to write: the end itself is being sent.
  const isEnding = writableEnded && !writableFinished && writableLength === 0
  if (isEnding) socket.once('finish', () => socket.destroyed || socket.resetAndDestroy())
  else socket.resetAndDestroy()
}

/**
 * What one end of a connection has sent is over: so is what the other gets. libuv tells of a reset as of an end where data came with it
 * (uv__stream_io, "POLLHUP"), but the kernel has no peer any more then, getpeername(2). Once both have ended there is none in any case.
 */
export function endAs(from: Socket, to: Socket): void {
  const { _handle } = from as unknown as { _handle: { getpeername(out: object): number } | null }
  if (!from.writableEnded && _handle !== null && _handle.getpeername({}) !== 0) resetSocket(to)
  else to.end()
}
