/** Keeps the cache small: a process that stores vials removes those that have long not been used, and what killed writers left. */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from '../text/attempt.js'
import type { EntryKind } from './entryKinds.js'
import { isOwnDirectory } from './trust.js'
import { unlinkIfThere } from './wholeFile.js'

/** Milliseconds: what was used later than this stays, beyond the limits too: its path may have been given to a program that starts it. */
const recent = 600_000
/**
 * Milliseconds: how long a file under a temporary name is its writer's at most, and how long though no process has the writer's pid. That
 * one may be in another pid namespace, such as a container's that has the same home.
 */
const written = { atMost: 3_600_000, unseen: 10_000 }

/** How many vials this process adds before it trims again: a server of one-off policies need not look at all of them each time. */
const untrimmed = 32
let added = 0

/** To be called after each vial that is stored. A cache that cannot be trimmed can be used all the same. */
export function trimSometimes(cache: string, kind: EntryKind): void {
  if (added++ % untrimmed === 0) attempt(() => trim(cache, kind))
}

/**
 * Trims the vials of one kind: one readdir, and one lstat for each file. A vial that runs or is about to be executed is open,
 * so its process does not miss the name; one that finds none stores it again.
 *
 * The last use is the last time it was read or stored. Where the filesystem keeps no times of reading (noatime), it is when it was stored.
 */
export function trim(cache: string, kind: EntryKind, now = Date.now()): void {
  const directory = join(cache, kind.directory)
  if (!isOwnDirectory(directory)) return
  const names = readdirSync(directory)
  sweep(directory, names, now)
  const vials = names
    .filter((name) => kind.name.test(name))
    .flatMap((name) => {
      const path = join(directory, name)
      const unused = sinceUse(path, now)
      return unused === undefined ? [] : [{ path, ...unused }]
    })
  let bytes = 0
  for (const [index, { path, size, unused }] of vials.sort((a, b) => a.unused - b.unused).entries()) {
    bytes += size
    const isBeyond = index >= kind.most.files || bytes > kind.most.bytes
    if (unused > kind.oldest || (isBeyond && unused > recent)) unlinkIfThere(path)
  }
}

/** Removes what writers and runs that were killed left behind. */
export function sweep(directory: string, names = readdirSync(directory), now = Date.now()): void {
  for (const name of names) {
    const pid = /^(?:[0-9a-f]{16}|[0-9a-f]{40}|status)\.(\d+)\.[0-9a-f]{8}$/.exec(name)?.[1]
    if (pid === undefined) continue
    const path = join(directory, name)
    const { unused = 0 } = sinceUse(path, now) ?? {}
    if (unused > (isAlive(Number(pid)) ? written.atMost : written.unseen)) unlinkIfThere(path)
  }
}

function sinceUse(path: string, now: number): { size: number; unused: number } | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false })
  // A time in the future was another clock's.
  return status && { size: status.size, unused: Math.abs(now - Math.max(status.mtimeMs, status.atimeMs)) }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
