/** The HTTP side of the proxy, RFC 9110 and 9112: CONNECT, and requests with a whole address. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { patience, type ProxyParts, wantedOf } from './proxyParts.js'
import type { Unreached } from './tcpRelay.js'

/** RFC 9110, 7.6.1: these are about one connection; and two that clients send to a proxy alone. */
const hopByHop = new Set([
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
])

export class HttpProxy {
  readonly #parts: ProxyParts
  readonly #server: Server

  constructor(parts: ProxyParts) {
    this.#parts = parts
    this.#server = createServer({ requestTimeout: 0 })
    this.#server.on('connect', (asked: IncomingMessage, client: Socket, head: Buffer) => {
      void this.#connect(asked, client, head).catch(() => client.destroy())
    })
    this.#server.on('request', (asked: IncomingMessage, answer: ServerResponse) => {
      void this.#forward(asked, answer).catch(() => answer.destroy())
    })
    this.#server.on('clientError', (_, client) => {
      client.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    })
  }

  /** A client of which nothing has been read. */
  serve(client: Socket): void {
    this.#server.emit('connection', client)
  }

  async #connect(asked: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    const { relay, decider } = this.#parts
    client.pause()
    if (head.length > 0) client.unshift(head)
    const [, host, port] = /^(.+):(\d{1,5})$/.exec(asked.url ?? '') ?? []
    const wanted = host === undefined ? undefined : wantedOf(decider, host, Number(port))
    const pumps = relay.pumps()
    const reached = wanted === undefined ? notPlain : await relay.reach(wanted, client, pumps.back.onread)
    if (reached.verdict === 'allowed') {
      client.setTimeout(0)
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      relay.tunnel(client, reached, pumps)
      return
    }
    const { status, text } = refusal(reached)
    client.end(
      `HTTP/1.1 ${status} ${text}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${text.length + 1}\r\n\r\n${text}\n`,
    )
  }

  async #forward(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { relay, decider } = this.#parts
    const client = asked.socket
    client.setTimeout(0)
    answer.once('finish', () => client.setTimeout(patience))
    const url = URL.canParse(asked.url ?? '') ? new URL(asked.url!) : undefined
    const wanted = url?.protocol === 'http:' ? wantedOf(decider, url.hostname, Number(url.port || 80)) : undefined
    if (url === undefined || wanted === undefined) {
      refuse(answer, notPlain)
      return
    }
    const reached = await relay.reach(wanted, client)
    if (reached.verdict !== 'allowed') {
      refuse(answer, reached)
      return
    }
    relay.follow(reached)
    const { socket } = reached
    answer.once('close', () => answer.writableFinished || socket.destroy())
    const outgoing = request({
      createConnection: () => socket,
      method: asked.method,
      path: `${url.pathname}${url.search}`,
      setHost: false,
      headers: { ...endToEnd(asked), host: url.host, connection: 'close' },
    })
    // Its parser reads what flows, and it was paused when it was made.
    outgoing.once('socket', () => socket.resume())
    const sent = pipeline(asked, this.#metered(), outgoing)
    sent.catch(() => {})
    const got = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve).once('error', reject)
    }).catch((error: NodeJS.ErrnoException): Unreached => ({ verdict: 'failed', reason: error.code ?? error.message }))
    if ('verdict' in got) {
      refuse(answer, got)
      return
    }
    answer.writeHead(got.statusCode!, got.statusMessage, endToEnd(got))
    await pipeline(got, this.#metered(), answer)
  }

  /** Hands on as fast as the limits let it. */
  #metered(): Transform {
    const { meter } = this.#parts
    return new Transform({
      transform(bytes: Buffer, _, done) {
        const wait = meter.spend(bytes.length)
        if (wait > 0) setTimeout(done, wait, null, bytes)
        else done(null, bytes)
      },
    })
  }
}

/** A client may have named a host in any words. */
const notPlain: Unreached = { verdict: 'refused', reason: 'it names no host that a rule could list' }

/** RFC 9110, 15: a refusal is the proxy's own, a failure that of who is behind it. */
const refusal = ({ verdict, reason }: Unreached) =>
  verdict === 'refused' ? { status: 403, text: `Refused: ${plain(reason)}` } : { status: 502, text: plain(reason) }

function refuse(answer: ServerResponse, unreached: Unreached): void {
  const { status, text } = refusal(unreached)
  answer.writeHead(status, text, { 'content-type': 'text/plain', connection: 'close' }).end(`${text}\n`)
}

/** As part of a line of HTTP. */
const plain = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, '?')

/** Headers that are for the other end, those that come more than once too. */
function endToEnd({ headers, headersDistinct }: IncomingMessage): Record<string, string | string[]> {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  return Object.fromEntries(
    Object.entries(headersDistinct).flatMap(([name, values]) =>
      hopByHop.has(name) || named.has(name) || name === 'host' ? [] : [[name, values!]],
    ),
  )
}
