import * as path from 'node:path'
import { mostLinks, walkPath } from '../kernel/pathWalk.js'
import type { FillEntry } from './entry.js'
import * as fs from './look.js'

/** Trees of the kernel's own making, which a sandbox gets fresh or not at all. */
const KERNEL_TREES = ['/proc', '/sys', '/dev', '/run']

/**
 * Host paths that are to be seen at the same place inside. A path is walked as path_resolution(7) walks it: each link on the
 * way becomes a link inside, and what stands at the end is bound at its real path.
 *
 * Most paths come from files that a stranger may have written, and the caller can read more than others. So what is shown must be
 * readable by others, and each directory on its real path searchable by them; but for those in which a program lies that
 * the caller named.
 */
export class View {
  readonly #binds = new Map<string, 'directory' | 'file'>()
  readonly #links = new Map<string, string>()
  readonly #directories = new Set<string>()
  readonly #named = new Set<string>()
  readonly #aliases = new Map<string, { to: string; real: string }>()
  readonly #known: Known = new Map()
  readonly #trusts: (uid: number) => boolean

  /** @param trusts whose files may say what is shown; default: all users' */
  constructor(trusts: (uid: number) => boolean = () => true) {
    this.#trusts = trusts
  }

  /** Records that the caller named this program, and so, by each link that leads to it, the directories in which it lies. */
  name(program: string): void {
    for (const hop of hops(program)) {
      const directory = walk(path.dirname(hop), this.#known)?.real
      if (directory !== undefined) this.#named.add(path.join(directory, path.basename(hop)))
    }
  }

  /**
   * Makes `file` visible, with each link that leads to it.
   *
   * @param own directories of a program that the caller named: what lies in one, and is reached without a link in it, may be closed
   * @returns the real path, or undefined when it does not exist, cannot be looked up, is a loop of links, is closed to others, or
   * could be exchanged by a user who is not trusted; then nothing changes
   */
  reach(file: string, own: readonly string[] = []): string | undefined {
    const walked = walk(file, this.#known)
    if (walked === undefined || (this.#closedAt(walked) !== undefined && !own.some((one) => isPlainlyIn(walked, one))))
      return undefined
    this.#pass(walked)
    if (walked.real === '/') return '/'
    if (!KERNEL_TREES.some((tree) => walked.real === tree || walked.real.startsWith(`${tree}/`))) {
      this.#binds.set(walked.real, walked.directory ? 'directory' : 'file')
    }
    return walked.real
  }

  /** Makes what is passed on the way. */
  #pass({ links, passed }: Walk): void {
    for (const [link, to] of links) this.#links.set(link, to)
    for (const directory of passed) this.#directories.add(directory)
  }

  /** As {@link reach}; of a directory in which something is closed to others, the rest alone, and links as they are there. */
  reachOpen(file: string): string | undefined {
    const walked = walk(file, this.#known)
    if (walked === undefined || !walked.directory || isOpen(walked.real)) return this.reach(file)
    if (this.#closedAt(walked) !== undefined) return undefined
    this.#pass(walked)
    for (const name of names(walked.real)) {
      const { to } = lookUp(path.join(walked.real, name)) ?? {}
      if (to === undefined) this.reachOpen(path.join(walked.real, name))
      else this.#links.set(path.join(walked.real, name), to)
    }
    return walked.real
  }

  /** The real path that is closed to others, for which {@link reach} would not show this: the file or a directory above it. */
  closedAt(file: string): string | undefined {
    const walked = walk(file, this.#known)
    return walked === undefined ? undefined : this.#closedAt(walked)
  }

  #closedAt({ real, closed, owners }: Walk): string | undefined {
    if (!owners.every(this.#trusts)) return real
    if (this.#named.has(real)) return undefined
    const named = [...this.#named]
    return closed.find((one) => !named.some((program) => program.startsWith(one === '/' ? one : `${one}/`)))
  }

  /** Adds a link that the host does not have. */
  link(file: string, to: string): void {
    this.#links.set(file, to)
  }

  /** Adds a link of the host's, if anything comes to be seen where it leads. */
  alias(file: string): void {
    try {
      this.#aliases.set(file, { to: fs.readlinkSync(file), real: fs.realpathSync(file) })
    } catch {
      // No link, or one that leads nowhere.
    }
  }

  /** What was reached: parents first, nothing twice, nothing beneath a bound directory. */
  entries(): FillEntry[] {
    const found = new Map<string, FillEntry>()
    for (const directory of this.#directories) found.set(directory, { directory })
    for (const [symlink, to] of this.#links) found.set(symlink, { symlink, to })
    for (const bind of this.#binds.keys()) found.set(bind, { bind })
    const shown = [...found.keys()]
    for (const [symlink, { to, real }] of this.#aliases)
      if (!found.has(symlink) && shown.some((one) => one.startsWith(`${real}/`))) found.set(symlink, { symlink, to })
    const paths = [...found.keys()].filter((one) => !this.#covered(one)).sort(byComponent)
    return paths.flatMap((one, index) => {
      const entry = found.get(one)!
      const implied = 'directory' in entry && (paths[index + 1] ?? '').startsWith(`${one}/`)
      return implied ? [] : [entry]
    })
  }

  #covered(file: string): boolean {
    for (let up = path.dirname(file); up !== '/'; up = path.dirname(up)) {
      if (this.#binds.get(up) === 'directory') return true
    }
    return false
  }
}

interface Walk {
  real: string
  /** What of the real path is closed to others: directories that they cannot search, or an end that they cannot read. */
  closed: string[]
  directory: boolean
  /** Of each directory and link on the way, and of the end. */
  owners: number[]
  links: [string, string][]
  /** Directories that a link leaves again by `..`: they have to exist inside. */
  passed: string[]
}

/** Names that were looked up, of one host at one time: most paths begin with the same. */
type Known = Map<string, { readonly stat: fs.Stats; readonly to?: string } | undefined>

function walk(file: string, known: Known): Walk | undefined {
  const links: [string, string][] = []
  const passed: string[] = []
  const modes = new Map<string, number>()
  const owners = new Set<number>()
  let directory = true
  const real = walkPath(file, {
    at(next) {
      if (!known.has(next)) known.set(next, lookUp(next))
      const found = known.get(next)
      if (found === undefined) return false
      const { stat, to } = found
      owners.add(stat.uid)
      directory = to !== undefined || stat.isDirectory()
      if (to === undefined) modes.set(next, stat.mode)
      else links.push([next, to])
      return to
    },
    leaves: (left) => left !== '/' && passed.push(left),
  })
  if (real === undefined) return undefined
  const end = directory ? 0o005 : 0o004
  const closed = [...modes].flatMap(([one, mode]) => {
    const needed = one === real ? end : real.startsWith(`${one}/`) ? 0o001 : 0
    return (mode & needed) === needed ? [] : [one]
  })
  return { real, directory, owners: [...owners], links, passed, closed }
}

function lookUp(file: string) {
  try {
    const stat = fs.lstatSync(file)
    return stat.isSymbolicLink() ? { stat, to: fs.readlinkSync(file) } : { stat }
  } catch {
    return undefined
  }
}

/** Whether others can read everything in a directory, not counting what links lead to. */
function isOpen(directory: string): boolean {
  try {
    return fs.listSync(directory).every((one) => {
      if (one.isSymbolicLink()) return true
      const file = path.join(directory, one.name)
      const needed = one.isDirectory() ? 0o005 : 0o004
      return (fs.lstatSync(file).mode & needed) === needed && (!one.isDirectory() || isOpen(file))
    })
  } catch {
    return false
  }
}

/** Whether no link in `own` was followed to what lies in it. */
function isPlainlyIn({ real, links }: Walk, own: string): boolean {
  if (real !== own && !real.startsWith(`${own}/`)) return false
  return links.every(([link]) => !link.startsWith(`${own}/`))
}

function byComponent(a: string, b: string): number {
  const left = a.split('/')
  const right = b.split('/')
  for (let index = 0; index < left.length && index < right.length; index++) {
    if (left[index] !== right[index]) return left[index]! < right[index]! ? -1 : 1
  }
  return left.length - right.length
}

/** Every path that is passed on the way from `file` to what it is: the file itself, then each link's target. */
export function hops(file: string): string[] {
  const passed: string[] = []
  let now = file
  try {
    while (passed.length <= mostLinks) {
      passed.push(now)
      if (!fs.lstatSync(now).isSymbolicLink()) break
      now = path.resolve(fs.realpathSync(path.dirname(now)), fs.readlinkSync(now))
    }
  } catch {
    return passed
  }
  return passed
}

/** Where a path leads; undefined: nowhere, or the caller may not look. */
export function realpath(file: string): string | undefined {
  try {
    return fs.realpathSync(file)
  } catch {
    return undefined
  }
}

/**
 * Paths that match a pattern in which `*` stands for any part of one name, and `[0-9]` for a digit. Sorted; none when nothing
 * matches.
 */
export const glob = (pattern: string): string[] => globIn('/', [pattern])

/** The same for several patterns below a directory, which is listed at most once: in the order of the patterns. */
export function globIn(directory: string, patterns: readonly string[]): string[] {
  const listed = new Map<string, string[]>()
  const list = (up: string) => {
    if (!listed.has(up)) listed.set(up, names(up))
    return listed.get(up)!
  }
  return patterns.flatMap((pattern) => {
    if (!pattern.includes('*')) return [path.join(directory, pattern)].filter((one) => fs.existsSync(one))
    let found = [directory]
    for (const name of pattern.split('/')) {
      if (name === '') continue
      const matcher = name.includes('*') ? matcherOf(name) : undefined
      found = found.flatMap((up) =>
        (matcher === undefined ? [name] : list(up).filter((one) => matcher.test(one))).map((one) => path.join(up, one)),
      )
    }
    return found.filter((one) => fs.existsSync(one))
  })
}

function matcherOf(name: string): RegExp {
  const quoted = name.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\[0-9\\]', '[0-9]')
  return new RegExp(`^${quoted.replaceAll('*', '.*')}$`)
}

/** What is in a directory, sorted; nothing where it cannot be listed. */
export function names(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort()
  } catch {
    return []
  }
}
