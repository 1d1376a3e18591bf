/** What the planner of the new root reads off a single entry. */
import { normal } from '../policy/path.js'
import type { Entry } from '../policy/schema.js'
import type { MountFlags } from './step.js'

export function bindFlags(entry: Extract<Entry, { bind: string }>): MountFlags {
  return {
    readonly: !(entry.writable ?? false),
    nosuid: !(entry.suid ?? false),
    nodev: !(entry.devices ?? false),
    noexec: entry.noexec ?? false,
  }
}

/** Whether a payload writes it on the host, and so may leave something there for the next run. */
export const written = (entry: RootCover): boolean =>
  ('bind' in entry && (entry.writable ?? false)) || ('overlay' in entry && typeof entry.upper === 'object')

/** What is in a file: bytes, or a descriptor. */
export function contentOf({ fd, content = '' }: Extract<Entry, { file: string }>): Uint8Array | number {
  return fd ?? (typeof content === 'string' ? new TextEncoder().encode(content) : content)
}

/** A source in words. */
export const shownSource = (source: string | number) => (typeof source === 'number' ? `descriptor ${source}` : source)

/** What may be the root itself. */
export type RootCover = Extract<Entry, { bind: string } | { tmpfs: string } | { overlay: string }>
export function coversRoot(entry: Entry): entry is RootCover {
  const place = 'bind' in entry ? entry.bind : 'tmpfs' in entry ? entry.tmpfs : 'overlay' in entry ? entry.overlay : ''
  return place !== '' && normal(place) === '/'
}

/** A file that is not empty takes a page of 4 KiB: as many again may be empty files, directories and links. */
export const inodesFor = (bytes: number) => Math.max(1024, Math.floor(bytes / 2048))
