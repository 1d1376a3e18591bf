/** What several steps do with privileges: capget(2) and capset(2), and setgroups(2). */
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address } from '../machine/instruction.js'
import type { LauncherContext } from './context.js'

/** _LINUX_CAPABILITY_VERSION_3: each set has two words. */
const version = 0x20080522

const known = new WeakMap<LauncherContext, { header: Address; sets: Address }>()

/** A header for the calling process, and room for what capget(2) gives: effective, permitted, inheritable, twice. */
export function capabilitySets(c: LauncherContext): { header: Address; sets: Address } {
  const buffers = known.get(c) ?? {
    header: c.b.bytes(pack(structs.cap_user_header, { version }), 8),
    sets: c.b.reserve(24),
  }
  known.set(c, buffers)
  return buffers
}

/** Where capget(2) and capset(2) have the permitted bit of a capability. */
export function permittedBit(name: CapabilityName): { offset: number; word: number } {
  const number = capabilities[name]
  return { offset: 12 * (number >> 5) + 4, word: (1 << (number & 31)) >>> 0 }
}

/** Gives up every capability but one, which stays permitted; a caller's own filter may forbid it, and then nothing can be done. */
export function dropEverything(c: LauncherContext, spare?: CapabilityName): void {
  // Nothing else is ever written there.
  const sets = c.b.reserve(24)
  if (spare !== undefined) {
    const { offset, word } = permittedBit(spare)
    c.b.store(32, sets, offset, word)
  }
  c.attempt('capset', capabilitySets(c).header, sets)
}

/** user_namespaces(7): where setgroups is denied, as in one that an ordinary user made, the groups are what they are. */
export function dropGroupsIfAllowed(c: LauncherContext): void {
  c.mustUnless('EPERM', 'setgroups', 0, 0)
}
