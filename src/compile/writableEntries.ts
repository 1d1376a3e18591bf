/**
 * What a payload reaches on the host by the writable entries of a policy, and should not change there. What the next run trusts, and the
 * groups of a run's limits, are laid over such an entry ({@link keptOver}); what the policy itself says is read-only, but such an entry shows
 * at another place as well, is an error ({@link otherNames}).
 */
import { constants, lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { walkPath } from '../kernel/pathWalk.js'
import type { KeptAs } from '../plan/step.js'
import { kindOf } from '../policy/hidden.js'
import { isWithin, normal } from '../policy/path.js'
import type { FilesystemEntry } from '../policy/schema.js'
import { attempt, mayAccess } from '../text/attempt.js'
import type { Trusted } from './trustedPaths.js'

/** An entry that the payload can write. */
export interface Writable {
  readonly entry: FilesystemEntry
  readonly index: number
  /** The real path of its source on the host; undefined: nothing is there, or nothing that the caller may look at. */
  readonly real: string | undefined
  readonly source: string
}

/** @param base where relative paths of the host start */
export function writableEntries(entries: readonly FilesystemEntry[], base: string): Writable[] {
  return entries.flatMap((entry, index) => {
    const source = writableSource(entry, base)
    return source === undefined ? [] : [{ entry, index, source, real: realPath(source) }]
  })
}

/** The host's side of an entry that the payload can write; undefined of any other, and of a descriptor. */
function writableSource(entry: FilesystemEntry, base: string): string | undefined {
  if ('bind' in entry)
    return entry.writable && entry.fd === undefined ? resolve(base, entry.from ?? entry.bind) : undefined
  return 'overlay' in entry && typeof entry.upper === 'object' ? resolve(base, entry.upper.upper) : undefined
}

// An exception takes ten times as long as a look.
const realPath = (path: string) => attempt(() => lstatSync(path, { throwIfNoEntry: false }) && realpathSync(path))

/** What is laid over a writable entry, by its path below that entry's source. */
export interface Kept {
  readonly path: string
  readonly as: KeptAs
  /** A directory that is made, for the caller only, where it is missing: what is not there cannot be kept. */
  readonly made?: true
}

/**
 * What is laid over each writable entry: what is trusted, read-only; each directory between and each symbolic link on the way, mounted on
 * itself, for rename(2) of a mount point is EBUSY, of a directory above one it is not.
 * @param trusted absolute paths, of which some may not be there
 */
export function keptOver(
  writable: readonly Writable[],
  trusted: () => readonly Trusted[],
): Map<FilesystemEntry, readonly Kept[]> {
  const found = new Map<FilesystemEntry, readonly Kept[]>()
  let ways: readonly Way[] | undefined
  for (const { entry, real } of writable) {
    if (real === undefined) continue
    ways ??= trusted().map(wayTo)
    const kept = keptBelow(real, ways)
    if (kept.length > 0) found.set(entry, kept)
  }
  return found
}

/** A bind of a trusted path itself, or of what lies in it, asks for that to be writable. */
function keptBelow(top: string, ways: readonly Way[]): Kept[] {
  const isBelow = (path: string) => path !== top && isWithin(path, top)
  const all = new Map<string, KeptAs>()
  const made = new Set<string>()
  for (const { real, links, made: isMade } of ways) {
    for (const link of links) if (isBelow(link) && mayChange(dirname(link))) all.set(link, 'link')
    // What lies in another trusted path goes with that one, also where that one may be written.
    if (!isBelow(real) || ways.some((other) => real.startsWith(`${other.real}/`))) continue
    all.set(real, 'readonly')
    if (isMade) for (const path of [real, ...directoriesAbove(real, isBelow)]) made.add(path)
  }
  const isCovered = (path: string) => directoriesAbove(path, isBelow).some((above) => all.get(above) === 'readonly')
  const kept = [...all.keys()].filter((path) => !isCovered(path))
  for (const above of kept.flatMap((path) => directoriesAbove(path, isBelow)))
    if (!all.has(above)) all.set(above, 'placed')
  return [...all]
    .filter(([path]) => !isCovered(path))
    .map(([path, as]): Kept => {
      const name = path.slice(top === '/' ? 1 : top.length + 1)
      return { path: name, as, ...(made.has(path) ? { made: true } : {}) }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

function directoriesAbove(path: string, isBelow: (path: string) => boolean): string[] {
  const above = dirname(path)
  return isBelow(above) ? [above, ...directoriesAbove(above, isBelow)] : []
}

/** The owner can give himself the right. */
const mayChange = (directory: string) =>
  attempt(() => lstatSync(directory).uid) === process.geteuid!() || mayAccess(directory, constants.W_OK)

interface Way extends Trusted {
  readonly real: string
  readonly links: readonly string[]
}

/** The real path, and each link on the way by its own real path. What is not there has the name that it would get. */
function wayTo(trusted: Trusted): Way {
  const links: string[] = []
  const real = walkPath(trusted.path, {
    at(next) {
      const target = targetOf(next)
      if (target !== undefined) links.push(next)
      return target
    },
  })
  return { ...trusted, real: real ?? trusted.path, links }
}

/** Where a link leads. Below a file, or closed to the caller, there is nothing that could be followed. */
const targetOf = (path: string) =>
  attempt(() => (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined))

export interface OtherName {
  /** The read-only bind, and the entry that leaves it writable. */
  readonly index: number
  readonly by: number
  /** Its place, its real path on the host, and the place where it stays writable. */
  readonly place: string
  readonly real: string
  readonly seen: string
}

/**
 * Parts of a writable directory that are to be read-only, but lie elsewhere inside: by a symbolic link, or since the directory
 * has another place. At their place in that directory they would stay writable. An entry that says `from` means its own place only.
 */
export function otherNames(
  entries: readonly FilesystemEntry[],
  base: string,
  writable: readonly Writable[],
): OtherName[] {
  if (writable.length === 0) return []
  return entries.flatMap((entry, index) => {
    if (!('bind' in entry) || entry.writable || entry.fd !== undefined || entry.from !== undefined) return []
    const { place } = kindOf(entry)
    const source = resolve(base, entry.bind)
    // What is not there is complained about elsewhere.
    const real = realPath(source) ?? source
    for (const { index: by, entry: over, source: from, real: top = from } of writable) {
      if (!isWithin(real, top)) continue
      const seen = normal(`${kindOf(over).place}/${real.slice(top.length)}`)
      const isCovered = entries.some((later, at) => at > by && isWithin(seen, kindOf(later).place))
      if (seen !== place && !isCovered) return [{ index, by, place, real, seen }]
    }
    return []
  })
}
