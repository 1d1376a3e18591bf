import * as path from 'node:path'
import * as fs from './look.js'
import { type Elf, readElf } from './readElf.js'
import { realpath } from './view.js'

export interface CacheEntry {
  name: string
  path: string
  /** The kind of library and what it needs, as ldconfig(8) wrote them. */
  flags: number
  /** Zero unless the library is for some processors only. */
  hwcap: bigint
}

/** A library as the loader meets it. `path` is the name it is opened by and may lead over links to `real`. */
export interface Library {
  name: string
  path: string
  real: string
  /** Variants of the same library for better processors, which the loader may take instead. */
  variants: string[]
}

export interface Resolved {
  interpreter?: string
  /** In the order of loading. */
  libraries: Library[]
  missing: { name: string; neededBy: string }[]
}

interface Loaded {
  elf: Elf
  /** $ORIGIN: the directory of the path by which it was opened, or of the real path for a program. */
  origin: string
  path: string
  loader?: Loaded | undefined
}

/** Facts by `e_machine` and class: the multiarch name, AT_PLATFORM and the cache's flags (dl-cache.h of glibc). */
const MACHINES: Record<string, { multiarch: string; platform: string; flags: number[] }> = {
  '62/64': { multiarch: 'x86_64-linux-gnu', platform: 'x86_64', flags: [0x0303] },
  '62/32': { multiarch: 'x86_64-linux-gnux32', platform: 'x86_64', flags: [0x0803] },
  '3/32': { multiarch: 'i386-linux-gnu', platform: 'i686', flags: [0x0003] },
  '183/64': { multiarch: 'aarch64-linux-gnu', platform: 'aarch64', flags: [0x0a03] },
  '40/32': { multiarch: 'arm-linux-gnueabihf', platform: 'v7l', flags: [0x0003, 0x0903, 0x0b03] },
  '243/64': { multiarch: 'riscv64-linux-gnu', platform: 'riscv64', flags: [0x0f03, 0x1003] },
  '21/64': { multiarch: 'powerpc64le-linux-gnu', platform: 'powerpc64le', flags: [0x0503] },
  '22/64': { multiarch: 's390x-linux-gnu', platform: 's390x', flags: [0x0403] },
}

const DEFAULT_DIRECTORIES = ['/lib64', '/usr/lib64', '/lib', '/usr/lib']
const DEFAULT_DIRECTORIES_32 = ['/lib32', '/usr/lib32', '/libx32', '/usr/libx32', '/lib', '/usr/lib']
const MUSL = /^ld-musl-(.+)\.so\.1$/
const MUSL_DIRECTORIES = ['/lib', '/usr/local/lib', '/usr/lib']

const NEW_MAGIC = 'glibc-ld.so.cache1.1'
const OLD_MAGIC = 'ld.so-1.7.0\0'

/**
 * Parses /etc/ld.so.cache, which ldconfig(8) writes: the format "glibc-ld.so.cache1.1" alone or behind one of the format
 * before it, and that older one alone. Anything else, and whatever points outside the file, is left out.
 */
export function parseCache(bytes: Buffer): CacheEntry[] {
  const starts = (magic: string, at: number) => bytes.toString('latin1', at, at + magic.length) === magic
  if (starts(NEW_MAGIC, 0)) return parseNew(bytes)
  if (!starts(OLD_MAGIC, 0) || bytes.length < 16) return []
  const strings = 16 + bytes.readUInt32LE(12) * 12
  if (strings > bytes.length) return []
  for (const alignment of [8, 4]) {
    const at = Math.ceil(strings / alignment) * alignment
    if (starts(NEW_MAGIC, at)) return parseNew(bytes.subarray(at))
  }
  const found: CacheEntry[] = []
  for (let at = 16; at < strings; at += 12) {
    const name = textAt(bytes, strings + bytes.readUInt32LE(at + 4))
    const file = textAt(bytes, strings + bytes.readUInt32LE(at + 8))
    if (name && file) found.push({ name, path: file, flags: bytes.readInt32LE(at), hwcap: 0n })
  }
  return found
}

