/** What a gateway is told besides its rules, and what it does where it is told nothing. */
import type { Inspected } from '../policy/networkSecrets.js'
import type { NetworkEvent, OnRequest, Resolve } from '../policy/networkCalls.js'

export interface GatewayLimits {
  /** TCP connections at a time; more are reset. */
  readonly connections: number
  /** Connections that are being made outside at a time; more wait. */
  readonly dials: number
  /** UDP conversations at a time (a program's port with a destination); beyond, the one that was silent longest ends. */
  readonly conversations: number
  /** DNS questions a second. */
  readonly questions: number
  /** All bytes, both ways; behind them all ends. */
  readonly bytes: number
  /** Bytes a second, both ways; beyond, programs wait. */
  readonly bytesPerSecond: number
}

/** Memory is flat below these: a connection that is idle takes some 40 KB of it. */
export const defaultLimits: GatewayLimits = {
  connections: 1024,
  dials: 128,
  conversations: 256,
  questions: 500,
  bytes: Number.POSITIVE_INFINITY,
  bytesPerSecond: Number.POSITIVE_INFINITY,
}

/** Milliseconds. */
export interface GatewayTimes {
  /** In which a connection outside has to be made, over all addresses. */
  readonly connect: number
  /** After which a TCP connection ends on which nothing was said; default: never. */
  readonly idle: number | undefined
  /** The same of a UDP conversation. */
  readonly silent: number
}

export const defaultTimes: GatewayTimes = { connect: 15_000, idle: undefined, silent: 60_000 }

export interface GatewayOptions extends Inspected {
  /** Certificates, as PEM, of authorities that are trusted outside beside those of this host. */
  readonly authorities?: string | undefined
  readonly onRequest?: OnRequest | undefined
  /** Is told of each decision, and of the end of each connection. */
  readonly onEvent?: ((event: NetworkEvent) => void) | undefined
  /** Looks up the real addresses of names; default: as any program of the host does. */
  readonly resolve?: Resolve | undefined
  readonly limits?: Partial<GatewayLimits> | undefined
  readonly times?: Partial<GatewayTimes> | undefined
  /** Whether names have addresses of IPv6 inside; default true. */
  readonly hasV6?: boolean | undefined
}
