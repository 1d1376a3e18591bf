/** Entries of `filesystem` take effect in their order: which of them a later one hides whole. */
import { type MountKind, mountKindNames } from './kinds.js'
import { isWithin, normal } from './path.js'
import type { FilesystemEntry } from './schema.js'

export interface Hidden {
  readonly index: number
  /** The first later entry that hides it. */
  readonly by: number
}

/** What is mounted, and hides all that was at its place and beneath it. A file is mounted if it says so. */
const mounts: readonly MountKind[] = ['bind', 'tmpfs', 'proc', 'sysfs', 'dev', 'mqueue', 'overlay']
/** What serves as a place to mount on, and what only leads to one. */
const stepping: readonly MountKind[] = ['directory', 'symlink']
/** What changes something that is there already. */
const changes: readonly MountKind[] = ['readonly', 'chmod']

/** What an entry is, and the place inside that it is for. */
export function kindOf(entry: FilesystemEntry): { readonly kind: MountKind; readonly place: string } {
  const kind = mountKindNames.find((name) => Object.hasOwn(entry, name))!
  return { kind, place: normal(String((entry as Partial<Record<MountKind, string>>)[kind])) }
}

/** Those that have no effect, each once. */
export function hiddenEntries(entries: readonly FilesystemEntry[]): Hidden[] {
  const all = entries.map((entry) => ({ entry, ...kindOf(entry) }))
  return all.flatMap((one, index) => {
    const by = all.findIndex((later, at) => at > index && hides(later, one))
    return by === -1 ? [] : [{ index, by }]
  })
}

type Known = ReturnType<typeof kindOf> & { readonly entry: FilesystemEntry }

function hides(over: Known, under: Known): boolean {
  const later = over.entry
  if (!isWithin(under.place, over.place)) return false
  if (under.place !== over.place) return mounts.includes(over.kind)
  if ('file' in later) return under.kind === 'file' || (later.mount !== undefined && !stepping.includes(under.kind))
  if (!mounts.includes(over.kind) || stepping.includes(under.kind)) return false
  // At the very place of another, one that may be missing has the other to stand in for it.
  return !('optional' in later && later.optional) || changes.includes(under.kind)
}
