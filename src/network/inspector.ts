/**
 * Connections whose requests are read. TLS is ended here, by a certificate of the sandbox's own authority, and begun anew to the server, whose
 * certificate is checked. A client's connection and the server's last equally long: what is decided of one holds for both.
 */
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { addressText } from '../policy/ipAddress.js'
import { normalName } from '../policy/networkNames.js'
import type { Wanted } from '../policy/networkRules.js'
import { HostError } from '../text/error.js'
import { Authority } from './authority.js'
import { onFirstByte } from './firstByte.js'
import { trustedInside, trustedOutside } from './hostAuthorities.js'
import { forward, refuse } from './httpForward.js'
import { isWebSocket, upgrade, withoutUpgrade } from './httpUpgrade.js'
import type { Meter } from './pump.js'
import { patience } from './proxyParts.js'
import { resetSocket } from './resetSocket.js'
import type { Admitted, RequestRules } from './requestRules.js'
import { RequestServer } from './requestServer.js'
import type { Reached, ReadsRequests } from './reached.js'

/** RFC 8446, 5.1: the first byte of a client's handshake, which begins no request. */
const handshake = 22
/** Requests are read one by one: RFC 7301. */
const protocols = ['http/1.1']

/** At a time; more are reset. */
const mostClients = 1024

/** What a client's connection is for. */
interface Link {
  readonly wanted: Wanted
  readonly secure: boolean
  /** Gives the one connection to the server. */
  readonly agent: Agent
  /** The server's connection has closed: the client's closes behind what is being answered. */
  isOver: boolean
}

export class Inspector implements ReadsRequests {
  readonly #rules: RequestRules
  readonly #meter: Meter
  #own: Authority | undefined
  readonly #more: string | undefined
  readonly #server: RequestServer
  readonly #links = new WeakMap<Duplex, Link>()
  /** Also those whose server has closed its connection, which count as none any more. */
  readonly #clients = new Set<Socket>()
  #trusted: SecureContext | undefined

  /** @param authorities PEM of those that are trusted outside beside the host's */
  constructor(rules: RequestRules, meter: Meter, authorities: string | undefined) {
    this.#rules = rules
    this.#meter = meter
    this.#more = authorities
    this.#server = new RequestServer((asked, answer) => this.#hand(asked, answer), patience)
    this.#server.on('upgrade', (asked, client, head) => this.#upgrade(asked, client as Socket, head))
  }

  /** All that the sandbox trusts, as PEM. */
  get certificates(): string {
    return trustedInside(this.#authority.certificate)
  }

  get #authority(): Authority {
    this.#own ??= new Authority()
    return this.#own
  }

  has(wanted: Wanted): boolean {
    return this.#rules.read(wanted)
  }

