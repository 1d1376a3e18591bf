/** The server's side of HTTP for clients of a sandbox: of connections that others have accepted, and with a bound to what one may ask for. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Requests of one connection that wait for their answers: clients send one, or a few. Each takes some kilobytes, and nothing else would bound them. */
const mostWaiting = 16

export class RequestServer {
  readonly #server: Server
  /** Of each client, the requests that are not answered. */
  readonly #waiting = new WeakMap<Duplex, number>()

  /**
   * @param hand answers a request; where it rejects, the answer ends
   * @param keepAlive milliseconds between two requests; default: Node's
   */
  constructor(hand: (asked: IncomingMessage, answer: ServerResponse) => Promise<void>, keepAlive?: number) {
    this.#server = createServer({
      requestTimeout: 0,
      ...(keepAlive === undefined ? {} : { keepAliveTimeout: keepAlive }),
    })
    this.#server.on('request', (asked: IncomingMessage, answer: ServerResponse) => {
      const client = asked.socket
      const waiting = this.waiting(client) + 1
      this.#waiting.set(client, waiting)
      answer.once('close', () => this.#waiting.set(client, this.waiting(client) - 1))
      if (waiting > mostWaiting) client.destroy()
      else void hand(asked, answer).catch(() => answer.destroy())
    })
    this.#server.on('clientError', (_, client) => {
      client.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    })
  }

  /** Requests that leave HTTP: what is read behind them is `head`. */
  on(event: 'connect' | 'upgrade', take: (asked: IncomingMessage, client: Duplex, head: Buffer) => void): void {
    this.#server.on(event, take)
  }

  /** A client of which nothing has been read, or nothing that is not read again. */
  serve(client: Duplex): void {
    this.#server.emit('connection', client)
  }

  /** How many of a client's requests are not answered. */
  waiting(client: Duplex): number {
    return this.#waiting.get(client) ?? 0
  }
}
