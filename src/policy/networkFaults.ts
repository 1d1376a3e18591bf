/** What a destination alone does not show to be wrong. */
import type { Fault } from '../text/error.js'
import { words } from '../text/words.js'
import { isOneAddress } from './ipAddress.js'
import { faultAt, key, type KeyPath, setting } from './keys.js'
import { covers, type Destination } from './networkRules.js'
import { usualPort } from './networkRequests.js'
import type { CheckedNetwork } from './networkSchema.js'
import { opensTls } from './networkSecrets.js'
import { isByProxy, mostSockets } from './networkSockets.js'
import type { CheckedPolicy } from './schema.js'

/** Sockets that stand for a destination: of IPv4 and IPv6, or of the one address or path that it is. */
const socketCount = ({ host, first, last }: Destination): number =>
  (last - first + 1) * (host.kind === 'address' || host.kind === 'path' ? 1 : 2)

/** Whether it is one host, which has addresses of its own inside. */
const isOneHost = ({ host }: Destination): boolean =>
  host.kind === 'name' || (host.kind === 'address' && isOneAddress(host.block))

export function networkFaults(policy: Pick<CheckedPolicy, 'network' | 'namespaces' | 'env' | 'filesystem'>): Fault[] {
  const { network, namespaces } = policy
  if (typeof network !== 'object') return authoritiesFaults(policy, false)
  return [
    ...socketFaults(network),
    ...((namespaces?.mount ?? 'new') === 'new' ? [] : pathsInside(network)).map((path) =>
      faultAt(path, words`a path inside needs mounts of its own: ${setting('namespaces.mount', 'new')}`),
    ),
    ...secretFaults(network, policy.env?.set ?? {}),
    ...inspectFaults(network),
    ...requestFaults(network),
    ...authoritiesFaults(policy, opensTls(network)),
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
    sockets += socketCount(destination)
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

/** Whether TLS is opened for all of a destination. */
const isOpened = ({ inspect = [] }: CheckedNetwork, destination: Destination) =>
  inspect === true || covers(inspect, destination)

/** RFC 9110, 4.2.2. */
const tlsPort = usualPort(true)

function secretFaults(network: CheckedNetwork, set: Readonly<Record<string, string>>): Fault[] {
  const { secrets = [] } = network
  return secrets.flatMap((secret, index): Fault[] => {
    const { for: destination, env, placeholder } = secret
    const at = `network.secrets[${index}]` as const
    if (destination.protocol !== 'tcp') return [faultAt(`${at}.for`, 'is not by TCP: no requests are read there')]
    if (destination.host.kind === 'any') return [faultAt(`${at}.for`, 'would give the secret to any host: name one')]
    if (destination.first <= tlsPort && tlsPort <= destination.last && !isOpened(network, destination))
      return [
        faultAt(
          `${at}.for`,
          words`needs ${key('network.inspect')} to list it too: in TLS there is no header that could be changed`,
        ),
      ]
    if (Object.hasOwn(set, env))
      return [faultAt(`${at}.env`, words`contradicts ${env} in ${key('env.set')}: leave one out`)]
    const other = secrets.slice(0, index).find((one) => one.env === env && one.placeholder !== placeholder)
    if (other !== undefined) return [faultAt(`${at}.placeholder`, `differs from another of the variable ${env}`)]
    return []
  })
}

const inspectFaults = ({ inspect = [] }: CheckedNetwork): Fault[] =>
  (inspect === true ? [] : inspect).flatMap(({ protocol }, index) =>
    protocol === 'tcp' ? [] : [faultAt(`network.inspect[${index}]`, 'is not by TCP: no requests are read there')],
  )

const requestFaults = (network: CheckedNetwork): Fault[] =>
  (network.requests ?? []).flatMap(({ secure, destination }, index) =>
    secure && !isOpened(network, destination)
      ? [
          faultAt(
            `network.requests[${index}]`,
            words`needs ${key('network.inspect')} to list its host too: in TLS no request can be read`,
          ),
        ]
      : [],
  )

/** The descriptor that their file is read from is one. */
function authoritiesFaults({ filesystem = [] }: Pick<CheckedPolicy, 'filesystem'>, isOpen: boolean): Fault[] {
  const files = filesystem.flatMap((entry, index) => ('file' in entry && entry.authorities ? [index] : []))
  return files.flatMap((index, place) => {
    if (!isOpen) return [faultAt(`filesystem[${index}].authorities`, words`needs ${key('network.inspect')}`)]
    return place === 0 ? [] : [faultAt(`filesystem[${index}].authorities`, 'is a second one: there is one such file')]
  })
}
