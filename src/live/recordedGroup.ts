/** The cgroup of a sandbox that a record tells of, for what enters it. */
import { hasFile } from '../cgroup/groupFiles.js'
import type { GroupOption } from '../plan/lowerLimits.js'
import { limitRows } from '../policy/limitRows.js'
import { type GroupLimitName, neededResources, parseLimits } from '../policy/limits.js'
import type { SandboxRecord } from './recordFile.js'

/** How what enters the sandbox gets into its cgroup: by what the monitor holds. */
export function groupOf({ group, policy }: Pick<SandboxRecord, 'group' | 'policy'>): GroupOption | undefined {
  if (group === undefined || policy.limits === undefined) return undefined
  const limits = parseLimits(policy.limits)
  return {
    way: group.version === 2 ? 'clone' : 'move',
    bases: [],
    holds: neededResources(limits).filter((name) => limits.required || isHeld(name, group)),
    descriptors: { cpuTime: 0, memory: 0, enter: group.version === 2 ? 1 : group.paths.length },
    cpuTime: undefined,
  }
}

/** What a policy can do without may have no cgroup here, and an rlimit stands in: the files tell. */
function isHeld(name: GroupLimitName, { version, paths }: NonNullable<SandboxRecord['group']>): boolean {
  const file = limitRows[name][`v${version}`]
  return file !== undefined && paths.some((directory) => hasFile(directory, file))
}
