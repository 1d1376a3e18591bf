/**
 * Removing what is left of a sandbox: its processes where it is lost, its cgroup, its directory. The layers of its work tree, if it has one, are
 * left to the next that makes some, and to `vial gc`: what looks for a sandbox need not load what finishes a commit. See removeSandbox.ts.
 */
import { killAndRemove } from '../cgroup/garbage.js'
import { HostError } from '../text/error.js'
import { type FoundSandbox, removeIf, type SandboxState } from './findSandbox.js'
import { presentGroup, type SandboxRecord, sameSandbox } from './recordFile.js'

/**
 * Removes one that has ended, is lost, or cannot be read; where the name means another meanwhile, nothing.
 * @param last removes the record, by what it is given, and whatever has to go with it
 * @returns whether it did
 * @throws {HostError} when something of it cannot be removed
 */
export function removeRecord(
  home: string,
  found: FoundSandbox,
  last: (record: SandboxRecord | undefined, remove: () => boolean) => boolean = (_, remove) => remove(),
): boolean {
  const record = recordOf(found)
  const group = record === undefined ? ('group' in found ? found.group : undefined) : presentGroup(record)
  // Before the record that names it: what is killed here, the next command finds again.
  if (group !== undefined && !killAndRemove(group.paths))
    throw new HostError(`the cgroup of the sandbox "${found.name}" cannot be removed: ${group.paths.join(', ')}`, {
      hint: 'processes are in it that SIGKILL does not end at once: try again later',
    })
  return last(record, () =>
    removeIf(home, found.name, (now) => now.state === found.state && isSame(recordOf(now), record)),
  )
}

const recordOf = (state: SandboxState) => ('record' in state ? state.record : undefined)
const isSame = (one: SandboxRecord | undefined, other: SandboxRecord | undefined) =>
  one === undefined || other === undefined ? one === other : sameSandbox(one, other)
