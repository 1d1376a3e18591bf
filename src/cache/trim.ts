/** Keeps the directories of the cache small: each store of a vial removes those that have long not been used. */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Beyond either, those that were not used for longest are removed. */
const most = { files: 512, bytes: 64 * 2 ** 20 }
const day = 24 * 3_600_000
/** Milliseconds without use, after which a vial is removed in any case. */
const oldest = 30 * day
/** Milliseconds: what was used later than this stays, beyond the limits too: its path may have been given to a program that starts it. */
const recent = 600_000
/** What a writer that was killed left under a temporary name. */
const abandoned = 3_600_000

interface Trimmed {
  /** Names of vials. */
  readonly vial: RegExp
  /** Names of vials that are being written. */
  readonly temporary?: RegExp
  /** Default: now. */
  readonly now?: number
}

/**
 * Trims one directory, once: one readdir, and one lstat for each file. A vial that runs or is about to be executed is open, so its
 * process does not miss the name; one that finds none stores it again.
 *
 * The last use is the last time it was read or stored. Where the filesystem keeps no times of reading (noatime), it is when it was stored.
 */
export function trim(folder: string, { vial, temporary, now = Date.now() }: Trimmed): void {
  const vials: { path: string; size: number; unused: number }[] = []
  for (const name of readdirSync(folder)) {
    const isVial = vial.test(name)
    if (!isVial && !temporary?.test(name)) continue
    const path = join(folder, name)
    const status = lstatSync(path, { throwIfNoEntry: false })
    if (status === undefined) continue
    // A time in the future was another clock's.
    const unused = Math.abs(now - Math.max(status.mtimeMs, status.atimeMs))
    if (isVial) vials.push({ path, size: status.size, unused })
    else if (unused > abandoned) unlinkIfThere(path)
  }
  let bytes = 0
  for (const [index, { path, size, unused }] of vials.sort((a, b) => a.unused - b.unused).entries()) {
    bytes += size
    const isBeyond = index >= most.files || bytes > most.bytes
    if (unused > oldest || (isBeyond && unused > recent)) unlinkIfThere(path)
  }
}

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch {}
}
