import * as path from 'node:path'
import { readElf } from './elf.js'
import type { FillEntry } from './entry.js'
import { LANGUAGES, type Language } from './languages.js'
import { LibraryResolver, muslPathFile } from './libraries.js'
import * as fs from './look.js'
import { openRegular, readRegular } from './regular.js'
import { glob, hops, View } from './view.js'

export const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin'

/** BINPRM_BUF_SIZE: the kernel reads no more of a file to find its interpreter, see execve(2). */
const HEAD = 256

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

/** Where programs of the system keep what they share. */
const SHARED = ['/usr', '/lib', '/lib32', '/lib64', '/opt', '/nix/store', '/gnu/store']

/**
 * What `program` needs of the host, as binds and links at the places where the host has them: the file and each link that
 * leads to it; the interpreter of a script, also behind `#!/usr/bin/env` (execve(2)); the ELF interpreter, the libraries and
 * their cache (ld.so(8)); and what its language keeps elsewhere ({@link LANGUAGES}). Needs /proc and /dev besides, and /tmp
 * if the program writes there.
 *
 * Shows nothing that is closed to others: see {@link View}.
 *
 * A shim of pyenv, rbenv or the like becomes a link to the program of the version that its `version` file names.
 *
 * @param options.path where to look for the program, in place of /usr/local/bin:/usr/bin:/bin
 * @throws Error when it is not found, is no program, or needs a library that ld.so(8) would not find
 */
export function closure(program: string | readonly string[], options: { path?: string } = {}): FillEntry[] {
  const builder = new Closure(options.path ?? DEFAULT_PATH)
  const programs = typeof program === 'string' ? [program] : program
  // What one of them leads to may be another's.
  for (const one of programs) builder.name(one)
  for (const one of programs) builder.add(one)
  return builder.view.entries()
}

/**
 * Finds a program as execvp(3) does: a name with a slash is a path, any other is looked for in the directories of `search`.
 * A shim of a version manager that has no version to lead to is passed over.
 */
export function findProgram(name: string, search = DEFAULT_PATH): string | undefined {
  return locate(name, search)?.file
}

/** `target` is where a shim leads. */
interface Located {
  file: string
  target?: string
}

function locate(name: string, search: string): Located | undefined {
  const files = name.includes('/')
    ? [path.resolve(name)]
    : search.split(':').flatMap((one) => (one.startsWith('/') ? [path.join(one, name)] : []))
  for (const file of name === '' ? [] : files) {
    if (!executable(file)) continue
    const root = path.dirname(path.dirname(file))
    const kind = path.basename(path.dirname(file)) !== 'shims' ? undefined : shimKind(root)
    if (kind === undefined) return { file }
    const target = kind === 'versions' ? shimTarget(root, path.basename(file)) : undefined
    if (target !== undefined) return { file, target }
  }
  return undefined
}

/** pyenv, rbenv, nodenv and plenv keep `versions` beside their shims, asdf and mise keep `installs`. */
function shimKind(root: string): 'versions' | 'installs' | undefined {
  if (fs.existsSync(path.join(root, 'versions'))) return 'versions'
  return fs.existsSync(path.join(root, 'installs')) ? 'installs' : undefined
}

function shimTarget(root: string, name: string): string | undefined {
  const chosen = (readRegular(path.join(root, 'version')) ?? '').split(/\s+/)
  const files = chosen.flatMap((one) => (one === '' ? [] : [path.join(root, 'versions', one, 'bin', name)]))
  return files.find(executable)
}

