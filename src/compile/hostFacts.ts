/**
 * What of this host decides the vial of a policy beside its text. While these are the same the vial is, so that it is found without the
 * compiler. What fill looks at is another matter: fill/look.ts.
 */
import { release } from 'node:os'
import { heldBy } from '../fill/heldBy.js'
import { hostNames, nameFiles, resolverFiles, sharesNetwork } from '../fill/hostNames.js'
import { layersOf, showsRoot } from '../fill/overRoot.js'
import { systemEntries } from '../fill/system.js'
import type { Policy } from '../policy/schema.js'
import { requirePasta } from './findPasta.js'
import { trustedPaths } from './trustedPaths.js'
import { keptOver, otherNames, writableEntries } from './writableEntries.js'

/**
 * As JSON. Undefined: a read-only entry has another name, which is an error. Throws where it lacks what the policy needs.
 * @param trusted what the next run trusts besides
 */
export function hostFacts(policy: Policy, base: string, trusted: readonly string[]): readonly unknown[] | undefined {
  const { preset, filesystem = [] } = policy
  const writable = writableEntries(filesystem, base)
  if (otherNames(filesystem, base, writable).length > 0) return undefined
  return [
    process.arch,
    // The filter of system calls is for one kernel.
    release(),
    [process.getuid!(), process.geteuid!(), process.getgid!(), process.getegid!()],
    preset === 'system' ? systemEntries() : null,
    sharesNetwork(policy) ? [nameFiles(), hostNames()] : null,
    policy.network === 'private' ? [requirePasta(), resolverFiles(policy)] : null,
    showsRoot(policy) ? heldBy(layersOf(filesystem[0]!, base)) : null,
    // Other links, another place of vial, another vial: what is laid over writable entries.
    [...keptOver(writable, () => trustedPaths(trusted)).values()],
  ]
}
