import * as path from 'node:path'
import { key, readOnlyEntry } from '../policy/keys.js'
import { type Said, type Words, words } from '../text/words.js'
import type { FillEntry } from './entry.js'
import { FACILITIES } from './facilities.js'
import { executable, hostPath, type Located, locate } from './findProgram.js'
import { LANGUAGES } from './languages.js'
import { LibraryResolver, muslPathFile } from './libraries.js'
import * as fs from './look.js'
import { isHostsOwn, isOfPackage, isProse, isWithinAny, ownPlaces, ROOT_DIRECTORIES, SHARED } from './own.js'
import { readElf } from './readElf.js'
import { readHead } from './regular.js'
import type { Rule } from './rule.js'
import { envProgram, mentionedIn, readShebang, type Shebang } from './shebang.js'
import { TOOLS } from './tools.js'
import { glob, hops, realpath, View } from './view.js'

const RULES: readonly Rule[] = [...LANGUAGES, ...TOOLS, ...FACILITIES]

/** A program cannot be filled with. */
export class CannotFill extends Error {
  constructor(
    /** Why, and what to do. */
    readonly said: Said,
  ) {
    super(String(said))
  }
}

/** A wrapper may start a wrapper. What those start that the second starts is not looked for. */
const WRAPPERS = 2

/** What no rule may show whole. */
const TOO_WIDE = new Set([
  '/',
  '/usr',
  '/usr/local',
  '/usr/lib',
  '/usr/lib64',
  '/usr/share',
  '/usr/bin',
  '/opt',
  '/home',
])

/**
 * What `program` needs of the host, as binds and links at the places where the host has them: the file and each link that
 * leads to it; the interpreter of a script, also behind `#!/usr/bin/env` (execve(2)), and what a wrapper names
 * ({@link mentionedIn}); the ELF interpreter, the libraries and their cache (ld.so(8)); the directories that are named after
 * the program ({@link ownPlaces}); and what it and its libraries keep elsewhere (the tables of {@link Rule}). Needs /proc and
 * /dev besides, and /tmp if the program writes there.
 *
 * Shows nothing that is closed to others: see {@link View}.
 *
 * A shim of pyenv, rbenv or rustup becomes a link to the program of the version that its settings name.
 *
 * @param options.path where to look for the program, in place of {@link hostPath}
 * @throws {CannotFill} when it is not found, is no program, or needs a library that ld.so(8) would not find
 */
export function closure(program: string | readonly string[], options: { path?: string } = {}): FillEntry[] {
  const builder = new Closure(options.path ?? hostPath())
  const programs = typeof program === 'string' ? [program] : program
  // Programs name what lies in /usr by these as well: system(3) executes /bin/sh.
  for (const one of ROOT_DIRECTORIES) builder.view.alias(one)
  // What one of them leads to may be another's.
  for (const one of programs) builder.name(one)
  for (const one of programs) builder.add(one)
  return builder.view.entries()
}

class Closure {
  readonly view = new View()
  readonly #search: string
  readonly #resolver = new LibraryResolver()
  readonly #done = new Set<string>()

  constructor(search: string) {
    this.#search = search
  }

  name(name: string): void {
    const found = locate(name, this.#search)
    if (found !== undefined) this.view.name(found.target ?? found.file)
  }

  /** Adds a program that the caller named, or that lies where the caller says that programs are. */
  add(name: string): void {
    this.name(name)
    const found = locate(name, this.#search)
    if (found === undefined) {
      throw new CannotFill(
        name.includes('/')
          ? `${JSON.stringify(name)} is not an executable file`
          : `${JSON.stringify(name)} was not found on PATH (${this.#search})`,
      )
    }
    this.#addLocated(found, { named: true, wrappers: 0 })
  }

  #addLocated({ file, target }: Located, how: How): void {
    if (target !== undefined)
      this.view.link(path.join(fs.realpathSync(path.dirname(file)), path.basename(file)), target)
    this.#addFile(target ?? file, how)
  }

  #addFile(file: string, how: How): void {
    if (this.#done.has(file)) return
    this.#done.add(file)
    const real = this.view.reach(file)
    if (real === undefined) throw new CannotFill(words`${file} cannot be reached${this.#advice(file, 'program')}`)
    const script = readShebang(real)
    if (script !== undefined) this.#addScript(real, script, how)
    else if (!this.#addObject(real)) throw new CannotFill(`${file} is neither an ELF file nor a #! script`)
    const links = hops(file)
    const program = script === undefined ? real : undefined
    // By the last of its names that means something: Debian's fpc is a link to one that is named after its machine and version.
    const known = links.findLast((one) => RULES.some(({ match }) => match.test(one)))
    for (const rule of RULES) {
      const match = rule.match.exec(known ?? real)
      if (match) this.#addRule(rule, match, links, { program, named: how.named })
    }
    this.#addOwn(links, program)
  }

  #addScript(script: string, shebang: Shebang, how: How): void {
    const { interpreter, argument } = shebang
    const found = locate(interpreter, '')
    if (found === undefined || !interpreter.startsWith('/')) {
      throw new CannotFill(`${script} begins with #!${interpreter}, which is not an executable file`)
    }
    this.#addLocated(found, { named: false, wrappers: how.wrappers })
    const name = path.basename(interpreter) === 'env' ? envProgram(argument) : undefined
    if (name !== undefined) this.add(name)
    // The text of a script that is not installed may be a stranger's.
    if (how.wrappers < WRAPPERS && isWithinAny(script, SHARED)) this.#addMentioned(script, shebang, how.wrappers + 1)
  }

  /** Adds what the text of a wrapper names, as far as it exists and works. */
  #addMentioned(script: string, shebang: Shebang, wrappers: number): void {
    const { commands, paths } = mentionedIn(script, shebang)
    for (const command of commands) {
      const found = locate(command, this.#search)
      if (found !== undefined) this.#addIfItWorks(found, wrappers)
    }
    for (const file of paths) {
      const real = realpath(file)
      if (real === undefined || !isWithinAny(real, SHARED) || isProse(real)) continue
      if (executable(file)) this.#addIfItWorks({ file }, wrappers)
      else if (isOfPackage(real)) this.#addPlace(file)
    }
  }

  #addIfItWorks(found: Located, wrappers: number): void {
    try {
      this.#addLocated(found, { named: false, wrappers })
    } catch {
      // Nothing says that the wrapper comes to start it.
    }
  }

