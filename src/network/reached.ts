/** What came of a connection that a client wants. */
import type { Socket } from 'node:net'
import type { Wanted } from '../policy/networkRules.js'

/** A connection that was made. */
export interface Reached {
  readonly verdict: 'allowed'
  readonly wanted: Wanted
  readonly rule: string
  /** The address, or the path, that was dialled. */
  readonly real: string
  /** Does not read yet. */
  readonly socket: Socket
}

/** None: a rule, a limit or the other end refused it. */
export interface Unreached {
  readonly verdict: 'refused' | 'failed'
  readonly reason: string
  /** The answer of HTTP that says so; default: that of the verdict. */
  readonly status?: number | undefined
}

/** Who reads the requests on some connections. */
export interface ReadsRequests {
  /** Whether connections to there are for {@link serve}. */
  has(wanted: Wanted): boolean
  /** A client that has said nothing that was read, and the connection that was made for it. */
  serve(client: Socket, reached: Reached): void
}
