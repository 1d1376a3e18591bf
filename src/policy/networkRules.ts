/**
 * Which destinations a rule of `network` is about: `api.example.com:443`, `*.example.org:80`, `udp:[2001:db8::1]:123`, `10.0.0.0/8:*`,
 * `unix:/run/app.sock`.
 */
import {
  addressText,
  beyondPrefix,
  bitsOf,
  type IpAddress,
  type IpBlock,
  inBlock,
  isOneAddress,
  parseBlock,
} from './ipAddress.js'
import { isLocalName, readName } from './networkNames.js'
import { readSocketPath } from './networkPaths.js'
import { isFault, type Read, reading } from './reading.js'

export type InternetProtocol = 'tcp' | 'udp'
export type Protocol = InternetProtocol | 'unix'

/** Which hosts. */
export type InternetHost =
  /** The one of this name. */
  | { readonly kind: 'name'; readonly name: string }
  /** Those whose name ends with this one, and has more before: `*.example.org`. */
  | { readonly kind: 'below'; readonly name: string }
  /** Those of this block of addresses; one address is a block of all its bits. */
  | { readonly kind: 'address'; readonly block: IpBlock }
  | { readonly kind: 'any' }

/** A unix socket of this host, and the path at which programs inside connect to it. */
export interface SocketHost {
  readonly kind: 'path'
  readonly outside: string
  readonly inside: string
}

/** What one rule is about, as data. */
export type Destination = InternetDestination | SocketDestination

export interface InternetDestination {
  readonly protocol: InternetProtocol
  readonly host: InternetHost
  /** The first and the last of its ports. */
  readonly first: number
  readonly last: number
}

export interface SocketDestination {
  readonly protocol: 'unix'
  readonly host: SocketHost
  /** It has no ports. */
  readonly first: typeof noPort
  readonly last: typeof noPort
}

/** In place of the port of what has none. */
export const noPort = 0

/** What a program wants to reach: by a name, by an address that it knew, or by a path. */
export interface Wanted {
  readonly protocol: Protocol
  readonly name?: string | undefined
  readonly address?: IpAddress | undefined
  readonly path?: string | undefined
  readonly port: number
}

const example =
  'such as "api.example.com:443", "*.example.org:80", "10.0.0.5:5432", "udp:[2001:db8::1]:123" or "unix:/run/app.sock"'

/** Protocol, host, port; the host may have colons only between brackets. */
const shape = /^(?:(tcp|udp):)?(\[[^\]]*\]|[^:[\]]*):([^:[\]]*)$/i

function readDestination(text: string): Read<Destination> {
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(text)) return { fault: `is a URL; a destination is a host and a port, ${example}` }
  if (/^unix:/i.test(text)) return readSockets(text.slice('unix:'.length))
  const found = shape.exec(text)
  if (found === null)
    return {
      fault: parseBlock(text.replace(/:[^:]*$/, ''))?.family === 6 ? bracketsFault : `must be HOST:PORT, ${example}`,
    }
  const [, protocol = 'tcp', host = '', port = ''] = found
  const ports = readPorts(port)
  if (isFault(ports)) return ports
  const read = readHost(host)
  if (isFault(read)) return read
  return { protocol: protocol.toLowerCase() as InternetProtocol, host: read, ...ports }
}

const bracketsFault = 'has an address of IPv6, which needs brackets before a port: "[2001:db8::1]:443"'

/** One path, or two: that of the host ends at the first colon before a slash. */
const paths = /^(.*?)(?::(\/.*))?$/s

function readSockets(text: string): Read<Destination> {
  const [, outside = '', inside = outside] = paths.exec(text) ?? []
  const [one, other] = [readSocketPath(outside), readSocketPath(inside)]
  if (isFault(one)) return one
  if (isFault(other)) return other
  return {
    protocol: 'unix',
    host: { kind: 'path', outside: one.path, inside: other.path },
    first: noPort,
    last: noPort,
  }
}

function readHost(text: string): Read<InternetHost> {
  if (text === '*') return { kind: 'any' }
  const bracketed = text.startsWith('[')
  const block = parseBlock(bracketed ? text.slice(1, -1) : text)
  if (block !== undefined) {
    const meant = beyondPrefix(block)
    if (meant === undefined) return { kind: 'address', block }
    return { fault: `has bits beyond its prefix; the block is ${blockText(meant)}` }
  }
  if (bracketed || text.includes('/')) return { fault: 'has no address, and no block of addresses such as 10.0.0.0/8' }
  const below = text.startsWith('*.')
  const read = readName(below ? text.slice(2) : text)
  if (isFault(read)) return read
  if (isLocalName(read.name))
    return { fault: 'is the sandbox itself, where it is asked for; the loopback of the host is "127.0.0.1"' }
  return { kind: below ? 'below' : 'name', name: read.name }
}

