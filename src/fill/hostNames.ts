/** What programs read to find hosts by name, where the sandbox shares the host's network. */
import { readFileSync, realpathSync } from 'node:fs'
import { dnsAddresses } from '../policy/networkAddresses.js'
import type { Policy } from '../policy/schema.js'
import { authoritiesFile } from './authorities.js'
import type { FillEntry } from './entry.js'

/** What a policy says of the network, as it is written or checked. */
export interface NetworkChoice extends Pick<Policy, 'namespaces'> {
  network?: 'none' | 'host' | object | undefined
}

/** Whether a policy gives the host's network, by either key. */
export const sharesNetwork = ({ network, namespaces }: NetworkChoice): boolean =>
  network === 'host' || namespaces?.net === 'host'

export const resolverFile = '/etc/resolv.conf'

/** Of a network by name: resolver(3) asks the sandbox's own, once more after a second, and no other. */
export const ownResolver = `nameserver ${dnsAddresses.v4}\noptions timeout:10 attempts:2 ndots:1\n`

/** What programs of this policy find hosts by. */
export function resolverFiles(policy: NetworkChoice): FillEntry[] {
  if (sharesNetwork(policy)) return nameFiles()
  return typeof policy.network === 'object'
    ? [{ file: resolverFile, content: ownResolver }, ...authoritiesFile(policy, ['/'])]
    : []
}

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
