/** Servers of this host that hand each connection on to one of a sandbox. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { addressText } from '../policy/ipAddress.js'
import { type Published, type PublishedAt, publishedPlace } from '../policy/networkPublish.js'
import { HostError } from '../text/error.js'
import { handOnEnd } from './handOnEnd.js'
import { resetSocket } from './resetSocket.js'

/** What it needs of the sandbox, and of the host. */
export interface PublisherParts {
  /** Connects to a port of the sandbox's loopback, or to the path of a unix socket inside. */
  connect(inside: Published['inside']): Promise<Socket>
  /** Listens at a path of the host; `remove` takes that away. */
  listenAt(path: string): Promise<{ readonly server: Server; remove(): void }>
  /** Is told why one cannot be listened at. */
  fail(error: HostError): void
}

/** Connections of one place that are open at a time. */
const mostConnections = 1024

export class Publisher {
  readonly #parts: PublisherParts
  readonly #published: readonly Published[]
  readonly #servers = new Map<Published, Server>()
  /** All of them listen, or one cannot: that is told to `fail`. */
  readonly listening: Promise<unknown>
  readonly #connections = new Set<Socket>()
  readonly #removes: (() => void)[] = []
  #isClosed = false

  constructor(published: readonly Published[], parts: PublisherParts) {
    this.#parts = parts
    this.#published = published
    this.listening = Promise.all(
      published.map((one) =>
        ('path' in one.at ? this.#listenByPath(one, one.at.path) : this.#listen(one, one.at)).catch((error) =>
          parts.fail(notPublished(one.at, error)),
        ),
      ),
    )
  }

  /** The ports of the host, in the order of what is published by one; 0 of one that does not listen yet. */
  get ports(): readonly number[] {
    return this.#published
      .filter(({ at }) => 'port' in at)
      .map((one) => (this.#servers.get(one)?.address() as AddressInfo | null | undefined)?.port ?? 0)
  }

  /** The paths of the host, in the same order. */
  get paths(): readonly string[] {
    return this.#published.flatMap(({ at }) => ('path' in at ? [at.path] : []))
  }

  close(): void {
    this.#isClosed = true
    for (const remove of this.#removes.splice(0)) remove()
    for (const server of this.#servers.values()) server.close()
    for (const socket of this.#connections) socket.destroy()
  }

  async #listen(one: Published, { address, port }: Exclude<PublishedAt, { path: string }>): Promise<void> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
    this.#serveAt(one, server)
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve).once('error', reject)
      server.listen({ host: addressText(address), port })
      server.unref()
    })
  }

  async #listenByPath(one: Published, path: string): Promise<void> {
    const { server, remove } = await this.#parts.listenAt(path)
    if (this.#isClosed) {
      remove()
      server.close()
      return
    }
    this.#removes.push(remove)
    this.#serveAt(one, server)
    server.unref()
  }

  #serveAt(one: Published, server: Server): void {
    this.#servers.set(one, server)
    server.maxConnections = mostConnections
    // Of a descriptor that this process may not have: the next is tried.
    server.on('error', () => {})
    server.on('connection', (socket) => void this.#serve(socket, one.inside))
  }

  async #serve(outside: Socket, place: Published['inside']): Promise<void> {
    this.#keep(outside)
    try {
      const inside = await this.#parts.connect(place)
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

const notPublished = (at: PublishedAt, error: NodeJS.ErrnoException) =>
  new HostError(`cannot publish at ${publishedPlace(at)}: ${error.code ?? error.message}`, {
    ...{ code: error.code, hint: ('path' in at ? hintsOfPaths : hints)[error.code ?? ''], cause: error },
  })

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there: choose another port, or 0 for one that is free',
  EACCES: 'ports below 1024 are for root',
  EADDRNOTAVAIL: 'this host has no such address',
}

const hintsOfPaths: Readonly<Record<string, string>> = {
  EADDRINUSE: 'a file is there, or another program listens: choose another path',
  EACCES: 'this user may make no file there',
  ENOENT: 'its directory is not there',
  EROFS: 'that is read-only',
}

/** Hands on what comes, its end, and a reset. */
function join(from: Socket, to: Socket): void {
  from.pipe(to, { end: false })
  handOnEnd(from, to)
  from.once('close', (failed) => failed && resetSocket(to))
}
