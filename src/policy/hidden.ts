/** Entries of `filesystem` take effect in their order: which of them a later one hides whole. */
import { type FilesystemEntry, type MountKind, mountKindNames, mountKinds } from './entries.js'
import { isWithin, normal } from './path.js'

export interface Hidden {
  readonly index: number
  /** The first later entry that hides it. */
  readonly by: number
}

/** What an entry is, and the place inside that it is for. */
export function kindOf(entry: FilesystemEntry) {
  const kind = mountKindNames.find((name) => Object.hasOwn(entry, name))!
  return { kind, is: mountKinds[kind].is, place: normal(String((entry as Partial<Record<MountKind, string>>)[kind])) }
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
  if (under.place !== over.place) return over.is === 'mount'
  if ('file' in later) return under.kind === 'file' || (later.mount !== undefined && under.is !== 'way')
  if (over.is !== 'mount' || under.is === 'way') return false
  // At the very place of another, one that may be missing has the other to stand in for it.
  return !('optional' in later && later.optional) || under.is === 'change'
}
