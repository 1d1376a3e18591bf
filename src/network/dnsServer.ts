/** The DNS server of a sandbox: reads questions from its sockets, and answers each once, if there are not too many. */
import type { Socket as UdpSocket } from 'node:dgram'
import type { Server, Socket } from 'node:net'
import { answerQuery, type Names } from './dnsAnswer.js'
import { resetSocket } from './resetSocket.js'
import { Tokens } from './tokens.js'
import { unanswerable } from './unanswerable.js'

/** Of one connection: how much may be unread, and how many questions may be unanswered before no more are read. */
const longestMessage = 4096
const mostUnanswered = 32
/** RFC 7766, 6.2.3: a few seconds. */
const idle = 10_000
/** Bytes of answers that wait for room in the asker's socket, by UDP. */
const mostWaiting = 262_144
/** Questions that wait for what is outside. */
const mostAsked = 512

export interface DnsLimits {
  /** Questions a second; four times as many at once. More are not answered by UDP, and wait by TCP. */
  readonly perSecond: number
  /** Connections at a time. */
  readonly connections: number
}

export class DnsServer {
  readonly #names: Names
  readonly #limits: DnsLimits
  readonly #tokens: Tokens
  readonly #connections = new Set<Socket>()
  #asked = 0
  #ended = false

  constructor(names: Names, limits: DnsLimits) {
    this.#names = names
    this.#limits = limits
    this.#tokens = new Tokens(limits.perSecond, 4 * limits.perSecond)
  }

  takeUdp(socket: UdpSocket): void {
    socket.on('message', (message, { port, address }) => {
      if (port === unanswerable) return
      if (this.#asked >= mostAsked || socket.getSendQueueSize() > mostWaiting || !this.#tokens.take()) return
      void this.#answer(message, 'udp').then((answer) => {
        // The answer to an asker that has gone is no error of the others'.
        if (answer !== undefined && !this.#ended) socket.send(answer, port, address, () => {})
      })
    })
  }

  takeTcp(server: Server): void {
    server.on('connection', (socket: Socket) => {
      socket.unref()
      socket.on('error', () => {})
      if (this.#connections.size >= this.#limits.connections) {
        resetSocket(socket)
        return
      }
      this.#connections.add(socket)
      socket.on('close', () => this.#connections.delete(socket))
      socket.setTimeout(idle, () => socket.destroy())
      this.#serve(socket)
    })
  }

  async #answer(message: Buffer, by: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    this.#asked++
    try {
      return await answerQuery(message, this.#names, by)
    } finally {
      this.#asked--
    }
  }

  /** RFC 1035, 4.2.2: each message has its length before it; answers may come in any order. */
  #serve(socket: Socket): void {
    let unread: Buffer = nothing
    let unanswered = 0
    let isEnding = false
    const read = () => {
      while (!socket.destroyed && unread.length >= 2 && unanswered < mostUnanswered) {
        const length = unread.readUInt16BE(0)
        if (length === 0 || length > longestMessage) {
          socket.destroy()
          return
        }
        if (unread.length < 2 + length) break
        const wait = this.#asked >= mostAsked ? waitForOthers : this.#tokens.spend(1)
        const message = Buffer.from(unread.subarray(2, 2 + length))
        unread = unread.subarray(2 + length)
        unanswered++
        void later(wait)
          .then(() => this.#answer(message, 'tcp'))
          .then((answer) => {
            unanswered--
            if (answer === undefined) socket.destroy()
            if (answer === undefined || socket.destroyed) return
            const head = Buffer.alloc(2)
            head.writeUInt16BE(answer.length)
            socket.write(Buffer.concat([head, answer]))
            read()
          })
      }
      if (unanswered >= mostUnanswered || socket.writableNeedDrain) socket.pause()
      else socket.resume()
      if (isEnding && unanswered === 0) socket.end()
    }
    socket.on('data', (bytes: Buffer) => {
      unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes])
      read()
    })
    socket.on('drain', read)
    socket.on('end', () => {
      isEnding = true
      read()
    })
  }

  close(): void {
    this.#ended = true
    for (const socket of this.#connections) socket.destroy()
  }
}

const nothing = Buffer.alloc(0)
const waitForOthers = 100

const later = (milliseconds: number): Promise<void> =>
  milliseconds === 0
    ? Promise.resolve()
    : new Promise((resolve) => {
        setTimeout(resolve, milliseconds).unref()
      })
