/** What every run trusts, and its payload may therefore not change: vial itself, its cache, the records of sandboxes, Node.js, and what a command line names. */
import { lstatSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheDirectory } from '../cache/cacheDirectory.js'
import { trustedPlaces } from '../cache/sandboxPlaces.js'
import { attempt } from '../text/attempt.js'

export interface Trusted {
  readonly path: string
  /** A directory that is made, for the caller only, where it is missing: what is not there cannot be kept. */
  readonly made?: true
}

/** CommonJS has this in place of `import.meta.url`: dist/cjs, and programs that were bundled so. */
declare const __filename: string

/** What every run trusts, and besides what a command line names. */
export function trustedPaths(named: readonly string[] = []): Trusted[] {
  const paths = [...packagePaths(), process.execPath, ...named.map((path) => resolve(path))]
  const cache = attempt(cacheDirectory)
  const made = [...(cache === undefined ? [] : [cache]), ...trustedPlaces()]
  return [...paths.map((path) => ({ path })), ...made.map((path) => ({ path, made: true as const }))]
}

/** In a bundle of another program, vial is that file. In a checkout, where vial itself is worked on, only what is executed. */
function packagePaths(): string[] {
  const file = import.meta.url === undefined ? __filename : fileURLToPath(import.meta.url)
  const root = file.slice(0, Math.max(0, file.lastIndexOf('/dist/')))
  isPackaged ??= isPackage(root)
  if (!isPackaged) return [file, ...namesOfPackage()]
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
  // A current directory that was removed has none above that could be known.
  const here = attempt(() => process.cwd()) ?? '/'
  const starts = [here, ...(process.argv[1] === undefined ? [] : [dirname(resolve(process.argv[1]))])]
  const directories = new Set(starts.flatMap((start) => [start, ...directoriesAbove(start)]))
  return [...directories].flatMap((directory) =>
    ['vial', '.bin/vial', '.bin/vial-bwrap'].map((name) => join(directory, 'node_modules', name)).filter(isThere),
  )
}

const directoriesAbove = (path: string): string[] =>
  path === '/' ? [] : [dirname(path), ...directoriesAbove(dirname(path))]

/** A link is there, wherever it leads. */
const isThere = (path: string) => attempt(() => lstatSync(path, { throwIfNoEntry: false })) !== undefined

/** Whether vial's own package is there: asked once, for this file does not move while the process lasts. */
let isPackaged: boolean | undefined

const isPackage = (directory: string): boolean =>
  attempt(() => JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).name === 'vial') ?? false
