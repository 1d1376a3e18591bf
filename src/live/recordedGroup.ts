/** The cgroup of a sandbox that a record tells of, for what enters it. */
import type { GroupOption } from '../plan/lowerLimits.js'
import { neededResources, parseLimits } from '../policy/limits.js'
import type { SandboxRecord } from './recordFile.js'

/** How what enters the sandbox gets into its cgroup: by what the monitor holds. */
export function groupOf({ group, policy }: Pick<SandboxRecord, 'group' | 'policy'>): GroupOption | undefined {
  if (group === undefined || policy.limits === undefined) return undefined
  return {
    way: group.version === 2 ? 'clone' : 'move',
    bases: [],
    holds: neededResources(parseLimits(policy.limits)),
    descriptors: { cpuTime: 0, memory: 0, enter: group.version === 2 ? 1 : group.paths.length },
    cpuTime: undefined,
  }
}
