/** What operations on the files of an open sandbox take and give, and how a path is told to what works on them. */
import type { Size } from '../policy/units.js'
import type { FileEntry } from './fileEntries.js'
import type { FilesRequest } from './filesHelper.js'

/** An entry of a tree. */
export interface TreeEntry extends FileEntry {
  /** Of a regular file. */
  readonly content?: Buffer
  /** Why a file or a directory could not be read, such as `EACCES`. */
  readonly fault?: string
}

/** What each operation on files may take. */
export interface FilesOptions {
  /** Milliseconds that it may take; default 30,000. Then what works on the files is killed, and so are requests behind it. */
  readonly timeout?: number | undefined
}

/** How a file is read. */
export interface ReadOptions extends FilesOptions {
  /** More than that is an error, EFBIG; default `256M`. */
  readonly limit?: Size | undefined
}

/** How a tree is read. */
export interface TreeOptions extends ReadOptions {
  /** More entries than that are an error, E2BIG; default 100,000. Of a list, too. */
  readonly entries?: number | undefined
}

/** How a file is written. */
export interface WriteOptions extends FilesOptions {
  /** Of a file that is made; default 0644. */
  readonly mode?: number | string | undefined
  /** There must be none of that name yet. */
  readonly exclusive?: boolean | undefined
}

/** How a directory is made, or something removed. */
export interface DirectoryOptions extends FilesOptions {
  /** With those above it that are missing; or with all that is in it. */
  readonly recursive?: boolean | undefined
  /** Of a directory that is made; default 0755. */
  readonly mode?: number | string | undefined
}

/** What ends a stream or a watch. */
export interface Abortable {
  /** Destroys it, with an AbortError. */
  readonly signal?: AbortSignal | undefined
}

/** How a tree is packed. */
export interface PackOptions extends TreeOptions {
  /** Gets what is not in the archive, as it is found. */
  readonly skipped?: ((one: Copied['skipped'][number]) => void) | undefined
}

/** What was copied. */
export interface Copied {
  /** Regular files. */
  readonly files: number
  /** Directories, with the first. */
  readonly directories: number
  /** Bytes of all files together. */
  readonly bytes: number
  /** What was not, with its path below what was copied, and why. */
  readonly skipped: readonly {
    /** Below what was copied. */
    readonly path: string
    /** Such as that it is a link. */
    readonly why: string
  }[]
}

/** Gets what comes of an operation, piece by piece. */
export interface Takes {
  readonly data?: (bytes: Buffer) => void
  readonly entry?: (content: Buffer) => void
  readonly fault?: (name: string) => void
}

/** The directory and the name in it. */
function split<Path extends string | Buffer>(path: Path): readonly [directory: string | Path, name: string | Path] {
  const at = path.lastIndexOf('/')
  const [directory, name] = [path.slice(0, at) as Path, path.slice(at + 1) as Path]
  return [directory.length === 0 ? '/' : directory, name.length === 0 ? '.' : name]
}

export function placed(path: string | Buffer): Pick<FilesRequest, 'directory' | 'name'> {
  const [directory, name] = split(path)
  return { directory, name }
}

export function placedTo(path: string): Pick<FilesRequest, 'toDirectory' | 'to'> {
  const [toDirectory, to] = split(path)
  return { toDirectory, to }
}