  /** Adds the libraries of an ELF file. Of what `program` loads, those that do not exist are passed over. */
  #addObject(file: string, program?: string, extra: readonly string[] = []): boolean {
    if (readElf(file) === undefined) return false
    const resolved = this.#resolver.resolve(file, program, extra)
    const absent = resolved.missing[0]
    if (absent !== undefined && program === undefined) {
      throw new CannotFill(
        `${absent.neededBy} needs the library ${absent.name}, which ld.so(8) would not find: ` +
          'install it, or list its directory in /etc/ld.so.conf.d and run ldconfig',
      )
    }
    if (resolved.interpreter !== undefined) {
      if (!isLoader(resolved.interpreter) || this.view.reach(resolved.interpreter) === undefined) {
        throw new CannotFill(
          words`${file} needs the ELF interpreter ${resolved.interpreter}, which does not exist or is not a program${this.#advice(resolved.interpreter, 'file')}`,
        )
      }
      this.view.reach(muslPathFile(resolved.interpreter) ?? '/etc/ld.so.cache')
      this.#addFacilities(resolved.interpreter)
    }
    for (const library of resolved.libraries) {
      if (this.view.reach(library.path) === undefined && program === undefined)
        throw new CannotFill(words`${file} needs ${library.path}${this.#advice(library.path, 'file')}`)
      for (const variant of library.variants) this.view.reach(variant)
      this.#addFacilities(library.real)
    }
    return true
  }

  /** Adds what a library reads, or loads in turn. */
  #addFacilities(library: string): void {
    if (this.#done.has(library)) return
    this.#done.add(library)
    for (const rule of FACILITIES) {
      const match = rule.match.exec(library)
      if (match) this.#addRule(rule, match, [library], { program: library, named: false })
    }
  }

  /** What to do about a file that others cannot read. */
  #advice(file: string, what: 'program' | 'file'): Words | string {
    const closed = this.view.closedAt(file)
    if (closed === undefined) return ''
    const way =
      what === 'file'
        ? words`show it by ${readOnlyEntry({ bind: file }, file)}`
        : words`name it by ${key('fill.program')} too`
    return words`: ${closed} is closed to others, and so nothing there is shown unasked; ${way}, or: chmod o+rX ${closed}`
  }

  /** @param of the ELF file that the rule is for, if it is one, and whether the caller named it */
  #addRule(
    rule: Rule,
    match: RegExpExecArray,
    links: string[],
    of: { program: string | undefined; named: boolean },
  ): void {
    const homes = links.map((one) => path.dirname(path.dirname(one)))
    // The program may be a stranger's: a link in its directory that leads out of it would show what is not the program's.
    const own = [...SHARED, ...homes.flatMap((one) => realpath(one) ?? [])]
    const mayShow = (pattern: string, place: string) => {
      const real = realpath(place) ?? '/'
      return !TOO_WIDE.has(real) && (!pattern.includes('{') || real === place || isBelow(real, own))
    }
    const variables = (text: string) =>
      text
        .replace(/\{(\d)\}/g, (_, group) => match[Number(group)] ?? '*')
        .replace('{at}', path.dirname(links.at(-1) ?? '/'))
        .replace('{home}', homes.at(-1) ?? '/')
    const places = (patterns: readonly string[] | undefined) =>
      (patterns ?? []).flatMap((pattern) => {
        const place = variables(pattern)
        const each = place.includes('{prefix}') ? homes.map((one) => place.replace('{prefix}', one)) : [place]
        return [...new Set(each)].flatMap(glob).filter((one) => mayShow(pattern, one))
      })
    const closed = of.named ? homes.flatMap((one) => realpath(one) ?? []) : []
    for (const place of places(rule.trees)) {
      const real = this.#show(place, closed)
      if (real !== undefined) this.#addTree(real, real, { program: of.program, loads: true })
    }
    for (const place of places(rule.places)) {
      const real = this.#show(place, closed)
      if (real === undefined || !/\.so$/.test(real)) continue
      for (const named of linkerScript(real)) this.view.reach(named)
    }
    for (const name of (rule.programs ?? []).map(variables)) {
      if (name.startsWith('/')) for (const file of glob(name)) this.#addIfItWorks({ file }, WRAPPERS)
      else if (!name.includes('*') && locate(name, this.#search) !== undefined) this.add(name)
    }
    if (of.program !== undefined && rule.libraries !== undefined)
      this.#addObject(of.program, of.program, rule.libraries)
  }

  /** Of settings and state, which are the host's own, what others can read; a program's directory as it is. */
  #show(place: string, closed: readonly string[] = []): string | undefined {
    return isHostsOwn(place) ? this.view.reachOpen(place) : this.view.reach(place, closed)
  }

  #addOwn(links: readonly string[], program: string | undefined): void {
    const { trees, data } = ownPlaces(links)
    for (const place of trees) this.#addPlace(place, { program, loads: true })
    for (const place of data) this.#addPlace(place, { program, loads: false })
  }

  /** Adds a directory or file of a package, and what its links lead to. */
  #addPlace(place: string, walk: TreeWalk = { program: undefined, loads: true }): void {
    const found = realpath(place)
    if (found === undefined || !isOfPackage(found)) return
    const real = this.#show(place)
    if (real !== undefined) this.#addTree(real, real, walk)
  }

  /** Adds what the files of a tree need: libraries of ELF files, and what links lead to outside. */
  #addTree(directory: string, root: string, walk: TreeWalk): void {
    if (this.#done.has(directory)) return
    this.#done.add(directory)
    let listed: fs.Dirent[]
    try {
      listed = fs.listSync(directory)
    } catch {
      return
    }
    for (const one of listed) {
      const file = path.join(directory, one.name)
      if (one.isDirectory()) this.#addTree(file, root, walk)
      else if (one.isSymbolicLink()) this.#addLinkOfTree(file, root, walk)
      else if (walk.loads && one.isFile() && loadable(file)) this.#addLoosely(file, walk.program)
    }
  }

  #addLinkOfTree(file: string, root: string, walk: TreeWalk): void {
    const real = realpath(file)
    if (real === undefined || real.startsWith(`${root}/`)) return
    if (!isFile(real)) {
      // Whole directories only of what is installed, for what is installed: a stranger may have made any other link.
      if (isWithinAny(root, [...SHARED, '/etc', '/var']) && isOfPackage(real)) this.#addPlace(file, walk)
      return
    }
    if (this.view.reach(file) === undefined) return
    if (walk.loads && loadable(real)) this.#addLoosely(real, walk.program)
  }

  #addLoosely(file: string, program: string | undefined): void {
    try {
      this.#addObject(file, program ?? file)
    } catch {
      // Damaged or foreign files in a tree are not loaded by the program either.
    }
  }
}