  serve(client: Socket, { wanted, socket: server }: Reached): void {
    if (this.#clients.size >= mostClients) {
      resetSocket(client)
      server.destroy()
      return
    }
    this.#clients.add(client)
    client.once('close', () => this.#clients.delete(client))
    client.setTimeout(patience, () => client.destroy())
    // A client that stays when the server has closed is given no more time, whatever it does.
    server.once('close', () => {
      const last = setTimeout(() => client.destroy(), patience).unref()
      client.once('close', () => clearTimeout(last))
    })
    const leave = () => server.destroy()
    client.once('end', () => client.bytesRead === 0 && leave())
    client.once('close', leave)
    onFirstByte(client, (byte) => {
      if (byte !== handshake) this.#speak(client, server, { wanted, secure: false })
      else if (this.#rules.opensTls(wanted)) this.#openTls(client, server, wanted)
      else resetSocket(client)
    })
  }

  #openTls(client: Socket, server: Socket, wanted: Wanted): void {
    const context = this.#authority.contextOf(wanted)
    // What comes is read beneath it from now on: it would seem silent.
    client.setTimeout(0)
    const inside = new TLSSocket(client, {
      ...{ isServer: true, secureContext: context, ALPNProtocols: protocols },
      SNICallback: (name, done) =>
        wanted.name !== undefined && normalName(name) === wanted.name
          ? done(null, context)
          : done(new HostError('not the host of the connection')),
    })
    inside.setTimeout(patience, () => client.destroy())
    inside.on('error', () => client.destroy())
    const host = wanted.name ?? addressText(wanted.address!)
    this.#trusted ??= createSecureContext({ ca: trustedOutside(this.#more) })
    const beyond = connect({
      ...{ socket: server, host, secureContext: this.#trusted, ALPNProtocols: protocols },
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      // RFC 6066, 3: an address is no name of a server.
      ...(wanted.name === undefined ? {} : { servername: wanted.name }),
    })
    this.#speak(inside, beyond, { wanted, secure: true })
  }

  #speak(client: Socket, server: Socket, { wanted, secure }: Pick<Link, 'wanted' | 'secure'>): void {
    let isGiven = false
    let fault: Error | undefined
    const agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), {
      createConnection: (_: object, done: (error: Error | null, socket?: Duplex) => void) => {
        if (isGiven || server.destroyed) done(fault ?? new HostError('the server has closed the connection'))
        else if (secure && !(server as TLSSocket).authorized) {
          server.once('secureConnect', () => done(null, server)).once('error', done)
        } else done(null, server)
        isGiven = true
      },
    })
    const link: Link = { wanted, secure, agent, isOver: false }
    this.#links.set(client, link)
    server.once('close', () => {
      link.isOver = true
      // What failed is told to the first who asks.
      if (this.#server.waiting(client) === 0 && (isGiven || fault === undefined)) client.destroySoon()
    })
    server.on('error', (error) => {
      fault ??= error
    })
    server.resume()
    this.#server.serve(client)
  }

  async #hand(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const client = asked.socket
    const link = this.#links.get(client)!
    const { wanted, secure, agent } = link
    answer.once('close', () => {
      if (link.isOver) client.destroySoon()
    })
    client.setTimeout(0)
    answer.sendDate = false
    answer.once('finish', () => client.setTimeout(patience))
    const admitted = this.#admit(asked, { wanted, secure })
    if (admitted.verdict !== 'allowed') {
      refuse(answer, admitted)
      return
    }
    answer.once('close', () => answer.writableFinished || agent.destroy())
    const came = await forward(asked, answer, {
      options: { agent, path: admitted.target },
      headers: admitted.headers,
      meter: this.#meter,
      isTied: true,
    })
    admitted.told(came)
    if (typeof came === 'object') refuse(answer, came)
  }

  #admit(
    asked: IncomingMessage,
    { wanted, secure }: Pick<Link, 'wanted' | 'secure'>,
  ): Admitted & { readonly target: string } {
    const { target, host } = targetOf(asked)
    const admitted =
      target === undefined
        ? ({ verdict: 'refused', reason: 'it asks for no path', status: 400 } as const)
        : this.#rules.admit({ asked, wanted, secure, target, host })
    return { ...admitted, target: target ?? '/' }
  }

  #upgrade(asked: IncomingMessage, client: Socket, head: Buffer): void {
    const { wanted, secure, agent } = this.#links.get(client)!
    // The answers to requests before would come behind.
    if (this.#server.waiting(client) > 0) {
      client.destroy()
      return
    }
    if (!isWebSocket(asked)) {
      // RFC 9110, 7.8: a server may leave it, and answer as if it were not there.
      client.unshift(Buffer.concat([withoutUpgrade(asked), head]))
      this.#server.serve(client)
      return
    }
    client.setTimeout(0)
    const admitted = this.#admit(asked, { wanted, secure })
    upgrade({ asked, client, head, agent, target: admitted.target, admitted, meter: this.#meter })
  }
}

/** RFC 9112, 3.2: a path, a whole address, or `*`; undefined: anything else, which a server could read as one of these. */
function targetOf({ url = '' }: IncomingMessage): { readonly target: string | undefined; readonly host?: string } {
  if (url.startsWith('/') || url === '*') return { target: url }
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return { target: undefined }
  const { pathname, search, host } = new URL(url)
  return { target: `${pathname}${search}`, host }
}
