/** Connections of a sandbox: each is accepted, decided, dialled outside, and handed on both ways until both ends have ended. */
import type { Server, Socket } from 'node:net'
import { addressText, parseAddress } from '../policy/ipAddress.js'
import type { Wanted } from '../policy/networkRules.js'
import type { Decider } from './decider.js'
import { type Dial, dial, dialFault } from './dial.js'
import type { GatewayLimits, GatewayTimes } from './gatewayOptions.js'
import type { EventLog } from './networkEvents.js'
import { type NetworkMeter, overBy } from './meter.js'
import { BufferBudget, Pump, withOnread } from './pump.js'
import { resetSocket } from './resetSocket.js'
import { Turns } from './turns.js'

export interface RelayParts {
  readonly decider: Decider
  readonly log: EventLog
  readonly meter: NetworkMeter
  readonly limits: GatewayLimits
  readonly times: GatewayTimes
}

/** One that is there, or is being made. */
interface Connection {
  readonly wanted: Wanted
  /** Resets both ends. */
  readonly reset: (reason: string) => void
}

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

  take(server: Server): void {
    if (this.#ended) {
      server.close()
      return
    }
    // As of a server that was made with them: accepted sockets do not read, and the end of one way is not that of the other.
    Object.assign(server, { pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
    server.unref()
    // Of a descriptor that this process may not have: the next is tried.
    server.on('error', () => {})
    server.on('connection', (socket: Socket) => void this.#serve(socket))
    this.#servers.push(server)
  }

  /** Resets those that `isOver` names. */
  end(isOver: (wanted: Wanted) => boolean, reason: string): void {
    for (const { wanted, reset } of this.#connections) if (isOver(wanted)) reset(reason)
  }

  close(): void {
    this.#ended = true
    for (const server of this.#servers) server.close()
    for (const { reset } of this.#connections) reset('the sandbox has ended')
  }

  async #serve(accepted: Socket): Promise<void> {
    const { decider, log, limits } = this.#parts
    accepted.unref()
    accepted.on('error', () => {})
    const address = parseAddress(accepted.localAddress ?? '')
    const port = accepted.localPort
    // Reset before it was accepted.
    if (address === undefined || port === undefined) {
      accepted.destroy()
      return
    }
    const wanted = decider.wantedAt('tcp', address, port)
    const subject = wanted ?? { protocol: 'tcp' as const, address, port }
    const refuse = (reason: string) => {
      log.decision(subject, 'refused', { reason })
      resetSocket(accepted)
    }
    if (wanted === undefined) {
      refuse('the address was given to no name')
      return
    }
    if (this.#connections.size >= limits.connections) {
      refuse(`${limits.connections} connections are open`)
      return
    }
    let dialling: Dial | undefined
    const making: Connection = {
      wanted,
      reset: () => {
        resetSocket(accepted)
        dialling?.cancel()
      },
    }
    this.#connections.add(making)
    await this.#turns.take()
    try {
      if (accepted.destroyed) return
      await this.#make(accepted, wanted, (given) => {
        dialling = given
      })
    } finally {
      this.#turns.give()
      this.#connections.delete(making)
    }
  }

  async #make(accepted: Socket, wanted: Wanted, diallingIs: (dial: Dial) => void): Promise<void> {
    const { decider, log, meter, times } = this.#parts
    const decision = meter.isOver ? overBy(meter) : await decider.decide(wanted)
    if (accepted.destroyed || this.#ended) return
    if (decision.verdict !== 'allowed') {
      log.decision(wanted, decision.verdict, decision)
      resetSocket(accepted)
      return
    }
    const { rule } = decision
    const [out, back] = [new Pump(this.#budget, meter), new Pump(this.#budget, meter)]
    const dialling = dial(decision.addresses, wanted.port, back.onread, times.connect)
    diallingIs(dialling)
    try {
      const { socket, address } = await dialling.dialled
      if (accepted.destroyed || this.#ended) {
        socket.destroy()
        return
      }
      log.decision(wanted, 'allowed', { reason: 'a rule allows it', rule })
      this.#join(withOnread(accepted, out.onread), socket, { wanted, rule, real: addressText(address), out, back })
    } catch (error) {
      log.decision(wanted, 'failed', { reason: dialFault(error), rule })
      resetSocket(accepted)
    }
  }

  #join(
    inside: Socket,
    outside: Socket,
    about: {
      readonly wanted: Wanted
      readonly rule: string
      readonly real: string
      readonly out: Pump
      readonly back: Pump
    },
  ): void {
    const { wanted, rule, real, out, back } = about
    const { log, times } = this.#parts
    const started = performance.now()
    let reason = 'closed'
    let open = 2
    const reset = (why: string) => {
      if (open === 2) reason = why
      for (const socket of [inside, outside]) resetSocket(socket)
    }
    const connection: Connection = { wanted, reset }
    this.#connections.add(connection)
    for (const socket of [inside, outside]) {
      socket.unref()
      socket.on('error', (error) => reset(dialFault(error)))
      if (times.idle !== undefined) socket.setTimeout(times.idle, () => reset('nothing was said'))
      socket.once('close', (failed) => {
        open--
        // One that failed was reset; what it had sent before went first.
        if (failed) reset('reset')
        if (open > 0) return
        this.#connections.delete(connection)
        for (const pump of [out, back]) pump.close()
        const [bytesIn, bytesOut] = [back.bytes, out.bytes]
        log.end(wanted, 'allowed', { reason, rule, real, bytesIn, bytesOut, ms: performance.now() - started })
      })
    }
    out.start(inside, outside)
    back.start(outside, inside)
  }
}
