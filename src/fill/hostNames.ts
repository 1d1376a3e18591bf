/** What programs read to find hosts by name, where the sandbox reaches any. */
import { readFileSync, realpathSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { type IpAddress, inBlock, parseAddress, parseBlock } from '../policy/ipAddress.js'
import { dnsAddresses } from '../policy/networkAddresses.js'
import type { NetworkWord } from '../policy/networkSchema.js'
import type { Policy } from '../policy/schema.js'
import { attempt } from '../text/attempt.js'
import { authoritiesFile } from './authorities.js'
import type { FillEntry } from './entry.js'

/** What a policy says of the network, as it is written or checked. */
export interface NetworkChoice extends Pick<Policy, 'namespaces'> {
  network?: NetworkWord | object | undefined
}

/** Whether a policy gives the host's network, by either key. */
export const sharesNetwork = ({ network, namespaces }: NetworkChoice): boolean =>
  network === 'host' || namespaces?.net === 'host'

export const resolverFile = '/etc/resolv.conf'

/** Of a network by name: resolver(3) asks the sandbox's own, once more after a second, and no other. */
const byName = `nameserver ${dnsAddresses.v4}\noptions timeout:10 attempts:2 ndots:1\n`

/** What programs of this policy find hosts by. */
export function resolverFiles(policy: NetworkChoice): FillEntry[] {
  if (showsNameFiles(policy)) return nameFiles()
  const content = ownResolver(policy)
  return content === undefined ? [] : [{ file: resolverFile, content }, ...authoritiesFile(policy, ['/'])]
}

/** Whether the host's own files of resolver(3) do. */
export const showsNameFiles = (policy: NetworkChoice): boolean =>
  sharesNetwork(policy) || (policy.network === 'private' && ownResolver(policy) === undefined)

/** What /etc/resolv.conf says where the host's does not do. */
export function ownResolver({ network }: NetworkChoice): string | undefined {
  if (network === 'private') return forwarding()
  return typeof network === 'object' ? byName : undefined
}

/**
 * Of a private network whose host has a resolver of its own, such as systemd-resolved: pasta(1) hands questions on to that, of IPv4 and of IPv6
 * to the first of each. Undefined: all of the host's resolvers are other hosts, which are reached as any is.
 */
function forwarding(): string | undefined {
  const lines = (attempt(() => readFileSync(resolverFile, 'utf8')) ?? '').split('\n').map((line) => line.trim())
  const named = lines.flatMap((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
  if (named.length > 0 && !named.some(isHere)) return undefined
  // resolver(3): one that is not named is 127.0.0.1.
  const families = new Set(named.map((one) => (one.includes(':') ? 'v6' : 'v4')))
  const servers = [...(families.size === 0 ? (['v4'] as const) : families)].map(
    (one) => `nameserver ${dnsAddresses[one]}`,
  )
  const others = lines.filter((line) => /^(?:search|domain|options)\s/.test(line))
  return `${[...servers, ...others].join('\n')}\n`
}

/** An address of this host's, or one that says a device: behind it stands another, or none. */
function isHere(text: string): boolean {
  const address = parseAddress(text)
  if (address === undefined || loopback.some((block) => inBlock(block, address))) return true
  return isOfThisHost(address)
}

/** Addresses of the host's devices. They change: nothing is kept. */
export const isOfThisHost = (address: IpAddress): boolean =>
  Object.values(networkInterfaces()).some((rows = []) =>
    rows.some((row) => {
      const own = parseAddress(row.address.replace(/%.*/, ''))
      return own !== undefined && own.family === address.family && own.value === address.value
    }),
  )

/** And the addresses that connect(2) takes for it. */
const loopback = ['127.0.0.0/8', '0.0.0.0/32', '::1/128', '::/128'].map((text) => parseBlock(text)!)

/**
 * The files of resolver(3) as they are on the host. /etc/resolv.conf is often a link, into /run (systemd-resolved, NetworkManager)
 * or beyond (WSL): what it leads to is shown in its place. One that leads nowhere is left out, as if the host had none.
 */
export function nameFiles(): FillEntry[] {
  return [resolverFile, '/etc/host.conf', '/etc/gai.conf'].flatMap((bind): FillEntry[] => {
    try {
      return [{ bind, from: realpathSync(bind) }]
    } catch {
      return []
    }
  })
}

/** The host's own names, hosts(5), behind those of the sandbox. */
export function hostNames(): string {
  try {
    return readFileSync('/etc/hosts', 'utf8')
  } catch {
    return ''
  }
}
