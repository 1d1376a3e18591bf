/** Ends a connection with a reset, which tells the other end that something is missing. */
import type { Socket } from 'node:net'
import { isPipe } from './isPipe.js'

/**
 * Like `socket.resetAndDestroy()`, and safe at any time: libuv refuses a reset while the end of what was written is on its way (uv_tcp_close_reset,
 * "uv__is_stream_shutting"), and Node.js 20 to 24 then forget the descriptor unclosed, and turn for ever when they end. A unix socket has no
 * reset: it is closed.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return
  if (isPipe(socket)) {
    socket.destroy()
    return
  }
  const { writableEnded, writableFinished, writableLength } = socket
  // Nothing is left to write: the end itself is being sent.
  const isEnding = writableEnded && !writableFinished && writableLength === 0
  if (isEnding) socket.once('finish', () => socket.destroyed || socket.resetAndDestroy())
  else socket.resetAndDestroy()
}