interface How {
  /** Whether the caller named it, and not a file. */
  named: boolean
  /** How many wrappers started it, one within the other. */
  wrappers: number
}

interface TreeWalk {
  /** What loads the libraries of the tree, when it is one ELF file. */
  program: string | undefined
  /** Whether anything in it may be loaded or executed. */
  loads: boolean
}

/** The absolute paths in a text that GNU ld reads in place of a library, such as libc.so. */
function linkerScript(file: string): string[] {
  const text = readHead(file, 4096)
  if (text.startsWith('\x7fELF')) return []
  return text.replace(/\/\*[\s\S]*?\*\//g, '').match(/(?<=[\s(])\/[^\s()]+/g) ?? []
}

/** Names of what is not ELF whatever its mode is; to ask for that takes longer than all the rest of a walk. */
const TEXTS =
  /\.(?:py[ci]?|p[lmh]|rb|js|mjs|ts|json|R|rd[sbx]|h|hpp|hi|go|scm|el|jl|lua|tcl|php|jar|class|html?|txt|md|xml|c|cc|s|S|po|mo|vim|fish|cmake|beam|cm[aixot]+|mli?|rlib|png|svg|gz)$/

/** Whether a file of a tree may be loaded or run: it is called a library or may be executed. */
function loadable(file: string): boolean {
  if (TEXTS.test(file)) return false
  if (/\.so(?:\.|$)/.test(file)) return true
  try {
    return (fs.statSync(file).mode & 0o111) !== 0
  } catch {
    return false
  }
}

/** An executable file, which execve(2) wants of an ELF interpreter. */
function isLoader(file: string): boolean {
  try {
    return executable(file) && readElf(file) !== undefined
  } catch {
    return false
  }
}

function isFile(file: string): boolean {
  try {
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}

const isBelow = (file: string, directories: readonly string[]) => directories.some((one) => file.startsWith(`${one}/`))
