/** What several steps do with privileges: capget(2) and capset(2), and setgroups(2). */
import type { StrictAssembler } from '../assembly/strictAssembler.js'
import { own, variable } from '../assembly/variables.js'
import { pack, structs } from '../kernel/structs.js'
import { PR } from '../kernel/flags.js'
import { ownPids, relays } from '../plan/plan.js'
import type { LauncherContext } from './launcherContext.js'

/** _LINUX_CAPABILITY_VERSION_3: each set has two words. */
const version = 0x20080522

/** A header for the calling process, and room for what capget(2) gives: effective, permitted, inheritable, twice. */
export const capabilitySets = own(({ b }: StrictAssembler) => ({
  header: b.bytes(pack(structs.cap_user_header, { version }), 8),
  sets: b.reserve(24),
}))

/** The capability that init keeps because the payload lacks it, as a mask; 0 where it could not be kept. */
export const spareSet = variable()

/** Gives up every capability, or all but the spare one, which is never effective; a caller's own filter may forbid it. */
export function dropEverything(c: StrictAssembler, keepsSpare = false): void {
  const { b } = c
  // Nothing else is ever written there.
  const sets = b.reserve(24)
  if (keepsSpare) {
    const half = b.temporary()
    b.store(32, sets, 4, spareSet(b))
    b.compute(half, spareSet(b), 'shr', 32)
    b.store(32, sets, 16, half)
  }
  c.attempt('capset', capabilitySets(c).header, sets)
}

/** Who shares our pid namespace sees us in /proc, and behind us the host: ptrace(2), "Ptrace access mode checking". */
export function hideFromOthers(c: LauncherContext): void {
  if (relays(c.plan) && !ownPids(c.plan)) c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
}

/** user_namespaces(7): where setgroups is denied, as in one that an ordinary user made, the groups are what they are. */
export function dropGroupsIfAllowed(c: StrictAssembler): void {
  c.mustUnless('EPERM', 'setgroups', 0, 0)
}