function parseNew(bytes: Buffer): CacheEntry[] {
  const header = 48
  const size = 24
  if (bytes.length < header) return []
  const big = (bytes[28]! & 3) === 3
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const count = Math.min(view.getUint32(20, !big), Math.floor((bytes.length - header) / size))
  const found: CacheEntry[] = []
  for (let index = 0; index < count; index++) {
    const at = header + index * size
    const name = textAt(bytes, view.getUint32(at + 4, !big))
    const file = textAt(bytes, view.getUint32(at + 8, !big))
    if (!name || !file) continue
    found.push({ name, path: file, flags: view.getInt32(at, !big), hwcap: view.getBigUint64(at + 16, !big) })
  }
  return found
}

function textAt(bytes: Buffer, offset: number): string | undefined {
  const end = offset < bytes.length ? bytes.indexOf(0, offset) : -1
  return end < 0 ? undefined : bytes.toString('utf8', offset, end)
}

/** Finds libraries as ld.so(8) does. What it has read of the host is kept, so one resolver serves many files. */
export class LibraryResolver {
  readonly #cache = new Map<string, CacheEntry[]>()
  readonly #files = new Map<string, Elf | undefined>()

  constructor(cacheFile = '/etc/ld.so.cache') {
    let bytes: Buffer
    try {
      bytes = fs.readFileSync(cacheFile)
    } catch {
      return
    }
    for (const entry of parseCache(bytes)) {
      const list = this.#cache.get(entry.name)
      if (list) list.push(entry)
      else this.#cache.set(entry.name, [entry])
    }
  }

  /**
   * The libraries that `file` needs, directly or through others, searched for as ld.so(8) says: DT_RPATH of the object and
   * of those that loaded it (when it has no DT_RUNPATH), its own DT_RUNPATH, the cache, the default directories. A library
   * of another machine or class is passed over, as the loader does. musl's loader has its own list of directories.
   *
   * @param program the program that loads `file` with dlopen(3), when `file` is not a program itself
   * @param extra names to be found besides those that `file` declares, as if it loaded them with dlopen(3); never missing
   * @throws Error when `file` itself is a damaged ELF file
   */
  resolve(file: string, program?: string, extra: readonly string[] = []): Resolved {
    const real = realpath(file) ?? file
    const elf = readElf(real)
    if (elf === undefined) return { libraries: [], missing: [] }
    const parent = program === undefined ? undefined : this.#read(program)
    const interpreter = elf.interpreter ?? parent?.interpreter
    const musl = MUSL.exec(path.basename(interpreter ?? ''))?.[1]
    const libraries: Library[] = []
    const missing: Resolved['missing'] = []
    const known = new Set<string>()
    if (interpreter !== undefined) {
      known.add(path.basename(interpreter))
      const soname = this.#read(interpreter)?.soname
      if (soname !== undefined) known.add(soname)
    }
    const opened = new Set([real, ...(interpreter === undefined ? [] : [realpath(interpreter) ?? interpreter])])
    const first: Loaded = { elf, path: real, origin: path.dirname(program === undefined ? real : file) }
    if (parent && program) first.loader = { elf: parent, path: program, origin: path.dirname(program) }
    const queue: Loaded[] = [first]
    for (let at = 0; at < queue.length; at++) {
      const loader = queue[at]!
      const names = at === 0 ? [...loader.elf.needed, ...extra] : loader.elf.needed
      for (const name of names) {
        if (known.has(name)) continue
        known.add(name)
        const found = this.#find(name, loader, musl)
        if (found === undefined) {
          if (at > 0 || elf.needed.includes(name)) missing.push({ name, neededBy: loader.path })
          continue
        }
        const soname = found.elf.soname
        if (soname !== undefined) known.add(soname)
        const foundReal = realpath(found.path) ?? found.path
        libraries.push({ name, path: found.path, real: foundReal, variants: this.#variants(name, elf) })
        if (opened.has(foundReal)) continue
        opened.add(foundReal)
        queue.push({ elf: found.elf, path: found.path, origin: path.dirname(found.path), loader })
      }
    }
    return interpreter === undefined ? { libraries, missing } : { interpreter, libraries, missing }
  }

  #find(name: string, loader: Loaded, musl: string | undefined): { path: string; elf: Elf } | undefined {
    const like = loader.elf
    const fits = (file: string) => {
      const elf = this.#read(file)
      return elf && elf.machine === like.machine && elf.class === like.class ? { path: file, elf } : undefined
    }
    if (name.includes('/')) return fits(path.resolve(expand(name, loader)[0] ?? name))
    for (const directory of declared(loader, musl !== undefined)) {
      const found = fits(path.join(directory, name))
      if (found) return found
    }
    if (like.noDefaultLibraries) return undefined
    if (musl === undefined) {
      for (const entry of this.#cached(name, like)) {
        const found = entry.hwcap === 0n ? fits(entry.path) : undefined
        if (found) return found
      }
    }
    for (const directory of musl === undefined ? defaults(like) : muslDirectories(musl)) {
      const found = fits(path.join(directory, name))
      if (found) return found
    }
    return undefined
  }

  #cached(name: string, like: Elf): CacheEntry[] {
    const flags = MACHINES[`${like.machine}/${like.class}`]?.flags
    return (this.#cache.get(name) ?? []).filter((one) => flags === undefined || flags.includes(one.flags & 0xffff))
  }

  #variants(name: string, like: Elf): string[] {
    return this.#cached(name, like).flatMap((one) => (one.hwcap !== 0n && this.#read(one.path) ? [one.path] : []))
  }

