/** Hands one request of HTTP on, and its answer back: RFC 9110, 7. Both are read and written anew, so that each end sees what was decided. */
import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type RequestOptions,
  type ServerResponse,
} from 'node:http'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Meter } from './pump.js'
import type { Unreached } from './reached.js'

/** RFC 9110, 7.6.1: these are about one connection; and two that clients send to a proxy alone. */
const hopByHop = new Set([
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings'],
  ...['proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
])

/** What is written anew. */
const ownHeaders = new Set(['host', 'content-length'])

/** How a request goes on. */
export interface Onward {
  /** By which connection; with the target as the server is to see it. */
  readonly options: Pick<RequestOptions, 'agent' | 'createConnection'> & { readonly path: string }
  readonly headers: OutgoingHttpHeaders
  readonly meter: Meter
  /** The client's connection lasts as long as that of the server: what it would send next would come to no one. */
  readonly isTied?: true
  /** Is called with what was made. */
  readonly begun?: (outgoing: ClientRequest) => void
}

/** Gives the number of the answer, when all of it has been handed back. What failed before it began is for the caller to tell the client. */
export async function forward(
  asked: IncomingMessage,
  answer: ServerResponse,
  { options, headers, meter, isTied, begun }: Onward,
): Promise<number | Unreached> {
  const outgoing = request({
    ...{ ...options, method: asked.method, setHost: false },
    headers: { ...headers, ...framing(asked) },
  })
  begun?.(outgoing)
  const sent = pipeline(asked, metered(meter), outgoing)
  sent.catch(() => {})
  const got = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject)
  }).catch((error: NodeJS.ErrnoException): Unreached => ({ verdict: 'failed', reason: error.code ?? error.message }))
  if ('verdict' in got) return got
  const last = isTied && !outgoing.shouldKeepAlive ? { connection: 'close' } : {}
  // What a HEAD request is told of a body is no framing.
  const { 'content-length': length } = got.headers
  const size = length === undefined ? {} : { 'content-length': length }
  answer.writeHead(got.statusCode!, got.statusMessage, { ...endToEnd(got), ...size, ...last })
  await pipeline(got, metered(meter), answer)
  return got.statusCode!
}

/**
 * How long the body is, as the client has said it, RFC 9112, 6. Node.js says nothing of it for GET and its like: a body would come to the server as
 * the beginning of another request, one that no rule has seen.
 */
function framing({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const { 'transfer-encoding': encoding, 'content-length': length } = headers
  if (encoding !== undefined) return { 'transfer-encoding': 'chunked' }
  return length === undefined ? {} : { 'content-length': length }
}

/** Hands on as fast as the limits let it. */
export const metered = (meter: Meter) =>
  new Transform({
    transform(bytes: Buffer, _, done) {
      const wait = meter.spend(bytes.length)
      if (wait > 0) setTimeout(done, wait, null, bytes)
      else done(null, bytes)
    },
  })

/** Headers that are for the other end, those that come more than once too; not what says how long the body is. */
export function endToEnd({ headers, headersDistinct }: IncomingMessage): Record<string, string | string[]> {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  return Object.fromEntries(
    Object.entries(headersDistinct).flatMap(([name, values]) =>
      hopByHop.has(name) || named.has(name) || ownHeaders.has(name) ? [] : [[name, values!]],
    ),
  )
}

/** RFC 9110, 15: a refusal is the proxy's own, a failure that of who is behind it. */
export const refusal = ({ verdict, reason, status }: Unreached) =>
  verdict === 'refused'
    ? { status: status ?? 403, text: `Refused: ${plain(reason)}` }
    : { status: 502, text: plain(reason) }

export function refuse(answer: ServerResponse, unreached: Unreached): void {
  const { status, text } = refusal(unreached)
  answer.writeHead(status, text, { 'content-type': 'text/plain', connection: 'close' }).end(`${text}\n`)
}

/** As part of a line of HTTP. */
const plain = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, '?')
