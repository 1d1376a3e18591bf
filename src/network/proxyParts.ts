/** What both sides of the proxy work with: HTTP and SOCKS. */
import { parseHost } from '../policy/ipAddress.js'
import { normalName } from '../policy/networkNames.js'
import { lastPort, type Wanted } from '../policy/networkRules.js'
import type { Decider } from './decider.js'
import type { Meter } from './pump.js'
import type { RequestRules } from './requestRules.js'
import type { TcpRelay } from './tcpRelay.js'

/** Milliseconds that a client may say nothing while it waits for nothing. */
export const patience = 60_000

export interface ProxyParts {
  readonly relay: TcpRelay
  readonly decider: Decider
  readonly meter: Meter
  /** Of requests; absent: none are read. */
  readonly rules?: RequestRules | undefined
}

/** What a client names: undefined where that is no plain name and no address. */
export function wantedOf(decider: Decider, host: string, port: number): Wanted | undefined {
  if (!(port >= 1 && port <= lastPort)) return undefined
  const address = parseHost(host)
  if (address !== undefined) return decider.wantedAt('tcp', address, port)
  const name = normalName(host)
  return name === undefined ? undefined : { protocol: 'tcp', name, port }
}
