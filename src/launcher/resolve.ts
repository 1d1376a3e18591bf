/** Opens paths that others may have written on: openat2(2), in one place, or what does the same without it. */
import { routine } from '../assembly/routine.js'
import { own } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { RESOLVE } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { walk } from './walk.js'

/** What becomes of a symbolic link on the way. Magic links of proc(5) are never followed. */
export type Links =
  /** It is followed, and the directory where the path starts counts as "/". */
  | 'inside'
  /** It is followed as long as it stays beneath the directory where the path starts; else EXDEV. */
  | 'beneath'
  /** ELOOP, also where the path ends in one; and ".." leads no higher than where the path starts. */
  | 'refused'

const resolveFlags: Record<Links, number> = {
  inside: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS,
  beneath: RESOLVE.BENEATH | RESOLVE.NO_MAGICLINKS,
  refused: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS,
}

const hows = own((_: LauncherContext) => new Map<Links, Address>())
/** The struct open_how that treats links so: it opens for the name only (O_PATH). */
export function howOf(c: LauncherContext, links: Links): Address {
  const known = hows(c)
  const how =
    known.get(links) ??
    c.b.bytes(pack(structs.open_how, { flags: c.open.PATH | c.open.CLOEXEC, resolve: resolveFlags[links] }), 8)
  known.set(links, how)
  return how
}

/** Opens `path` from the directory `from`, for its name only, into `result`, which may be an error. `how`: of {@link howOf}. */
export const openPath = routine('openPath', { takes: ['from', 'path', 'how'] }, (c: LauncherContext, given) => {
  const { from, path, how } = given
  const { b } = c
  // openat2(2): EAGAIN when anything was renamed meanwhile, anywhere, so that ".." could not be trusted.
  const tries = b.temporary()
  b.move(tries, 1000)
  b.loop(({ leave }) => {
    c.attempt('openat2', from, path, how, structs.open_how.size)
    b.when(c.result, 'ne', -errno.EAGAIN, leave)
    b.compute(tries, tries, 'sub', 1)
    b.when(tries, 'eq', 0, leave)
  })
  // Old filters answer EPERM to what they do not know.
  const end = b.label()
  c.whenError('EPERM', () => b.move(c.result, -errno.ENOSYS))
  b.branch(c.result, 'ne', -errno.ENOSYS, end)
  walk(c, from, path, how)
  b.place(end)
})
