/** Connections of a sandbox: each is accepted, decided, dialled outside, and handed on both ways until both ends have ended. */
import type { OnReadOpts, Server, Socket } from 'node:net'
import { parseAddress } from '../policy/ipAddress.js'
import type { Wanted } from '../policy/networkRules.js'
import type { Decider } from './decider.js'
import { type Dial, dial, dialFault, dialPath } from './dial.js'
import type { GatewayLimits, GatewayTimes } from './gatewayOptions.js'
import type { EventLog } from './networkEvents.js'
import { type NetworkMeter, overBy } from './meter.js'
import { BufferBudget, Pump, withOnread } from './pump.js'
import type { Reached, ReadsRequests, Unreached } from './reached.js'
import { resetSocket } from './resetSocket.js'
import { Turns } from './turns.js'

export interface RelayParts {
  readonly decider: Decider
  readonly log: EventLog
  readonly meter: NetworkMeter
  readonly limits: GatewayLimits
  readonly times: GatewayTimes
  /** Who reads what is said on some connections. */
  readonly inspector?: ReadsRequests | undefined
}

/** One that is there, or is being made. */
interface Connection {
  readonly wanted: Wanted
  /** Resets both ends. */
  readonly reset: (reason: string) => void
  /** Whether all that its client has sent has gone out, and the client sends nothing more. */
  readonly isOut: () => boolean
  /** Closes both ends. */
  readonly leave: () => void
}

export interface Pumps {
  /** From the sandbox. */
  readonly out: Pump
  /** To it. */
  readonly back: Pump
}

/** The client has left meanwhile, or the sandbox has ended. */
const gone: Unreached = { verdict: 'failed', reason: 'it was left' }

export class TcpRelay {
  readonly #parts: RelayParts
  readonly #budget = new BufferBudget()
  readonly #turns: Turns
  readonly #connections = new Set<Connection>()
  readonly #servers: Server[] = []
  #ended = false

  constructor(parts: RelayParts) {
    this.#parts = parts
    this.#turns = new Turns(parts.limits.dials)
  }