function executable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
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
      throw new Error(
        name.includes('/')
          ? `fill.program: ${JSON.stringify(name)} is not an executable file`
          : `fill.program: ${JSON.stringify(name)} was not found on PATH (${this.#search})`,
      )
    }
    this.#addLocated(found, true)
  }

  #addLocated({ file, target }: Located, named: boolean): void {
    if (target !== undefined)
      this.view.link(path.join(fs.realpathSync(path.dirname(file)), path.basename(file)), target)
    this.#addFile(target ?? file, named)
  }

  /** @param named whether the caller named it, and not a file */
  #addFile(file: string, named: boolean): void {
    if (this.#done.has(file)) return
    this.#done.add(file)
    const real = this.view.reach(file)
    if (real === undefined)
      throw new Error(`fill.program: ${file} cannot be reached${this.#advice(file, 'fill.program')}`)
    const script = readShebang(real)
    if (script !== undefined) this.#addScript(real, script)
    else if (!this.#addObject(real)) throw new Error(`fill.program: ${file} is neither an ELF file nor a #! script`)
    for (const language of LANGUAGES) {
      const match = language.match.exec(real)
      if (match) this.#addLanguage(language, match, hops(file), script === undefined ? real : undefined, named)
    }
  }

  #addScript(script: string, { interpreter, argument }: Shebang): void {
    const found = locate(interpreter, '')
    if (found === undefined || !interpreter.startsWith('/')) {
      throw new Error(`fill.program: ${script} begins with #!${interpreter}, which is not an executable file`)
    }
    this.#addLocated(found, false)
    const name = path.basename(interpreter) === 'env' ? envProgram(argument) : undefined
    if (name !== undefined) this.add(name)
  }

  /** Adds the libraries of an ELF file. Of what `program` loads, those that do not exist are passed over. */
  #addObject(file: string, program?: string, extra: readonly string[] = []): boolean {
    if (readElf(file) === undefined) return false
    const resolved = this.#resolver.resolve(file, program, extra)
    const absent = resolved.missing[0]
    if (absent !== undefined && program === undefined) {
      throw new Error(
        `fill.program: ${absent.neededBy} needs the library ${absent.name}, which ld.so(8) would not find: ` +
          'install it, or list its directory in /etc/ld.so.conf.d and run ldconfig',
      )
    }
    if (resolved.interpreter !== undefined) {
      if (!isLoader(resolved.interpreter) || this.view.reach(resolved.interpreter) === undefined) {
        throw new Error(
          `fill.program: ${file} needs the ELF interpreter ${resolved.interpreter}, which does not exist or is no program${this.#advice(resolved.interpreter, 'filesystem')}`,
        )
      }
      this.view.reach(muslPathFile(resolved.interpreter) ?? '/etc/ld.so.cache')
    }
    for (const library of resolved.libraries) {
      if (this.view.reach(library.path) === undefined && program === undefined)
        throw new Error(`fill.program: ${file} needs ${library.path}${this.#advice(library.path, 'filesystem')}`)
      for (const variant of library.variants) this.view.reach(variant)
    }
    return true
  }

  /** What to do about a file that others cannot read. */
  #advice(file: string, key: 'fill.program' | 'filesystem'): string {
    const closed = this.view.closedAt(file)
    if (closed === undefined) return ''
    const name =
      key === 'filesystem' ? 'show it by an entry of filesystem (--ro)' : 'name it in fill.program too (--fill)'
    return `: ${closed} is closed to others, and so nothing there is shown unasked; ${name}, or: chmod o+rX ${closed}`
  }

  #addLanguage(
    language: Language,
    match: RegExpExecArray,
    links: string[],
    program: string | undefined,
    named: boolean,
  ): void {
    const homes = links.map((one) => path.dirname(path.dirname(one)))
    // The program may be a stranger's: a link in its folder that leads out of it would show what is not the program's.
    const own = [...SHARED, ...homes.flatMap((one) => realpath(one) ?? [])]
    const isOwn = (place: string, real: string) => real === place || own.some((one) => real.startsWith(`${one}/`))
    const mayShow = (pattern: string, place: string) => {
      const real = realpath(place) ?? '/'
      return !TOO_WIDE.has(real) && (!pattern.includes('{') || isOwn(place, real))
    }
    const variables = (text: string) => text.replace(/\{(\d)\}/g, (_, group) => match[Number(group)] ?? '*')
    const places = (patterns: readonly string[] | undefined) =>
      (patterns ?? []).flatMap((pattern) => {
        const home = variables(pattern).replace('{home}', homes.at(-1) ?? '/')
        const each = home.includes('{prefix}') ? homes.map((one) => home.replace('{prefix}', one)) : [home]
        return [...new Set(each)].flatMap(glob).filter((one) => mayShow(pattern, one))
      })
    const show = (place: string) => this.view.reach(place, named ? homes.flatMap((one) => realpath(one) ?? []) : [])
    for (const place of places(language.trees)) {
      const real = show(place)
      if (real !== undefined) this.#addTree(real, real, program)
    }
    for (const place of places(language.places)) {
      const real = show(place)
      if (real === undefined || !/\.so$/.test(real)) continue
      for (const named of linkerScript(real)) this.view.reach(named)
    }
    for (const name of (language.programs ?? []).map(variables)) {
      const found = name.includes('*') ? undefined : locate(name, this.#search)
      if (found) this.add(name)
    }
    if (program !== undefined) this.#addObject(program, program, language.libraries)
  }

  /** Adds what the files of a tree need: libraries of ELF files, and files outside that links lead to. */
  #addTree(directory: string, root: string, program: string | undefined): void {
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
      if (one.isDirectory()) this.#addTree(file, root, program)
      else if (one.isSymbolicLink()) this.#addLinkOfTree(file, root, program)
      else if (one.isFile() && loadable(file)) this.#addLoosely(file, program)
    }
  }

  #addLinkOfTree(file: string, root: string, program: string | undefined): void {
    const real = realpath(file)
    if (real === undefined || real.startsWith(`${root}/`) || !isFile(real)) return
    if (this.view.reach(file) === undefined) return
    if (loadable(real)) this.#addLoosely(real, program)
  }

  #addLoosely(file: string, program: string | undefined): void {
    try {
      this.#addObject(file, program ?? file)
    } catch {
      // Damaged or foreign files in a tree are not loaded by the program either.
    }
  }
}

