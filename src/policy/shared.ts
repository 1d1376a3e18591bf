/** What a payload has in common with the host, whatever stands between them. */
import type { NamespaceName } from '../kernel/namespaces.js'
import { kindOf } from './hidden.js'
import type { Policy } from './schema.js'

/** Of each namespace, what is the host's where there is no new one: namespaces(7). */
const namespaceWords = {
  user: 'user and group ids: root mode, without a user namespace',
  mount: 'all files, where they are outside',
  pid: 'processes: they are seen, and those of the same user may be signalled',
  net: 'the network: its interfaces, its loopback and its abstract sockets',
  ipc: 'System V memory, semaphores and queues, and POSIX message queues',
  uts: 'the host name',
  cgroup: 'the names of control groups',
  time: 'the clocks that count from the start: uptime and the monotonic one',
} as const satisfies Record<NamespaceName, string>

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
  for (const [name, words] of Object.entries(namespaceWords)) {
    const key = name as keyof typeof namespaceWords
    const setting = key === 'net' && policy.network === 'host' ? 'host' : (namespaces[key] ?? 'new')
    if (setting === 'host') lines.push(words)
    else if (typeof setting === 'object' && 'pid' in setting) lines.push(`${words} (of /proc/${setting.pid}/ns)`)
    else if (typeof setting === 'object' && 'path' in setting) lines.push(`${words} (of ${setting.path})`)
  }
  if (session === 'host') lines.push("the terminal's session: job control, and signals of its keys")
  if (env?.inherit === true) lines.push("the caller's whole environment")
  for (const entry of policy.filesystem ?? []) {
    const writable = ('bind' in entry && entry.writable) || ('overlay' in entry && typeof entry.upper === 'object')
    if (writable) lines.push(`what is written to ${kindOf(entry).place}`)
  }
  return lines
}
