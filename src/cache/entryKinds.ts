/** The kinds of vials that the cache holds: what stores, looks up, lists, clears and trims them goes by these rows. */
import { frontDirectory } from '../front/format.js'

export interface EntryKind {
  /** Its directory in the cache's; empty: that one itself. */
  readonly directory: string
  /** The form of its names. */
  readonly name: RegExp
  /** Who made it, as `vial cache` says: the library and `vial run`, or `vial-bwrap`. */
  readonly of: 'sandbox' | 'bwrap'
  /** Beyond either, those that were not used for longest are removed. */
  readonly most: { readonly files: number; readonly bytes: number }
  /** Milliseconds without use, after which one is removed in any case. */
  readonly oldest: number
}

const usual = { most: { files: 512, bytes: 64 * 2 ** 20 }, oldest: 30 * 24 * 3_600_000 }

export const entryKinds = {
  /** By their content. */
  content: { directory: '', name: /^[0-9a-f]{40}$/, of: 'sandbox', ...usual },
  /** By what `vial run` compiled them from. */
  request: { directory: 'run', name: /^[0-9a-f]{16}$/, of: 'sandbox', ...usual },
  /** By the options of `vial-bwrap`, whose front reads them: front/lookup.ts. */
  front: { directory: frontDirectory, name: /^[0-9a-f]{16}$/, of: 'bwrap', ...usual },
} as const satisfies Record<string, EntryKind>
