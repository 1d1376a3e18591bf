/**
 * Directories of the host, by descriptors. A payload may plant links in whatever it can write, and exchange names at any moment: so a name is
 * only looked up in a directory that is open, and no link is followed, neither on the way nor as the last name.
 */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { hostArchitecture } from '../host/thisHost.js'
import { openFlags } from '../kernel/flags.js'
import { systemHints } from '../kernel/systemError.js'
import { HostError } from '../text/error.js'
import { printable } from '../text/printable.js'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = constants
const careful = O_NOFOLLOW | O_NONBLOCK

export class HostDirectory {
  readonly #fd: number

  private constructor(path: string | Buffer) {
    this.#fd = openSync(path, openFlags(hostArchitecture()).PATH | O_DIRECTORY | O_NOFOLLOW)
  }

  /** @param path absolute and normal */
  static at(path: string): HostDirectory {
    let directory = new HostDirectory('/')
    for (const name of path.split('/').filter((one) => one !== '')) {
      const above = directory
      try {
        directory = above.directory(name)
      } finally {
        above.close()
      }
    }
    return directory
  }

  /** By way of the descriptor, in which the kernel looks up one name only. */
  #at(name: string | Buffer): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.#fd}/`), Buffer.from(name as string)])
  }

  directory(name: string | Buffer): HostDirectory {
    return new HostDirectory(this.#at(name))
  }

  /** Is there already, or is made. */
  make(name: string | Buffer, mode: number): HostDirectory {
    try {
      mkdirSync(this.#at(name), mode)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    return this.directory(name)
  }

  /** A regular file that is there, to be written to. */
  writable(name: string | Buffer): number {
    return regular(openSync(this.#at(name), O_WRONLY | careful))
  }

  /** A regular file that is made. */
  fresh(name: string | Buffer, mode = 0o600): number {
    return openSync(this.#at(name), O_WRONLY | O_CREAT | O_EXCL | careful, mode)
  }

  /** A regular file. */
  read(name: string | Buffer): number {
    return regular(openSync(this.#at(name), O_RDONLY | careful))
  }

  linkText(name: Buffer): Buffer {
    return readlinkSync(this.#at(name), 'buffer')
  }

  list(): Dirent<Buffer>[] {
    return readdirSync(this.#at('.'), { withFileTypes: true, encoding: 'buffer' }) as unknown as Dirent<Buffer>[]
  }

  mode(): number {
    return statSync(this.#at('.')).mode
  }

  /** Also of one that may not be entered. */
  setMode(mode: number): void {
    chmodSync(`/proc/self/fd/${this.#fd}`, mode)
  }

  /** Where it lies now. */
  path(): Buffer {
    return readlinkSync(`/proc/self/fd/${this.#fd}`, 'buffer')
  }

  /** Of the directory itself. */
  own(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true })
  }

  /** Of a link, that of itself; undefined: there is none of this name. */
  status(name: string | Buffer): BigIntStats | undefined {
    return lstatSync(this.#at(name), { bigint: true, throwIfNoEntry: false })
  }

  /** The number of the mount that it lies in: proc_pid_fdinfo(5). */
  mount(): string | undefined {
    return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${this.#fd}`, 'latin1'))?.[1]
  }

  link(text: Buffer, name: string | Buffer): void {
    symlinkSync(text, this.#at(name))
  }

  rename(from: string | Buffer, to: string | Buffer, into: HostDirectory = this): void {
    renameSync(this.#at(from), into.#at(to))
  }

  /** What is no directory. */
  remove(name: string | Buffer): void {
    unlinkSync(this.#at(name))
  }

  /** An empty one. */
  removeDirectory(name: string | Buffer): void {
    rmdirSync(this.#at(name))
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** Closes the directory when the action is over. */
export function within<Value>(above: HostDirectory, name: Buffer, action: (below: HostDirectory) => Value): Value {
  const below = above.directory(name)
  let value: Value
  try {
    value = action(below)
  } catch (error) {
    below.close()
    throw error
  }
  if (value instanceof Promise) return value.finally(() => below.close()) as Value
  below.close()
  return value
}

/** The directory that the last of these names is in. */
export function inDirectory<Value>(
  top: HostDirectory,
  [name, ...rest]: readonly Buffer[],
  action: (above: HostDirectory, name: Buffer) => Value,
): Value {
  return rest.length === 0 ? action(top, name!) : within(top, name!, (below) => inDirectory(below, rest, action))
}

/** Directories below one, of which the last stays open: what comes next is often in the same. */
export class Directories {
  readonly #top: HostDirectory
  #key = ''
  #last: HostDirectory | undefined

  constructor(top: HostDirectory) {
    this.#top = top
  }

  /** The directory that the last of these names is in. */
  in<Value>(names: readonly Buffer[], action: (above: HostDirectory, name: Buffer) => Value): Value {
    const parents = names.slice(0, -1)
    const name = names.at(-1)!
    if (parents.length === 0) return action(this.#top, name)
    const key = parents.map((one) => one.toString('latin1')).join('/')
    if (this.#last === undefined || key !== this.#key) {
      this.close()
      this.#last = inDirectory(this.#top, parents, (above, last) => above.directory(last))
      this.#key = key
    }
    return action(this.#last, name)
  }

  close(): void {
    this.#last?.close()
    this.#last = undefined
  }
}

function regular(fd: number): number {
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw Object.assign(new Error('it is no regular file'), { code: 'EINVAL' })
}

/** What is said of a failure on the host's side. */
export function hostFailure(what: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined || error instanceof HostError) return error
  const text = message.replace(/^[A-Z0-9]+: /, '').replace(/, \w+ '\/proc\/self\/fd.*$/s, '')
  const hint = code === 'ELOOP' || code === 'ENOTDIR' ? linked : systemHints[code]
  return new HostError(printable(`cannot ${what}: ${text}`), { code, hint, cause: error })
}

const linked =
  'a name on the way, or the last one, may be a symbolic link, which a payload could have put there: name what it leads to'
