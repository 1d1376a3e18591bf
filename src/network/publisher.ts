/** Servers of this host that hand each connection on to one of a sandbox. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { addressText } from '../policy/ipAddress.js'
import { type Published, publishedPlace } from '../policy/networkPublish.js'
import { HostError } from '../text/error.js'
import { handOnEnd } from './handOnEnd.js'
import { resetSocket } from './resetSocket.js'

/** Connects to a port of the sandbox's loopback. */
export type ConnectInside = (port: number) => Promise<Socket>

/** Connections of one port that are open at a time. */
const mostConnections = 1024

export class Publisher {
  readonly #servers: Server[] = []
  /** All of them listen, or one cannot: that is told to `fail`. */
  readonly listening: Promise<unknown>
  readonly #connections = new Set<Socket>()

  /** @param fail is told why one cannot be listened at */
  constructor(published: readonly Published[], connect: ConnectInside, fail: (error: HostError) => void) {
    for (const one of published) {
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
        void this.#serve(socket, () => connect(one.inside))
      })
      server.maxConnections = mostConnections
      server.on('error', (error) => fail(notPublished(one, error)))
      server.listen({ host: addressText(one.address), port: one.port })
      server.unref()
      this.#servers.push(server)
    }
    this.listening = Promise.all(
      this.#servers.map((server) => new Promise((resolve) => server.once('listening', resolve).once('error', resolve))),
    )
  }

  /** The ports of the host, in the order of what is published; 0 of one that does not listen yet. */
  get ports(): readonly number[] {
    return this.#servers.map((server) => (server.address() as AddressInfo | null)?.port ?? 0)
  }

  close(): void {
    for (const server of this.#servers) server.close()
    for (const socket of this.#connections) socket.destroy()
  }

  async #serve(outside: Socket, connect: () => Promise<Socket>): Promise<void> {
    this.#keep(outside)
    try {
      const inside = await connect()
      if (outside.destroyed) {
        inside.destroy()
        return
      }
      // The end of one way is not that of the other.
      inside.allowHalfOpen = true
      this.#keep(inside)
      join(outside, inside)
      join(inside, outside)
    } catch {
      resetSocket(outside)
    }
  }

  #keep(socket: Socket): void {
    this.#connections.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#connections.delete(socket))
  }
}

const notPublished = (published: Published, error: NodeJS.ErrnoException) =>
  new HostError(`cannot publish at ${publishedPlace(published)}: ${error.code}`, {
    ...{ code: error.code, hint: hints[error.code ?? ''], cause: error },
  })

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there: choose another port, or 0 for one that is free',
  EACCES: 'ports below 1024 are for root',
  EADDRNOTAVAIL: 'this host has no such address',
}

/** Hands on what comes, its end, and a reset. */
function join(from: Socket, to: Socket): void {
  from.pipe(to, { end: false })
  handOnEnd(from, to)
  from.once('close', (failed) => failed && resetSocket(to))
}