export const lastPort = 65535
const portsFault = `needs a port from 1 to ${lastPort}, a range such as 8000-8010, or * for any, behind the host's name`

function readPorts(text: string): Read<{ readonly first: number; readonly last: number }> {
  if (text === '*') return { first: 1, last: lastPort }
  const found = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text)
  if (found === null) return { fault: portsFault }
  const first = Number(found[1])
  const last = Number(found[2] ?? first)
  return first <= last && last <= lastPort ? { first, last } : { fault: portsFault }
}

const destinations = reading(readDestination, `must be HOST:PORT, ${example}`)
/** What is wrong with a destination, of a policy or a command line; nothing is wrong: undefined. */
export const destinationFault = destinations.fault
/** A destination as data; undefined when the text is none: {@link destinationFault} says why. */
export const parseDestination = destinations.parse

/** Whether a rule's hosts have this one. A name is no address, and an address has no name: both are asked for what they are. */
function matchesHost(
  host: Destination['host'],
  { name, address, path }: Pick<Wanted, 'name' | 'address' | 'path'>,
): boolean {
  switch (host.kind) {
    case 'any':
      return true
    case 'name':
      return name === host.name
    case 'below':
      // More before it: the name itself is another host.
      return name?.endsWith(`.${host.name}`) ?? false
    case 'address':
      return address !== undefined && inBlock(host.block, address)
    case 'path':
      return path === host.inside
  }
}

/** Whether a rule is about this. The name is one that `normalName` gave. */
export const matches = (rule: Destination, wanted: Wanted): boolean =>
  rule.protocol === wanted.protocol &&
  rule.first <= wanted.port &&
  wanted.port <= rule.last &&
  matchesHost(rule.host, wanted)

/** Whether rules of the one list have all that the other is about. What several of them have together is not looked at. */
export const covers = (rules: readonly Destination[], { protocol, host, first, last }: Destination): boolean =>
  rules.some(
    (rule) => rule.protocol === protocol && rule.first <= first && last <= rule.last && isWithin(rule.host, host),
  )

/** Whether all hosts of the second are of the first. */
function isWithin(rule: Destination['host'], host: Destination['host']): boolean {
  if (rule.kind === 'path' || host.kind === 'path') return false
  if (rule.kind === 'any' || hostOf(rule) === hostOf(host)) return true
  if (rule.kind === 'below' && (host.kind === 'name' || host.kind === 'below'))
    return host.name.endsWith(`.${rule.name}`)
  return (
    rule.kind === 'address' &&
    host.kind === 'address' &&
    rule.block.prefix <= host.block.prefix &&
    inBlock(rule.block, { family: host.block.family, value: host.block.value })
  )
}

/** Whether any port of this host may be reached by these rules: whether its name has an address inside. */
export function mayReach(
  name: string,
  { allow, deny }: { readonly allow: readonly Destination[]; readonly deny: readonly Destination[] },
): boolean {
  return allow.some(
    ({ protocol, host, first, last }) =>
      matchesHost(host, { name }) &&
      !deny.some(
        (one) => one.protocol === protocol && one.first <= first && last <= one.last && matchesHost(one.host, { name }),
      ),
  )
}

function blockText(block: IpBlock): string {
  const address = block.family === 6 && block.prefix < bitsOf[6] ? `[${addressText(block)}` : addressText(block)
  if (isOneAddress(block)) return block.family === 6 ? `[${address}]` : address
  return `${address}/${block.prefix}${block.family === 6 ? ']' : ''}`
}

function hostOf(host: InternetHost): string {
  switch (host.kind) {
    case 'any':
      return '*'
    case 'name':
      return host.name
    case 'below':
      return `*.${host.name}`
    case 'address':
      return blockText(host.block)
  }
}

/** The text of a destination, which parses to the same. */
export function destinationText(destination: Destination): string {
  if (destination.protocol === 'unix') {
    const { outside, inside } = destination.host
    return outside === inside ? `unix:${outside}` : `unix:${outside}:${inside}`
  }
  const { protocol, host, first, last } = destination
  const ports = first === 1 && last === lastPort ? '*' : first === last ? first : `${first}-${last}`
  return `${protocol === 'udp' ? 'udp:' : ''}${hostOf(host)}:${ports}`
}
