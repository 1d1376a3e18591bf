/** What a destination alone does not show to be wrong. */
import type { Fault } from '../text/error.js'
import { words } from '../text/words.js'
import { isOneAddress } from './ipAddress.js'
import { faultAt, type KeyPath, setting } from './keys.js'
import type { Destination } from './networkRules.js'
import { isByProxy, mostSockets } from './networkSockets.js'
import type { CheckedNetwork } from './networkSchema.js'
import type { CheckedPolicy } from './schema.js'

/** Sockets that stand for a destination: of IPv4 and IPv6, or of the one address or path that it is. */
const socketsOf = ({ host, first, last }: Destination): number =>
  (last - first + 1) * (host.kind === 'address' || host.kind === 'path' ? 1 : 2)

/** Whether it is one host, which has addresses of its own inside. */
const isOneHost = ({ host }: Destination): boolean =>
  host.kind === 'name' || (host.kind === 'address' && isOneAddress(host.block))

export function networkFaults({ network, namespaces }: Pick<CheckedPolicy, 'network' | 'namespaces'>): Fault[] {
  if (typeof network !== 'object') return []
  return [
    ...socketFaults(network),
    ...((namespaces?.mount ?? 'new') === 'new' ? [] : pathsInside(network)).map((path) =>
      faultAt(path, words`a path inside needs mounts of its own: ${setting('namespaces.mount', 'new')}`),
    ),
  ]
}

/** What is about the path of a unix socket inside. */
const pathsInside = ({ allow = [], publish = [] }: CheckedNetwork): KeyPath[] => [
  ...allow.flatMap(({ protocol }, index) => (protocol === 'unix' ? [`network.allow[${index}]` as const] : [])),
  ...publish.flatMap(({ inside }, index) => (typeof inside === 'string' ? [`network.publish[${index}]` as const] : [])),
]

function socketFaults({ allow = [], proxy }: CheckedNetwork): Fault[] {
  const leadsTo = new Map<string, string>()
  let sockets = 0
  return allow.flatMap((destination, index) => {
    if (proxy !== undefined && isByProxy(destination)) return []
    if (
      destination.protocol === 'tcp' &&
      proxy !== undefined &&
      destination.first <= proxy &&
      proxy <= destination.last
    )
      return [faultAt(`network.allow[${index}]`, `port ${proxy} is that of the proxy inside: choose another for that`)]
    if (destination.protocol === 'unix') {
      const { inside, outside } = destination.host
      const other = leadsTo.get(inside) ?? outside
      leadsTo.set(inside, other)
      if (other !== outside)
        return [faultAt(`network.allow[${index}]`, `${inside} leads to ${other} already: choose another path inside`)]
    }
    const before = sockets
    sockets += socketsOf(destination)
    if (destination.protocol === 'udp' && !isOneHost(destination))
      return [
        faultAt(
          `network.allow[${index}]`,
          'udp needs the name or the address of one host: a datagram does not tell this process where it was sent',
        ),
      ]
    if (before <= mostSockets && sockets > mostSockets)
      return [
        faultAt(
          `network.allow[${index}]`,
          `is one too many: each port of a destination takes a socket or two, and there are at most ${mostSockets}; a proxy reaches any port`,
        ),
      ]
    return []
  })
}
