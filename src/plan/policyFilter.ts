/** The payload's filter of system calls, as a policy asks for it. */
import { faultAt } from '../policy/keys.js'
import type { CheckedPolicy } from '../policy/schema.js'
import { compileSeccomp } from '../seccomp/compileProfile.js'
import { FilterTooLong } from '../seccomp/graph.js'
import { type Situation, situations } from '../seccomp/profileSchema.js'
import { PolicyError } from '../text/error.js'
import type { Host } from './host.js'

/**
 * Made once, and then remembered.
 * @throws {PolicyError} when the profile is too long for the kernel.
 */
export function compileFilter(policy: CheckedPolicy, { architecture, kernel }: Host) {
  const { seccomp = 'default', capabilities = [] } = policy
  let filter: ReturnType<typeof compileSeccomp>
  try {
    filter = compileSeccomp(seccomp, {
      architecture,
      capabilities,
      situations: situationsOf(policy),
      kernel,
    })
  } catch (error) {
    throw error instanceof FilterTooLong ? new PolicyError([faultAt('seccomp', error.message)]) : error
  }
  if (filter?.refusesExecution)
    throw new PolicyError([
      faultAt(
        'seccomp',
        `refuses execve, as a call that no rule names or by a rule of its own: no command could be started on ${architecture}`,
      ),
    ])
  const name = typeof seccomp === 'string' ? seccomp : "of the policy's own"
  return filter === undefined ? undefined : { name, ...filter }
}

/** For rules of the filter that are only for some sandboxes. */
function situationsOf({ namespaces = {}, network, session }: CheckedPolicy): Situation[] {
  const holds: Readonly<Record<Situation, boolean>> = {
    noNetwork: network !== 'host' && (namespaces.net ?? 'new') === 'new',
    sharedPids: (namespaces.pid ?? 'new') !== 'new',
    sharedSession: session === 'host',
  }
  return situations.filter((one) => holds[one])
}
