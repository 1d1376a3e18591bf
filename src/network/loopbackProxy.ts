/**
 * A proxy on the sandbox's loopback, for programs that insist on one, and for hosts of which any port is allowed: HTTP (CONNECT, and whole
 * addresses) and SOCKS 5 at one port. What a client asks for in words is decided as every connection is.
 */
import type { Server, Socket } from 'node:net'
import { onFirstByte } from './firstByte.js'
import { HttpProxy } from './httpProxy.js'
import { patience, type ProxyParts } from './proxyParts.js'
import { resetSocket } from './resetSocket.js'
import { serveSocks, socksVersion } from './socksProxy.js'

/** Clients at a time that have not yet a connection, or none at the moment. */
const mostClients = 256

export class LoopbackProxy {
  readonly #parts: ProxyParts
  readonly #http: HttpProxy
  readonly #servers: Server[] = []
  readonly #clients = new Set<Socket>()
  #ended = false

  constructor(parts: ProxyParts) {
    this.#parts = parts
    this.#http = new HttpProxy(parts)
  }

  take(server: Server): void {
    if (this.#ended) {
      server.close()
      return
    }
    Object.assign(server, { allowHalfOpen: true, noDelay: true })
    server.unref()
    server.on('error', () => {})
    server.on('connection', (socket: Socket) => this.#serve(socket))
    this.#servers.push(server)
  }

  close(): void {
    this.#ended = true
    for (const server of this.#servers) server.close()
    for (const client of this.#clients) resetSocket(client)
  }

  #serve(client: Socket): void {
    client.unref()
    client.on('error', () => {})
    if (this.#clients.size >= mostClients) {
      resetSocket(client)
      return
    }
    this.#clients.add(client)
    client.once('close', () => this.#clients.delete(client))
    client.setTimeout(patience, () => client.destroy())
    // One that says nothing at all.
    client.once('end', () => client.bytesRead === 0 && client.end())
    onFirstByte(client, (byte) => {
      if (byte === socksVersion) void serveSocks(client, this.#parts).catch(() => client.destroy())
      else this.#http.serve(client)
    })
  }
}
