/** The sockets in a sandbox's network namespace by which Node.js, outside, learns what its programs ask for. */
import { type IpAddress, isOneAddress, parseAddress } from './ipAddress.js'
import { dnsAddresses, dnsPort, type FakeAddresses, fixedAddresses } from './networkAddresses.js'
import type { Destination, InternetProtocol } from './networkRules.js'
import type { CheckedNetwork } from './networkSchema.js'

/** One of them: Node.js gets it with its place in the list. */
export type NetworkSocket = InternetSocket | PathSocket

export interface InternetSocket {
  readonly protocol: InternetProtocol
  /** Who answers there: the resolver, what connects to a destination of the policy, or to what a client of the proxy names. */
  readonly role: 'dns' | 'destination' | 'proxy'
  /** 0 is any address of its kind. */
  readonly address: IpAddress
  readonly port: number
}

/** At a path inside. */
export interface PathSocket {
  readonly protocol: 'unix'
  readonly role: 'destination'
  readonly path: string
}

/** Each is a socket of this process's, for as long as a sandbox lives: see "ulimit -n". */
export const mostSockets = 512

/** Whether only a client of the proxy reaches this: of so many ports, none has a socket. */
export const isByProxy = ({ protocol, first, last }: Destination): boolean =>
  protocol === 'tcp' && last - first >= mostSockets

/** Those that have sockets: of a destination that only clients of the proxy reach, none is there. */
export const direct = (destinations: readonly Destination[], hasProxy: boolean): readonly Destination[] =>
  hasProxy ? destinations.filter((destination) => !isByProxy(destination)) : destinations

const both = ({ v4, v6 }: FakeAddresses): IpAddress[] => [v4, v6].map((text) => parseAddress(text)!)
/** Of the sandbox's loopback device. */
const [v4, v6] = both(dnsAddresses) as [IpAddress, IpAddress]
export const ownAddresses = { v4, v6 }

const loopback: FakeAddresses = { v4: '127.0.0.1', v6: '::1' }

const anyAddress: readonly IpAddress[] = [
  { family: 4, value: 0n },
  { family: 6, value: 0n },
]

/** Those of the resolver, and of each destination one for each of its addresses and ports. */
export function socketsOf({
  allow = [],
  onRequest,
  proxy,
}: Pick<CheckedNetwork, 'allow' | 'onRequest' | 'proxy'>): NetworkSocket[] {
  const names = fixedAddresses(allow)
  const dns = (['udp', 'tcp'] as const).map(
    (protocol): NetworkSocket => ({ protocol, role: 'dns', address: ownAddresses.v4, port: dnsPort }),
  )
  const listed = direct(allow, proxy !== undefined)
  const asked = onRequest === undefined ? [] : askedAt(listed)
  const proxies =
    proxy === undefined
      ? []
      : both(loopback).map((address): NetworkSocket => ({ protocol: 'tcp', role: 'proxy', address, port: proxy }))
  return distinct([...dns, ...proxies, ...destinationSockets(listed, (name) => names.get(name)!), ...asked])
}

/** Of each destination one for each of its addresses and ports, or for its path. */
export function destinationSockets(
  destinations: readonly Destination[],
  addressesOf: (name: string) => FakeAddresses,
): NetworkSocket[] {
  const sockets = destinations.flatMap((destination): NetworkSocket[] => {
    const { protocol, host, first, last } = destination
    if (protocol === 'unix') return [{ protocol, role: 'destination', path: host.inside }]
    const addresses =
      host.kind === 'name'
        ? both(addressesOf(host.name))
        : host.kind === 'address' && isOneAddress(host.block)
          ? [host.block]
          : anyAddress
    return portsOf({ first, last }).flatMap((port) =>
      addresses.map(
        ({ family, value }): NetworkSocket => ({
          protocol,
          role: 'destination',
          address: { family, value },
          port,
        }),
      ),
    )
  })
  return distinct(sockets)
}

/** Each once; one at any address stands for all of its port. */
function distinct(sockets: readonly NetworkSocket[]): NetworkSocket[] {
  const byKey = new Map(sockets.map((socket) => [socketKey(socket), socket]))
  return [...byKey.values()].filter((socket) => isAtAny(socket) || !byKey.has(socketKey(atAny(socket))))
}

/** Whether it waits at more than one address, or at none. */
export const isAtAny = (socket: NetworkSocket): boolean => socket.protocol === 'unix' || socket.address.value === 0n

/** That which waits at any address of its kind, in the place of one. */
export const atAny = (socket: NetworkSocket): NetworkSocket =>
  socket.protocol === 'unix' ? socket : { ...socket, address: { ...socket.address, value: 0n } }

/** Where it is a function that decides: at the web's ports, and at those that are listed for others. */
function askedAt(allow: readonly Destination[]): NetworkSocket[] {
  const listed = allow.filter(({ protocol }) => protocol === 'tcp').flatMap(portsOf)
  return [...new Set([80, 443, ...listed])].flatMap((port) =>
    anyAddress.map((address): NetworkSocket => ({ protocol: 'tcp', role: 'destination', address, port })),
  )
}

const portsOf = ({ first, last }: Pick<Destination, 'first' | 'last'>): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** No two sockets have the same. */
export const socketKey = (socket: NetworkSocket): string => {
  if (socket.protocol === 'unix') return `unix ${socket.path}`
  const { protocol, address, port } = socket
  return `${protocol} ${address.family} ${address.value} ${port}`
}
