/** What a payload has in common with the host, whatever stands between them. */
import { namespaces as kinds, namespaceNames } from '../kernel/namespaces.js'
import { kindOf } from './hidden.js'
import type { Policy } from './schema.js'

/**
 * A line for each.
 * @param policy without `preset` and `fill`
 */
export function sharedWithHost(policy: Policy): string[] {
  const { namespaces = {}, env, session } = policy
  const lines = [
    'the kernel, the processors, the wall clock, and memory as far as no limit holds it',
    "the caller's standard input, output and error, and descriptors that a program hands on",
  ]
  for (const name of namespaceNames) {
    const { shares } = kinds[name]
    const setting = name === 'net' && policy.network === 'host' ? 'host' : (namespaces[name] ?? 'new')
    if (setting === 'host') lines.push(shares)
    else if (typeof setting === 'object' && 'pid' in setting) lines.push(`${shares} (of /proc/${setting.pid}/ns)`)
    else if (typeof setting === 'object' && 'path' in setting) lines.push(`${shares} (of ${setting.path})`)
  }
  if (policy.network === 'private') lines.push('what the host reaches of the network, but for its loopback')
  if (session === 'host') lines.push("the terminal's session: job control, and signals of its keys")
  if (env?.inherit === true) lines.push("the caller's whole environment")
  for (const entry of policy.filesystem ?? []) {
    const writable = ('bind' in entry && entry.writable) || ('overlay' in entry && typeof entry.upper === 'object')
    if (writable) lines.push(`what is written to ${kindOf(entry).place}`)
  }
  return lines
}
