/** Flags that list what a sandbox reaches of the network. */
import type { NamedNetwork, NetworkWord } from '../policy/networkSchema.js'
import type { Policy } from '../policy/schema.js'
import { UsageError } from './commandLine.js'
import type { Origin } from './names.js'
import type { PolicyFlags } from './policyFlags.js'

/** Each flag that lists something, the key that it is for, and what it stands for there. */
const lists = {
  allow: { key: 'allow' },
  deny: { key: 'deny' },
  publish: { key: 'publish' },
  inspect: { key: 'inspect' },
  secret: { key: 'secrets', read: secretOf },
  request: { key: 'requests' },
} as const satisfies Record<string, { readonly key: keyof NamedNetwork; readonly read?: (text: string) => object }>
type List = keyof typeof lists
const names = Object.keys(lists) as List[]

/** Of the caller's variable: a value on a command line is seen by all of the host. */
function secretOf(text: string): object {
  const [, env, header, destination] = /^([^@/]+)(?:\/([^@]*))?@(.*)$/.exec(text) ?? []
  if (env === undefined)
    throw new UsageError(`--secret ${text}: must be NAME[/HEADER]@HOST:PORT, such as API_KEY@api.example.com:443`)
  return { env, for: destination, ...(header === undefined ? {} : { header }) }
}

/**
 * The same policy with what --allow and its like say, behind what its file lists.
 * @throws {UsageError} when the network is to be something else
 */
export function withDestinations(
  policy: Policy,
  flags: PolicyFlags,
  tell: (key: string, origin: Origin) => void,
): Policy {
  const given = names.filter((name) => flags[name] !== undefined)
  const { proxy } = flags
  const [first] = [...given, ...(proxy === undefined ? [] : ['proxy'])]
  if (first === undefined) return policy
  const { network = {} } = policy
  if (typeof network === 'string' && (network !== 'none' || flags.network === 'none'))
    throw new UsageError(contradiction(first, network))
  const before = typeof network === 'string' ? {} : network
  const added = given.map((name) => {
    const { key, read } = { read: undefined, ...lists[name] }
    const listed = before[key] ?? []
    // All is more than what a flag adds.
    if (listed === true) return [key, true]
    for (const [index, text] of flags[name]!.entries())
      tell(`network.${key}[${listed.length + index}]`, { typed: `--${name} ${text}`, name: `--${name}` })
    return [key, [...listed, ...(read === undefined ? flags[name]! : flags[name]!.map(read))]]
  })
  if (proxy !== undefined) tell('network.proxy', { typed: `--proxy ${proxy}`, name: '--proxy' })
  const chosen = proxy === undefined ? {} : { proxy }
  return { ...policy, network: { ...before, ...Object.fromEntries(added), ...chosen } }
}

function contradiction(flag: string, network: NetworkWord): string {
  if (network === 'none') return `--network none and --${flag} contradict each other: leave one out`
  if (network === 'private')
    return `--${flag} is for a sandbox that reaches what is listed: a private network, which was asked for, reaches what the host does`
  return `--${flag} is for a sandbox with a network of its own: the host's, which was asked for, reaches everything`
}
