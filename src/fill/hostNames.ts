/** What programs read to find hosts by name, where the sandbox shares the host's network. */
import { readFileSync, realpathSync } from 'node:fs'
import type { Policy } from '../policy/schema.js'
import type { FillEntry } from './entry.js'

/** Whether a policy gives the host's network, by either key. */
export const sharesNetwork = ({ network, namespaces }: Pick<Policy, 'network' | 'namespaces'>): boolean =>
  network === 'host' || namespaces?.net === 'host'

/**
 * The files of resolver(3) as they are on the host. /etc/resolv.conf is often a link, into /run (systemd-resolved, NetworkManager)
 * or beyond (WSL): what it leads to is shown in its place. One that leads nowhere is left out, as if the host had none.
 */
export function nameFiles(): FillEntry[] {
  return ['/etc/resolv.conf', '/etc/host.conf', '/etc/gai.conf'].flatMap((bind): FillEntry[] => {
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
