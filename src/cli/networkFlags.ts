/** Flags that list what a sandbox reaches of the network. */
import type { NetworkWord } from '../policy/networkSchema.js'
import type { Policy } from '../policy/schema.js'
import { UsageError } from './commandLine.js'
import type { Origin } from './names.js'
import type { PolicyFlags } from './policyFlags.js'

const lists = ['allow', 'deny', 'publish'] as const

/**
 * The same policy with what --allow, --deny, --publish and --proxy say, behind what its file lists.
 * @throws {UsageError} when the network is to be something else
 */
export function withDestinations(
  policy: Policy,
  flags: PolicyFlags,
  tell: (key: string, origin: Origin) => void,
): Policy {
  const given = lists.filter((list) => flags[list] !== undefined)
  const { proxy } = flags
  const [first] = [...given, ...(proxy === undefined ? [] : ['proxy'])]
  if (first === undefined) return policy
  const { network = {} } = policy
  if (typeof network === 'string' && (network !== 'none' || flags.network === 'none'))
    throw new UsageError(contradiction(first, network))
  const before = typeof network === 'string' ? {} : network
  const added = given.map((list) => {
    const listed = before[list] ?? []
    for (const [index, destination] of flags[list]!.entries())
      tell(`network.${list}[${listed.length + index}]`, { typed: `--${list} ${destination}`, name: `--${list}` })
    return [list, [...listed, ...flags[list]!]]
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
