/** Requests that ask for another protocol on their connection, RFC 9110, 7.8: WebSocket is handed on, RFC 6455; others go on as requests. */
import { type Agent, type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { endToEnd, metered, refusal } from './httpForward.js'
import type { Meter } from './pump.js'
import type { Admitted } from './requestRules.js'
import type { Unreached } from './reached.js'

const protocol = 'websocket'

export const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === protocol

/** The request as it was, but for that wish: a server may leave it unheard. */
export function withoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 1 || /^(?:upgrade|http2-settings|connection)$/i.test(name)
      ? []
      : [`${name}: ${rawHeaders[index + 1]}`],
  )
  return Buffer.from(`${[`${method} ${url} HTTP/${httpVersion}`, ...lines].join('\r\n')}\r\n\r\n`, 'latin1')
}

interface Upgrade {
  readonly asked: IncomingMessage
  readonly client: Duplex
  /** What the client has sent behind its request. */
  readonly head: Buffer
  /** Gives the connection to the server. */
  readonly agent: Agent
  readonly target: string
  readonly admitted: Admitted
  readonly meter: Meter
}

export function upgrade({ asked, client, head, agent, target, admitted, meter }: Upgrade): void {
  client.on('error', () => {})
  if (admitted.verdict !== 'allowed') {
    client.end(refusedText(admitted))
    return
  }
  const { headers, told } = admitted
  const outgoing = request({
    ...{ agent, path: target, method: asked.method, setHost: false },
    headers: { ...headers, connection: 'upgrade', upgrade: protocol },
  })
  outgoing.once('upgrade', (got, server, rest) => {
    told(got.statusCode!)
    client.write(`${lineOf(got)}connection: upgrade\r\nupgrade: ${protocol}\r\n${linesOf(got)}\r\n`)
    server.on('error', () => {})
    if (rest.length > 0) server.unshift(rest)
    if (head.length > 0) client.unshift(head)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const)
      pipeline(from, metered(meter), to).catch(() => client.destroy())
  })
  outgoing.once('response', (got) => {
    told(got.statusCode!)
    // Nothing else comes on these connections.
    client.once('close', () => agent.destroy())
    client.write(`${lineOf(got)}connection: close\r\n${linesOf(got)}\r\n`)
    pipeline(got, metered(meter), client).catch(() => client.destroy())
  })
  outgoing.once('error', (error: NodeJS.ErrnoException) => {
    const reason = error.code ?? error.message
    told({ reason })
    client.end(refusedText({ verdict: 'failed', reason }))
  })
  outgoing.end()
}

const lineOf = ({ statusCode, statusMessage }: IncomingMessage) => `HTTP/1.1 ${statusCode} ${statusMessage}\r\n`

const linesOf = (got: IncomingMessage) =>
  Object.entries(endToEnd(got))
    .flatMap(([name, values]) => [values].flat().map((value) => `${name}: ${value}\r\n`))
    .join('')

/** A whole answer. */
export function refusedText(unreached: Unreached): string {
  const { status, text } = refusal(unreached)
  return `HTTP/1.1 ${status} ${text}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${text.length + 1}\r\n\r\n${text}\n`
}
