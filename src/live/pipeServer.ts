/** Servers of unix sockets that another process has made: Node.js gives such a one as what is beneath a server, a handle. */
import type { Socket as Datagrams } from 'node:dgram'
import { Server, type Socket } from 'node:net'

type Made = Server | Socket | Datagrams

/** What a process that makes sockets sent: as it is, or a server where that is a handle. */
export function madeOf(sent: unknown): Made {
  return 'on' in (sent as object) ? (sent as Made) : serverOf(sent as object)
}

/** By the method that `listen` itself calls for a handle that it has; `listen({ fd })` would make a second owner of the descriptor. */
function serverOf(handle: object): Server {
  const server = new Server({ allowHalfOpen: true, pauseOnConnect: true })
  Object.assign(server, { _handle: handle })
  const { _listen2: listen } = server as unknown as {
    _listen2(address: null, port: number, type: number, backlog: number): void
  }
  listen.call(server, null, -1, -1, backlog)
  return server
}

/** As of launcher/socketCode.ts. */
const backlog = 1024
