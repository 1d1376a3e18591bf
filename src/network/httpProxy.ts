/** The HTTP side of the proxy, RFC 9110 and 9112: CONNECT, and requests with a whole address. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { endToEnd, forward, refuse } from './httpForward.js'
import { refusedText } from './httpUpgrade.js'
import { patience, type ProxyParts, wantedOf } from './proxyParts.js'
import { RequestServer } from './requestServer.js'
import type { Unreached } from './reached.js'

export class HttpProxy {
  readonly #parts: ProxyParts
  readonly #server: RequestServer

  constructor(parts: ProxyParts) {
    this.#parts = parts
    this.#server = new RequestServer((asked, answer) => this.#forward(asked, answer))
    this.#server.on('connect', (asked, client, head) => {
      void this.#connect(asked, client as Socket, head).catch(() => client.destroy())
    })
  }

  /** A client of which nothing has been read. */
  serve(client: Socket): void {
    this.#server.serve(client)
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
    client.end(refusedText(reached))
  }

  async #forward(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { relay, decider, meter, rules } = this.#parts
    const client = asked.socket
    client.setTimeout(0)
    answer.once('finish', () => client.setTimeout(patience))
    const url = URL.canParse(asked.url ?? '') ? new URL(asked.url!) : undefined
    const wanted = url?.protocol === 'http:' ? wantedOf(decider, url.hostname, Number(url.port || 80)) : undefined
    if (url === undefined || wanted === undefined) {
      refuse(answer, notPlain)
      return
    }
    const target = `${url.pathname}${url.search}`
    const admitted = rules?.read(wanted)
      ? rules.admit({ asked, wanted, secure: false, target, host: url.host })
      : undefined
    if (admitted?.verdict === 'refused') {
      refuse(answer, admitted)
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
    const came = await forward(asked, answer, {
      options: { createConnection: () => socket, path: target },
      headers: { ...(admitted?.headers ?? { ...endToEnd(asked), host: url.host }), connection: 'close' },
      meter,
      // Its parser reads what flows, and it was paused when it was made.
      begun: (outgoing) => outgoing.once('socket', () => socket.resume()),
    })
    admitted?.told(came)
    if (typeof came === 'object') refuse(answer, came)
  }
}

/** A client may have named a host in any words. */
const notPlain: Unreached = { verdict: 'refused', reason: 'it names no host that a rule could list' }
