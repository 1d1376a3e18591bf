/** Which of this process's streams are unix sockets: Node.js lets these do less. */
import type { Socket } from 'node:net'

/** Whether it is one, and no connection of TCP. Of one that is closed it is not known. */
export function isPipe(socket: Socket): boolean {
  const { _handle } = socket as unknown as { readonly _handle: object | null }
  return _handle !== null && !('getpeername' in _handle)
}
