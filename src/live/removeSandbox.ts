/** Removing what is left of a sandbox: its processes where it is lost, its cgroup, its directory. */
import { killAndRemove } from '../cgroup/garbage.js'
import { HostError } from '../text/error.js'
import { type FoundSandbox, removeIf, type SandboxState } from './findSandbox.js'
import { presentGroup, type SandboxRecord, sameSandbox } from './recordFile.js'

/** Removes the layers of a sandbox with its record: {@link removeWithLayers}. */
export type Removing = (layers: string, directory: string, remove: () => boolean) => boolean

/**
 * Removes one that has ended, is lost, or cannot be read; where the name means another meanwhile, nothing.
 * @param withLayers default: the layers of its work tree are left to the next that makes some, and to `vial gc`, and what looks for a
 * sandbox need not load what finishes a commit
 * @returns whether it did
 * @throws {HostError} when something of it cannot be removed
 */
export function removeSandbox(home: string, found: FoundSandbox, withLayers?: Removing): boolean {
  const record = recordOf(found)
  const group = record === undefined ? ('group' in found ? found.group : undefined) : presentGroup(record)
  // Before the record that names it: what is killed here, the next command finds again.
  if (group !== undefined && !killAndRemove(group.paths))
    throw new HostError(`the cgroup of the sandbox "${found.name}" cannot be removed: ${group.paths.join(', ')}`, {
      hint: 'processes are in it that SIGKILL does not end at once: try again later',
    })
  const remove = () => removeIf(home, found.name, (now) => now.state === found.state && isSame(recordOf(now), record))
  const layers = record?.work?.layers
  return layers === undefined || withLayers === undefined ? remove() : withLayers(layers, found.directory, remove)
}

const recordOf = (state: SandboxState) => ('record' in state ? state.record : undefined)
const isSame = (one: SandboxRecord | undefined, other: SandboxRecord | undefined) =>
  one === undefined || other === undefined ? one === other : sameSandbox(one, other)
