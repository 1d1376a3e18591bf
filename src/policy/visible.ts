/** What a policy lets its payload see, place by place: for people, who look for what they forgot. */
import { resolve } from 'node:path'
import { mountKinds, type Shown } from './entries.js'
import { kindOf } from './hidden.js'
import { isWithin } from './path.js'
import type { FilesystemEntry, Policy } from './schema.js'

/** A place that the payload sees. */
export interface Visible extends Shown {
  /** Inside. */
  readonly place: string
}

/**
 * What is on top at each place that an entry is for, sorted; undefined: what the mount namespace shows that it joins.
 * @param policy without `preset` and `fill`
 */
export function visiblePlaces(policy: Policy, base: string): Visible[] | undefined {
  if ((policy.namespaces?.mount ?? 'new') !== 'new') return undefined
  const root: Shown = { shows: 'an empty root', access: policy.root?.writable ? 'writable' : 'read-only' }
  const seen = new Map<string, Shown>([['/', root]])
  for (const entry of policy.filesystem ?? []) {
    const { kind, place } = kindOf(entry)
    if (kind === 'chmod') continue
    const within = [...seen.keys()].filter((one) => isWithin(one, place))
    if (kind === 'readonly') {
      const all = (entry as { recursive?: boolean }).recursive ?? true
      if (!seen.has(place)) seen.set(place, { shows: 'made read-only', access: 'read-only' })
      for (const one of all ? within : within.filter((other) => other === place))
        if (seen.get(one)!.access !== undefined) seen.set(one, { ...seen.get(one)!, access: 'read-only' })
      continue
    }
    // A directory that is there already stays what it is.
    if (kind === 'directory' && seen.has(place)) continue
    if (kind !== 'directory') for (const one of within) seen.delete(one)
    const said = mountKinds[kind].shows as (entry: FilesystemEntry, host: (path: string) => string) => Shown
    seen.set(
      place,
      said(entry, (path) => resolve(base, path)),
    )
  }
  return [...seen]
    .map(([place, shown]) => ({ place, ...shown }))
    .sort((a, b) => (sortKey(a.place) < sortKey(b.place) ? -1 : 1))
}

/** So that what lies in a directory comes before a neighbour whose name goes on, such as /a/b before /a-b. */
const sortKey = (place: string) => place.replaceAll('/', '\0')