interface Shebang {
  interpreter: string
  argument: string
}

/** The `#!` line as execve(2) reads it. */
function readShebang(file: string): Shebang | undefined {
  const head = readHead(file, HEAD)
  if (!head.startsWith('#!')) return undefined
  const line = head
    .slice(2)
    .split(/[\n\0]/, 1)[0]!
    .trim()
  const interpreter = line.split(/[ \t]/, 1)[0]!
  return interpreter === '' ? undefined : { interpreter, argument: line.slice(interpreter.length).trim() }
}

/** The program that env(1) is told to run: behind its options and settings. */
function envProgram(argument: string): string | undefined {
  const words = argument.replace(/^-S/, '-S ').split(/\s+/)
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    if (word === '-u' || word === '-C') index++
    else if (word !== '' && !word.startsWith('-') && !word.includes('=')) return word
  }
  return undefined
}

/** The absolute paths in a text that GNU ld reads in place of a library, such as libc.so. */
function linkerScript(file: string): string[] {
  const text = readHead(file, 4096)
  if (text.startsWith('\x7fELF')) return []
  return text.replace(/\/\*[\s\S]*?\*\//g, '').match(/(?<=[\s(])\/[^\s()]+/g) ?? []
}

function readHead(file: string, length: number): string {
  const opened = openRegular(file)
  if (opened === undefined) return ''
  try {
    const bytes = Buffer.alloc(length)
    return bytes.toString('latin1', 0, fs.readSync(opened.fd, bytes, 0, length, 0))
  } finally {
    fs.closeSync(opened.fd)
  }
}

/** Whether a file of a tree may be loaded or run: it is called a library or may be executed. */
function loadable(file: string): boolean {
  if (/\.so(?:\.|$)/.test(file)) return true
  try {
    return (fs.statListedSync(file).mode & 0o111) !== 0
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

function realpath(file: string): string | undefined {
  try {
    return fs.realpathSync(file)
  } catch {
    return undefined
  }
}
