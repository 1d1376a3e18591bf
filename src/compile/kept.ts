/**
 * What the next run trusts, and the groups of a run's limits, kept from this one. A writable bind that covers vial itself, its cache or the policy would let a payload
 * decide what the next run executes. So each of these is laid read-only over such a bind; each directory between is mounted
 * on itself, and so is each symbolic link on the way: rename(2) of a mount point is EBUSY, of a directory above one it is not.
 */
import { accessSync, constants, lstatSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../cache/cacheDirectory.js'
import type { KeptAs } from '../plan/step.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'

/** What is laid over a writable entry, by its path below that entry's source. */
export interface Kept {
  readonly path: string
  readonly as: KeptAs
  /** A directory that is made, for the caller only, where it is missing: what is not there cannot be kept. */
  readonly made?: true
}

/** What every run trusts. */
interface Trusted {
  readonly path: string
  /** As of {@link Kept}. */
  readonly made?: true
}

/** CommonJS has this in place of `import.meta.url`: dist/cjs, and programs that were bundled so. */
declare const __filename: string

/** What every run trusts, and besides what a command line names. */
export function trustedPaths(named: readonly string[] = []): Trusted[] {
  const paths = [...packagePaths(), process.execPath, ...named.map((path) => resolve(path))]
  return [...paths.map((path) => ({ path })), ...cachePaths().map((path) => ({ path, made: true as const }))]
}

/** In a bundle of another program, vial is that file. In a checkout, where vial itself is worked on, only what is executed. */
function packagePaths(): string[] {
  const file = import.meta.url === undefined ? __filename : fileURLToPath(import.meta.url)
  const root = file.slice(0, Math.max(0, file.lastIndexOf('/dist/')))
  if (packageName(root) !== 'vial') return [file, ...namesOfPackage()]
  const installed = basename(dirname(root)) === 'node_modules'
  const own = installed ? [root] : [join(root, 'dist'), join(root, 'package.json')]
  return [...own, ...dependencyPaths(root), ...namesOfPackage()]
}

/**
 * Where Node finds the package's dependency: in the `node_modules` of the nearest directory above, whatever links lie there.
 * A nearer `node_modules` that lacks it is kept whole, for what the payload put there would be found first.
 * https://nodejs.org/api/modules.html#loading-from-node_modules-folders
 */
function dependencyPaths(root: string): string[] {
  const nearer: string[] = []
  for (const directory of [root, ...directoriesAbove(root)]) {
    if (basename(directory) === 'node_modules') continue
    const modules = join(directory, 'node_modules')
    const found = join(modules, 'valibot')
    if (isThere(found)) return [...nearer, found]
    if (isThere(modules)) nearer.push(modules)
  }
  return []
}

/**
 * The names by which a program beside the caller's, or `npx`, finds vial: links, of npm, pnpm, `npm link` and workspaces, or
 * scripts.
 */
function namesOfPackage(): string[] {
  const starts = [currentDirectory(), ...(process.argv[1] === undefined ? [] : [dirname(resolve(process.argv[1]))])]
  const directories = new Set(starts.flatMap((start) => [start, ...directoriesAbove(start)]))
  return [...directories].flatMap((directory) =>
    ['vial', '.bin/vial', '.bin/vial-bwrap'].map((name) => join(directory, 'node_modules', name)).filter(isThere),
  )
}

/** One that was removed has no directories above that could be known. */
function currentDirectory(): string {
  try {
    return process.cwd()
  } catch {
    return '/'
  }
}

const directoriesAbove = (path: string): string[] =>
  path === '/' ? [] : [dirname(path), ...directoriesAbove(dirname(path))]

/** A link is there, wherever it leads. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return false
  }
}

const packageNames = new Map<string, unknown>()

/** What this file lies in does not change its name while the process lasts. */
function packageName(folder: string): unknown {
  if (!packageNames.has(folder)) packageNames.set(folder, readName(folder))
  return packageNames.get(folder)
}

function readName(folder: string): unknown {
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
 */
export function keptOver(
  { filesystem = [] }: Pick<Policy, 'filesystem'>,
  base: string,
  trusted: () => readonly Trusted[],
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

/** A bind of a trusted path itself, or of what lies in it, asks for that to be writable. */
export function keptBelow(source: string, trusted: readonly Trusted[]): Kept[] {
  let top: string
  try {
    top = realpathSync(source)
  } catch {
    // Nothing is there, or nothing that the caller may look at.
    return []
  }
  const below = (path: string) => path !== top && path.startsWith(top === '/' ? top : `${top}/`)
  const all = new Map<string, KeptAs>()
  const made = new Set<string>()
  const ways = trusted.map((one) => ({ ...one, ...wayTo(one.path) }))
  // What lies in another trusted path goes with that one, also where that one may be written.
  const isPart = (path: string) => ways.some(({ real }) => path.startsWith(`${real}/`))
  for (const { real, links, made: isMade } of ways) {
    for (const link of links) if (below(link) && mayChange(dirname(link))) all.set(link, 'link')
    if (!below(real) || isPart(real)) continue
    all.set(real, 'readonly')
    if (isMade) for (const path of [real, ...ancestorsBelow(real, below)]) made.add(path)
  }
  const isCovered = (path: string) => ancestorsBelow(path, below).some((above) => all.get(above) === 'readonly')
  const kept = [...all.keys()].filter((path) => !isCovered(path))
  for (const above of kept.flatMap((path) => ancestorsBelow(path, below))) if (!all.has(above)) all.set(above, 'placed')
  return [...all]
    .filter(([path]) => !isCovered(path))
    .map(([path, as]): Kept => {
      const name = path.slice(top === '/' ? 1 : top.length + 1)
      return { path: name, as, ...(made.has(path) ? { made: true } : {}) }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))
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
