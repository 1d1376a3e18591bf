/** What a caller of the library may hear and decide of a sandbox's network. */
import type { Protocol } from './networkRules.js'

/** Gives the addresses of a name; rejects with the code `ENOTFOUND` or `ENODATA` where there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>

/** A connection, or the first datagram to a destination, that no rule decides. */
export interface NetworkRequest {
  /** How. */
  readonly protocol: 'tcp' | 'udp'
  /** The name that the program asked for; absent where it knew an address. */
  readonly name?: string
  /** The address that it knew, where it asked for no name. */
  readonly address?: string
  /** The port there. */
  readonly port: number
}

/** Whether it may be reached. */
export type NetworkAnswer = boolean | 'allow' | 'deny'

/**
 * Decides what no rule decides. What it throws, or rejects with, denies. Of a name, the real address is looked up only when it was
 * allowed, and may still be refused, if it is special and not listed as an address.
 */
export type OnRequest = (request: NetworkRequest) => NetworkAnswer | Promise<NetworkAnswer>

/** `failed`: it was allowed, and could not be done. */
export type NetworkVerdict = 'allowed' | 'refused' | 'failed'

/** What happened in a sandbox's network. */
export interface NetworkEvent {
  /** Milliseconds since 1970. */
  readonly time: number
  /**
   * `decision`: what was wanted is allowed, or not. `request`: one of HTTP, where they are read. `end`: of a connection or conversation that was
   * allowed.
   */
  readonly event: 'decision' | 'request' | 'end'
  /** How; `dns`: a question for a name. */
  readonly protocol: Protocol | 'dns'
  /** The name that the program asked for. */
  readonly name?: string
  /** The address that it knew, where it asked for no name. */
  readonly address?: string
  /** The path of a unix socket that it connected to. */
  readonly path?: string
  /** Absent of a question for a name, and of a unix socket. */
  readonly port?: number
  /** `failed`: it was allowed, and could not be done. */
  readonly verdict: NetworkVerdict
  /** Why, or how it ended, in a few words. */
  readonly reason: string
  /** The rule that decided. */
  readonly rule?: string
  /** Of a request: its method. */
  readonly method?: string
  /** Of a request: where it went, without the query: `https://api.example.com/v1/models`. */
  readonly url?: string
  /** Of a request that was answered: the number of the answer. */
  readonly status?: number
  /** The address outside that was dialled, or the path. */
  readonly real?: string
  /** Bytes that the program got, at the end. */
  readonly bytesIn?: number
  /** Bytes that the program sent, at the end. */
  readonly bytesOut?: number
  /** How long it was there, at the end. */
  readonly ms?: number
}
