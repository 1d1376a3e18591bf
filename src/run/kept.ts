/**
 * What the next run trusts, and the groups of a run's limits, kept from this one. A writable bind that covers vial itself, its cache or the policy would let a payload
 * decide what the next run executes. So each of these is laid read-only over such a bind, and each directory between is
 * mounted on itself: rename(2) of a mount point is EBUSY, of a directory above one it is not.
 */
import { accessSync, constants, existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PolicyError } from '../policy/fault.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import { cacheFolder } from './cache.js'

/** What is laid over a writable entry, by its path below that entry's source. */
export interface Kept {
  readonly path: string
  /** `readonly`: trusted. `placed`: a trusted one lies in it; it stays writable, and where it is. */
  readonly as: 'readonly' | 'placed'
}

/** CommonJS has this in place of `import.meta.url`: dist/cjs, and programs that were bundled so. */
declare const __filename: string

/** What every run trusts, and besides what a command line names. */
export function trustedPaths(named: readonly string[] = []): string[] {
  return [...packagePaths(), ...cachePaths(), process.execPath, ...named.map((path) => resolve(path))]
}

/** In a bundle of another program, vial is that file. In a checkout, where vial itself is worked on, only what is executed. */
function packagePaths(): string[] {
  const file = import.meta.url === undefined ? __filename : fileURLToPath(import.meta.url)
  const root = file.slice(0, Math.max(0, file.lastIndexOf('/dist/')))
  if (packageName(root) !== 'vial') return [file]
  const above = dirname(root)
  const beside = join(above, 'valibot')
  if (basename(above) === 'node_modules') return [root, ...(existsSync(beside) ? [beside] : [])]
  const own = join(root, 'node_modules/valibot')
  // A checkout's node_modules may be a link.
  return [join(root, 'dist'), join(root, 'package.json'), ...(existsSync(own) ? [realpathSync(own)] : [])]
}

function packageName(folder: string): unknown {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name
  } catch {
    return undefined
  }
}

function cachePaths(): string[] {
  try {
    return [cacheFolder()]
  } catch {
    return []
  }
}

/** The host's side of an entry that the payload can write; undefined of any other, and of a descriptor. */
export function writableSource(entry: FilesystemEntry, base: string): string | undefined {
  if ('bind' in entry)
    return entry.writable && entry.fd === undefined ? resolve(base, entry.from ?? entry.bind) : undefined
  return 'overlay' in entry && typeof entry.upper === 'object' ? resolve(base, entry.upper.upper) : undefined
}

/**
 * What is laid over each writable entry.
 * @param trusted absolute paths, of which some may not be there
 * @throws {PolicyError} when one of them is reached by a link that cannot be kept
 */
export function keptOver(
  { filesystem = [] }: Pick<Policy, 'filesystem'>,
  base: string,
  trusted: () => readonly string[],
): Map<FilesystemEntry, readonly Kept[]> {
  const found = new Map<FilesystemEntry, readonly Kept[]>()
  for (const entry of filesystem) {
    const source = writableSource(entry, base)
    if (source === undefined) continue
    const kept = keptBelow(source, trusted())
    if (kept.length > 0) found.set(entry, kept)
  }
  return found
}

/** Whoever binds a trusted path itself, or what lies in it, asks for that to be writable. */
export function keptBelow(source: string, trusted: readonly string[]): Kept[] {
  let top: string
  try {
    top = realpathSync(source)
  } catch {
    // Nothing is there, or nothing that the caller may look at.
    return []
  }
  const below = (path: string) => path !== top && path.startsWith(top === '/' ? top : `${top}/`)
  const readonly = new Set<string>()
  const ways = trusted.map((path) => ({ path, ...wayTo(path) }))
  // What lies in another trusted path goes with that one, also where that one may be written.
  const isPart = (path: string) => ways.some(({ real }) => path.startsWith(`${real}/`))
  for (const { path, real, links } of ways) {
    if (below(real) && !isPart(real)) readonly.add(real)
    for (const link of links) {
      const folder = dirname(link)
      if (!below(link) || !mayChange(folder)) continue
      // Nothing can be mounted on a link: the directory that holds it is kept whole.
      if (folder === top)
        throw new PolicyError([
          `filesystem: ${path} is reached by the symbolic link ${link}, which the sandbox could exchange for the next run, since it may write in ${top}; use the real path, ${real}`,
        ])
      readonly.add(folder)
    }
  }
  const kept = [...readonly].filter((path) => !ancestorsBelow(path, below).some((above) => readonly.has(above)))
  const placed = new Set(kept.flatMap((path) => ancestorsBelow(path, below)))
  const relative = (path: string) => path.slice(top === '/' ? 1 : top.length + 1)
  return [
    ...kept.map((path): Kept => ({ path: relative(path), as: 'readonly' })),
    ...[...placed].map((path): Kept => ({ path: relative(path), as: 'placed' })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1))
}

function ancestorsBelow(path: string, below: (path: string) => boolean): string[] {
  const above = dirname(path)
  return below(above) ? [above, ...ancestorsBelow(above, below)] : []
}

/** The owner can give himself the right. */
function mayChange(folder: string): boolean {
  try {
    if (lstatSync(folder).uid === process.geteuid!()) return true
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The real path, and each link on the way by its own real path. What is not there has the name that it would get. */
function wayTo(path: string): { real: string; links: string[] } {
  const left = path.split('/').reverse()
  const links: string[] = []
  let real = '/'
  while (left.length > 0 && links.length <= 40) {
    const name = left.pop()!
    if (name === '' || name === '.') continue
    if (name === '..') {
      real = dirname(real)
      continue
    }
    const next = join(real, name)
    if (!isLink(next)) {
      real = next
      continue
    }
    const target = readlinkSync(next)
    links.push(next)
    if (target.startsWith('/')) real = '/'
    left.push(...target.split('/').reverse())
  }
  return { real, links }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  } catch {
    // Below a file, or closed to the caller: nothing that could be followed.
    return false
  }
}
