/** The payload's filter of system calls, as a step. */
import { structs } from '../kernel/structs.js'
import { faultAt } from '../policy/keys.js'
import type { Policy } from '../policy/schema.js'
import { compileSeccomp } from '../seccomp/compileProfile.js'
import { FilterTooLong } from '../seccomp/graph.js'
import { type Situation, situations } from '../seccomp/profileSchema.js'
import { PolicyError } from '../text/error.js'
import { hints } from './hints.js'
import type { Host } from './host.js'
import type { Step } from './step.js'

/**
 * Made once, and then remembered.
 * @throws {PolicyError} when the profile is too long for the kernel.
 */
export function compileFilter(policy: Policy, { architecture, kernel }: Host) {
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
  return filter
}

/** For rules of the filter that are only for some sandboxes. */
function situationsOf({ namespaces = {}, network, session }: Policy): Situation[] {
  const holds: Readonly<Record<Situation, boolean>> = {
    noNetwork: network !== 'host' && (namespaces.net ?? 'new') === 'new',
    sharedPids: (namespaces.pid ?? 'new') !== 'new',
    sharedSession: session === 'host',
  }
  return situations.filter((one) => holds[one])
}

/** The very last thing: from here on only what the profile allows can be called, by vial too. */
export function filterSteps(policy: Policy, host: Host): Step[] {
  const filter = compileFilter(policy, host)
  if (filter === undefined) return []
  const { seccomp = 'default' } = policy
  const { program, flags } = filter
  const name = typeof seccomp === 'string' ? seccomp : "of the policy's own"
  return [
    {
      do: 'filter',
      program,
      flags,
      what: `load the seccomp filter ${name} (${program.length / structs.sock_filter.size} instructions)`,
      why: 'what of the kernel the payload does not need is out of its reach',
      hints: hints.seccomp,
    },
  ]
}
