/** Flags that list what a sandbox reaches of the network. */
import type { Policy } from '../policy/schema.js'
import { UsageError } from './commandLine.js'
import type { Origin } from './names.js'
import type { PolicyFlags } from './policyFlags.js'

const lists = ['allow', 'deny', 'publish'] as const

/**
 * The same policy with what --allow, --deny and --publish list, behind what its file lists.
 * @throws {UsageError} when the network is to be something else
 */
export function withDestinations(
  policy: Policy,
  flags: PolicyFlags,
  tell: (key: string, origin: Origin) => void,
): Policy {
  const given = lists.filter((list) => flags[list] !== undefined)
  if (given.length === 0) return policy
  const { network = {} } = policy
  if (network === 'host' || flags.network === 'none')
    throw new UsageError(
      network === 'host'
        ? `--${given[0]} is for a sandbox with a network of its own: the host's, which was asked for, reaches everything`
        : `--network none and --${given[0]} contradict each other: leave one out`,
    )
  const before = network === 'none' ? {} : network
  const added = given.map((list) => {
    const listed = before[list] ?? []
    for (const [index, destination] of flags[list]!.entries())
      tell(`network.${list}[${listed.length + index}]`, { typed: `--${list} ${destination}`, name: `--${list}` })
    return [list, [...listed, ...flags[list]!]]
  })
  return { ...policy, network: { ...before, ...Object.fromEntries(added) } }
}