  #read(file: string): Elf | undefined {
    if (!this.#files.has(file)) this.#files.set(file, readLoosely(file))
    return this.#files.get(file)
  }
}

/** The libraries of one file, with a resolver of its own: see {@link LibraryResolver.resolve}. */
export function resolveLibraries(file: string): Resolved {
  return new LibraryResolver().resolve(file)
}

/** The file that tells musl's loader its directories, or undefined for another loader. */
export function muslPathFile(interpreter: string): string | undefined {
  const name = MUSL.exec(path.basename(interpreter))?.[1]
  return name === undefined ? undefined : `/etc/ld-musl-${name}.path`
}

function muslDirectories(name: string): string[] {
  try {
    const listed = fs.readFileSync(`/etc/ld-musl-${name}.path`).toString().split(/[:\n]/)
    return listed.filter((one) => one.startsWith('/'))
  } catch {
    return MUSL_DIRECTORIES
  }
}

function defaults(like: Elf): string[] {
  const multiarch = MACHINES[`${like.machine}/${like.class}`]?.multiarch
  const own = multiarch === undefined ? [] : [`/lib/${multiarch}`, `/usr/lib/${multiarch}`]
  return [...own, ...(like.class === 64 ? DEFAULT_DIRECTORIES : DEFAULT_DIRECTORIES_32)]
}

/** The directories that an object and its loaders declare. musl gives RPATH and RUNPATH the same meaning: both are inherited. */
function declared(loader: Loaded, musl: boolean): string[] {
  const found: string[] = []
  const own = loader.elf.runpath
  if (own === undefined || musl) {
    for (let up: Loaded | undefined = loader; up !== undefined; up = up.loader) {
      const list = musl ? (up.elf.runpath ?? up.elf.rpath) : up.elf.runpath === undefined ? up.elf.rpath : undefined
      if (list !== undefined) found.push(...directories(list, up))
    }
    return found
  }
  return directories(own, loader)
}

function directories(list: string, object: Loaded): string[] {
  return list.split(':').flatMap((one) => (one === '' ? [] : expand(one, object).filter((dir) => dir.startsWith('/'))))
}

/** ld.so(8), "Dynamic string tokens". What $LIB is depends on how the loader was built, so each of its values is tried. */
function expand(text: string, object: Loaded): string[] {
  if (!text.includes('$')) return [text]
  const facts = MACHINES[`${object.elf.machine}/${object.elf.class}`]
  const token = (name: string) => new RegExp(`\\$(?:${name}(?![A-Za-z0-9_])|\\{${name}\\})`, 'g')
  const placed = text
    .replace(token('ORIGIN'), () => object.origin)
    .replace(token('PLATFORM'), () => facts?.platform ?? 'unknown')
  if (!token('LIB').test(placed)) return [path.normalize(placed)]
  const libs = ['lib64', 'lib', ...(facts ? [`lib/${facts.multiarch}`] : []), 'lib32']
  return libs.map((lib) => path.normalize(placed.replace(token('LIB'), () => lib)))
}

function readLoosely(file: string): Elf | undefined {
  try {
    return readElf(file)
  } catch {
    return undefined
  }
}