  /** @param wanted of a server at which all want the same; undefined: where a program connected to tells it */
  take(server: Server, wanted?: Wanted): void {
    if (this.#ended) {
      server.close()
      return
    }
    // As of a server that was made with them: accepted sockets do not read, and the end of one way is not that of the other.
    Object.assign(server, { pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
    server.unref()
    // Of a descriptor that this process may not have: the next is tried.
    server.on('error', () => {})
    server.on('connection', (socket: Socket) => void this.#serve(socket, wanted))
    this.#servers.push(server)
  }

  /** Resets those that `isOver` names. */
  end(isOver: (wanted: Wanted) => boolean, reason: string): void {
    for (const { wanted, reset } of this.#connections) if (isOver(wanted)) reset(reason)
  }

  /** Whether nothing that was sent is still on its way, where no client sends more. */
  get isOut(): boolean {
    return [...this.#connections].every(({ isOut }) => isOut())
  }

  close(): void {
    this.#ended = true
    for (const server of this.#servers) server.close()
    for (const { isOut, leave, reset } of this.#connections)
      if (isOut()) leave()
      else reset('the sandbox has ended')
  }

  /**
   * Decides what a client wants, and connects to it. Never rejects. What comes of it is told to the log.
   * @param client is reset when it may not go on meanwhile
   * @param onread where the connection that is made reads to
   */
  async reach(wanted: Wanted, client: Socket, onread?: OnReadOpts): Promise<Reached | Unreached> {
    const { limits } = this.#parts
    if (this.#connections.size >= limits.connections)
      return this.#unreached(wanted, 'refused', { reason: `${limits.connections} connections are open` })
    let dialling: Dial | undefined
    const making: Connection = {
      wanted,
      reset: () => {
        resetSocket(client)
        dialling?.cancel()
      },
      isOut: () => client.destroyed,
      leave: () => client.destroy(),
    }
    this.#connections.add(making)
    await this.#turns.take()
    try {
      if (client.destroyed) return gone
      return await this.#make(wanted, client, onread, (given) => {
        dialling = given
      })
    } finally {
      this.#turns.give()
      this.#connections.delete(making)
    }
  }

  async #serve(accepted: Socket, known: Wanted | undefined): Promise<void> {
    accepted.unref()
    accepted.on('error', () => {})
    const wanted = known ?? this.#wantedBy(accepted)
    if (wanted === undefined) return
    const pumps = this.pumps()
    const reached = await this.reach(wanted, accepted, pumps.back.onread)
    if (reached.verdict !== 'allowed') resetSocket(accepted)
    else if (this.isRead(wanted)) this.#inspect(accepted, reached)
    else this.#join(withOnread(accepted, pumps.out.onread), reached, pumps)
  }

  /** What a program wants, by where it connected to; undefined: nothing that there is, and it is closed. */
  #wantedBy(accepted: Socket): Wanted | undefined {
    const { decider, log } = this.#parts
    const address = parseAddress(accepted.localAddress ?? '')
    const port = accepted.localPort
    // Reset before it was accepted.
    if (address === undefined || port === undefined) {
      accepted.destroy()
      return undefined
    }
    const wanted = decider.wantedAt('tcp', address, port)
    if (wanted === undefined) {
      log.decision({ protocol: 'tcp', address, port }, 'refused', { reason: 'the address was given to no name' })
      resetSocket(accepted)
    }
    return wanted
  }

  async #make(
    wanted: Wanted,
    client: Socket,
    onread: OnReadOpts | undefined,
    diallingIs: (dial: Dial) => void,
  ): Promise<Reached | Unreached> {
    const { decider, log, meter, times } = this.#parts
    const decision = meter.isOver ? overBy(meter) : await decider.decide(wanted)
    if (client.destroyed || this.#ended) return gone
    if (decision.verdict !== 'allowed') return this.#unreached(wanted, decision.verdict, decision)
    const { rule, path, addresses } = decision
    const reader = this.isRead(wanted) ? undefined : onread
    const dialling =
      path === undefined ? dial(addresses, wanted.port, reader, times.connect) : dialPath(path, reader, times.connect)
    diallingIs(dialling)
    try {
      const { socket, real } = await dialling.dialled
      if (client.destroyed || this.#ended) {
        socket.destroy()
        return gone
      }
      log.decision(wanted, 'allowed', { reason: 'a rule allows it', rule })
      return { verdict: 'allowed', wanted, rule, real, socket }
    } catch (error) {
      return this.#unreached(wanted, 'failed', { reason: dialFault(error), rule })
    }
  }

  #unreached(
    wanted: Wanted,
    verdict: Unreached['verdict'],
    why: { readonly reason: string; readonly rule?: string | undefined; readonly flag?: string | undefined },
  ): Unreached {
    this.#parts.log.decision(wanted, verdict, why)
    return { verdict, reason: why.reason }
  }

  /** Hands on both ways what these two say. `inside` reads as any socket does. */
  tunnel(inside: Socket, reached: Reached, pumps: Pumps): void {
    if (this.isRead(reached.wanted)) {
      this.#inspect(inside, reached)
      return
    }
    pumps.out.listen(inside)
    this.#join(inside, reached, pumps)
  }

  /**
   * A connection that its owner reads and writes: counted, and reset like all others.
   * @param client is reset with it where a rule ends it; else it is the owner's
   */
  follow(reached: Reached, client?: Socket): void {
    const { socket } = reached
    const isOut = () => socket.destroyed || socket.writableLength === 0
    const bytes = () => ({ bytesIn: socket.bytesRead, bytesOut: socket.bytesWritten })
    this.#watch([socket], reached, isOut, bytes, client)
  }

  /** Whether the requests on such a connection are read. */
  isRead(wanted: Wanted): boolean {
    return this.#parts.inspector?.has(wanted) ?? false
  }

  #inspect(inside: Socket, reached: Reached): void {
    this.follow(reached, inside)
    this.#parts.inspector!.serve(inside, reached)
  }

  /** What hands on the two ways of a connection. */
  pumps(): Pumps {
    const pump = () => new Pump(this.#budget, this.#parts.meter)
    return { out: pump(), back: pump() }
  }

  #join(inside: Socket, reached: Reached, { out, back }: Pumps): void {
    const outside = reached.socket
    const isOut = () => (inside.destroyed || inside.readableEnded) && (outside.destroyed || outside.writableFinished)
    this.#watch([inside, outside], reached, isOut, () => {
      for (const pump of [out, back]) pump.close()
      return { bytesIn: back.bytes, bytesOut: out.bytes }
    })
    out.start(inside, outside)
    back.start(outside, inside)
  }

  /** @param end is called when all are closed, and says what went through */
  #watch(
    sockets: readonly Socket[],
    { wanted, rule, real }: Reached,
    isOut: () => boolean,
    end: () => { readonly bytesIn: number; readonly bytesOut: number },
    client?: Socket,
  ): void {
    const { log, times } = this.#parts
    const started = performance.now()
    let reason = 'closed'
    let open = sockets.length
    const reset = (why: string) => {
      if (open === sockets.length) reason = why
      for (const socket of sockets) resetSocket(socket)
    }
    const leave = () => {
      for (const socket of sockets) socket.destroy()
    }
    const byRule = (why: string) => {
      reset(why)
      if (client !== undefined) resetSocket(client)
    }
    const connection: Connection = { wanted, reset: byRule, isOut, leave }
    this.#connections.add(connection)
    for (const socket of sockets) {
      socket.unref()
      socket.on('error', (error) => reset(dialFault(error)))
      if (times.idle !== undefined) socket.setTimeout(times.idle, () => reset('nothing was said'))
      socket.once('close', (failed) => {
        open--
        // One that failed was reset; what it had sent before went first.
        if (failed) reset('reset')
        if (open > 0) return
        this.#connections.delete(connection)
        log.end(wanted, 'allowed', { reason, rule, real, ...end(), ms: performance.now() - started })
      })
    }
  }
}
