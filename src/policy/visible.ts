/** What a policy lets its payload see, place by place: for people, who look for what they forgot. */
import { resolve } from 'node:path'
import { kindOf } from './hidden.js'
import { isWithin } from './path.js'
import type { FilesystemEntry, Policy } from './schema.js'

/** A place that the payload sees. */
export interface Visible {
  /** Inside. */
  readonly place: string
  /** In words, such as `/usr of the host`. */
  readonly shows: string
  /** None where that is as in the directory above, or for each file by itself. */
  readonly access?: 'read-only' | 'writable'
}

type Shown = Omit<Visible, 'place'>

/** The same text for all kinds of a mount: it hides what was at its place, and all beneath. */
type Words = { readonly [Kind in keyof Wording]: (entry: Wording[Kind], host: (path: string) => string) => Shown }
interface Wording {
  bind: Extract<FilesystemEntry, { bind: string }>
  tmpfs: Extract<FilesystemEntry, { tmpfs: string }>
  proc: Extract<FilesystemEntry, { proc: string }>
  sysfs: Extract<FilesystemEntry, { sysfs: string }>
  dev: Extract<FilesystemEntry, { dev: string }>
  mqueue: Extract<FilesystemEntry, { mqueue: string }>
  directory: Extract<FilesystemEntry, { directory: string }>
  symlink: Extract<FilesystemEntry, { symlink: string }>
  file: Extract<FilesystemEntry, { file: string }>
  overlay: Extract<FilesystemEntry, { overlay: string }>
}

const words: Words = {
  bind: ({ bind, from = bind, fd, writable, optional, devices }, host) => ({
    shows: [
      fd === undefined ? `${host(from)} of the host` : `descriptor ${fd}`,
      ...(devices ? ['with its devices'] : []),
      ...(optional ? ['if it is there'] : []),
    ].join(', '),
    access: writable ? 'writable' : 'read-only',
  }),
  tmpfs: ({ size }) => ({
    shows: `a directory in memory${size === undefined ? '' : ` (${size})`}`,
    access: 'writable',
  }),
  proc: () => ({ shows: 'processes, and what the kernel tells of itself' }),
  sysfs: () => ({ shows: 'devices, and what the kernel tells of itself', access: 'read-only' }),
  dev: () => ({ shows: 'null, zero, full, random, urandom, tty, pts, shm and the usual links' }),
  mqueue: () => ({ shows: 'POSIX message queues' }),
  directory: () => ({ shows: 'a directory' }),
  symlink: ({ to }) => ({ shows: `a link to ${to}` }),
  file: ({ mount }) => ({
    shows: 'a file of the policy',
    ...(mount === undefined ? {} : { access: mount === 'readonly' ? 'read-only' : 'writable' }),
  }),
  overlay: ({ lower, upper }, host) => ({
    shows: [
      lower.map(host).join(' over '),
      ...(upper === undefined
        ? []
        : [upper === 'tmpfs' ? 'changes stay in memory' : `changes go to ${host(upper.upper)}`]),
    ].join(', '),
    access: upper === undefined ? 'read-only' : 'writable',
  }),
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
    const said = words[kind] as (entry: FilesystemEntry, host: (path: string) => string) => Shown
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
