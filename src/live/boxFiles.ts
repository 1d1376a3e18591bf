/** The files of an open sandbox, for the program that has opened it: as the payload's user sees them, and no path leads outside. */
import { Readable, type Writable } from 'node:stream'
import * as v from 'valibot'
import { errnoName } from '../kernel/errno.js'
import { filesAnswer, filesFlags } from '../launcher/filesCall.js'
import { parseOptions } from '../policy/check.js'
import { normal } from '../policy/path.js'
import { flag, inside, mode, size } from '../policy/values.js'
import { Fault, OptionError } from '../text/error.js'
import { object } from '../text/shapes.js'
import { entryOf, type FileEntry, type FileStatus } from './fileEntries.js'
import { fileReader, fileWriter, type Streamed } from './fileStreams.js'
import type { FilesRequest, Helpers } from './filesHelper.js'
import {
  type Abortable,
  type Copied,
  type DirectoryOptions,
  type FilesOptions,
  type PackOptions,
  placed,
  placedTo,
  type ReadOptions,
  type Takes,
  type TreeEntry,
  type TreeOptions,
  type WriteOptions,
} from './filesOptions.js'
import type { FileWatch } from './fileWatch.js'

const count = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1'))
const schema = object({
  path: inside,
  to: v.optional(inside),
  timeout: v.optional(count),
  limit: v.optional(size),
  entries: v.optional(count),
  mode: v.optional(mode),
  exclusive: v.optional(flag),
  recursive: v.optional(flag),
  append: v.optional(flag),
  signal: v.optional(v.instance(AbortSignal, 'must be an AbortSignal')),
  skipped: v.optional(v.function('must be a function')),
})
type Checked = v.InferOutput<typeof schema>

const defaults = {
  timeout: 30_000,
  limit: 2 ** 28,
  archive: 2 ** 30,
  entries: 100_000,
  file: 0o644,
  directory: 0o755,
} as const

/** The files of an open sandbox: as the payload's user sees them. No path leads outside, whatever links a payload has planted. */
export class BoxFiles {
  readonly #helpers: Helpers

  /** @internal */
  constructor(helpers: Helpers) {
    this.#helpers = helpers
  }

  /** What is in a regular file. With `encoding: 'utf8'` as text. */
  read(path: string, options: ReadOptions & { readonly encoding: 'utf8' }): Promise<string>
  read(path: string, options?: ReadOptions & { readonly encoding?: undefined }): Promise<Buffer>
  async read(
    path: string,
    { encoding, ...options }: ReadOptions & { readonly encoding?: 'utf8' | undefined } = {},
  ): Promise<string | Buffer> {
    if (encoding !== undefined && encoding !== 'utf8')
      throw OptionError.at(new Fault('encoding', 'must be "utf8", or left out for bytes'))
    const asked = check({ path, ...options })
    const parts: Buffer[] = []
    await this.#ask(
      'read',
      asked,
      { operation: 'read', ...placed(asked.path), limit: asked.limit ?? defaults.limit },
      {
        data: (bytes) => parts.push(Buffer.from(bytes)),
      },
    )
    const content = Buffer.concat(parts)
    return encoding === undefined ? content : content.toString()
  }

  /** Writes a file whole, in place of what is in it. */
  write(path: string, data: string | Uint8Array, options: WriteOptions = {}): Promise<void> {
    return this.#write(path, data, options, 0)
  }

  /** Writes behind what is in a file. */
  append(path: string, data: string | Uint8Array, options: WriteOptions = {}): Promise<void> {
    return this.#write(path, data, options, filesFlags.append)
  }

  async #write(path: string, data: string | Uint8Array, options: WriteOptions, flags: number): Promise<void> {
    const asked = check({ path, ...options })
    await this.#ask('write', asked, {
      operation: 'write',
      ...placed(asked.path),
      flags: flags | (asked.exclusive ? filesFlags.exclusive : 0),
      mode: asked.mode ?? defaults.file,
      data: typeof data === 'string' ? Buffer.from(data) : data,
    })
  }

  /** The entries of a directory, without those in directories below. */
  async list(path: string, options: Omit<TreeOptions, 'limit'> = {}): Promise<FileEntry[]> {
    const asked = check({ path, ...options })
    const found: FileEntry[] = []
    const entries = asked.entries ?? defaults.entries
    await this.#ask(
      'list',
      asked,
      { operation: 'list', ...placed(asked.path), entries },
      {
        entry: (content) => found.push(entryOf(content)),
      },
    )
    return found
  }

  /** All that is below a directory, and what is in the regular files, in one round. What shows the kernel, such as /proc, is not entered. */
  async tree(path: string, options: TreeOptions = {}): Promise<TreeEntry[]> {
    const found: { entry: FileEntry; parts: Buffer[]; fault?: string }[] = []
    await this.walk(path, options, {
      entry: (content) => found.push({ entry: entryOf(content), parts: [] }),
      data: (bytes) => found.at(-1)!.parts.push(Buffer.from(bytes)),
      fault(name) {
        const last = found.at(-1)
        if (last !== undefined) last.fault = name
      },
    })
    return found.map(({ entry, parts, fault }) => ({
      ...entry,
      ...(entry.kind === 'file' ? { content: parts.length === 1 ? parts[0]! : Buffer.concat(parts) } : {}),
      ...(fault === undefined ? {} : { fault }),
    }))
  }

  /**
   * The same, as it comes.
   * @internal
   */
  async walk(path: string, options: TreeOptions, takes: Takes): Promise<void> {
    const asked = check({ path, ...options })
    const limits = { limit: asked.limit ?? defaults.limit, entries: asked.entries ?? defaults.entries }
    await this.#ask('read', asked, { operation: 'tree', ...placed(asked.path), ...limits }, takes)
  }

  /** What is known of a file; of a link, of that itself. An error with the code ENOENT: there is none. */
  async stat(path: string, options: FilesOptions = {}): Promise<FileStatus> {
    const asked = check({ path, ...options })
    let found: FileEntry | undefined
    await this.#ask(
      'look at',
      asked,
      { operation: 'stat', ...placed(asked.path) },
      {
        entry(content) {
          found = entryOf(content)
        },
      },
    )
    const { name: _, ...status } = found!
    return status
  }

  /** Whether something has this name, be it a link that leads nowhere. */
  async exists(path: string, options: FilesOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options)
      return true
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
      throw error
    }
  }

  /** Makes a directory; `recursive`: and those above it, and what is there already is no error. */
  async mkdir(path: string, options: DirectoryOptions = {}): Promise<void> {
    const asked = check({ path, ...options })
    const mode = asked.mode ?? defaults.directory
    if (!asked.recursive) return this.#ask('make', asked, { operation: 'mkdir', ...placed(asked.path), mode })
    const names = asked.path.split('/').slice(1)
    for (const index of names.keys()) {
      const path = `/${names.slice(0, index + 1).join('/')}`
      try {
        await this.#ask('make', { ...asked, path }, { operation: 'mkdir', ...placed(path), mode })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        if (index === names.length - 1 && (await this.stat(path)).kind !== 'directory') throw error
      }
    }
  }

  /** Renames within one mount: rename(2). What has the new name is replaced, unless it is `exclusive`. */
  async rename(from: string, to: string, options: FilesOptions & Pick<WriteOptions, 'exclusive'> = {}): Promise<void> {
    const asked = notRoot(check({ path: from, to, ...options }))
    const flags = asked.exclusive ? filesFlags.exclusive : 0
    await this.#ask('rename', asked, { operation: 'rename', ...placed(asked.path), ...placedTo(asked.to!), flags })
  }

  /** Removes a file, a link or an empty directory; `recursive`: with all that is in it. */
  async remove(path: string, options: Omit<DirectoryOptions, 'mode'> = {}): Promise<void> {
    const asked = notRoot(check({ path, ...options }))
    const flags = asked.recursive ? filesFlags.recursive : 0
    await this.#ask('remove', asked, { operation: 'remove', ...placed(asked.path), flags })
  }

  /** Copies what is in a regular file to another one inside: at most `limit`, default `256M`. */
  async copy(from: string, to: string, options: WriteOptions & ReadOptions = {}): Promise<void> {
    const asked = check({ path: from, to, ...options })
    await this.#ask('copy', asked, {
      operation: 'copy',
      ...placed(asked.path),
      ...placedTo(asked.to!),
      flags: asked.exclusive ? filesFlags.exclusive : 0,
      mode: asked.mode ?? defaults.file,
      limit: asked.limit ?? defaults.limit,
    })
  }

  /**
   * Copies a file or a directory of the host in; into `to`, where that is a directory already. Links stay links, and none is followed on the host.
   * @throws {HostError} when the copy is not whole
   */
  async copyIn(from: string, to: string, options: FilesOptions = {}): Promise<Copied> {
    const asked = check({ path: to, ...options })
    return (await import('./copyFiles.js')).copyIn(this, from, asked.path, options)
  }

  /**
   * Copies a file or a directory out; into `to`, where that is a directory already. Only regular files and directories are made on the host,
   * without set-id bits, and no link is followed there. Default limit `1G`.
   * @throws {HostError} when the copy is not whole
   */
  async copyOut(from: string, to: string, options: TreeOptions = {}): Promise<Copied> {
    const asked = check({ path: from, ...options })
    return (await import('./copyFiles.js')).copyOut(this, asked.path, to, options)
  }

  /**
   * What is in a regular file, as it is read: of any length, for which `limit` is unlimited by default. `timeout`: milliseconds without a byte,
   * while the reader takes them. Errors, with the code of the kernel, are the stream's.
   */
  createReadStream(path: string, options: ReadOptions & Abortable = {}): Readable {
    const { signal, ...asked } = check({ path, ...options })
    const limit = asked.limit ?? Number.MAX_SAFE_INTEGER
    return fileReader(this.#streamed('read', asked, { operation: 'read', ...placed(asked.path), limit }), signal)
  }

  /**
   * A stream whose bytes are written into a file, in place of what is in it, or behind that with `append`. Once it has finished, all is written.
   * `timeout`: milliseconds until bytes are taken.
   */
  createWriteStream(
    path: string,
    options: WriteOptions & Abortable & { readonly append?: boolean | undefined } = {},
  ): Writable {
    const { signal, append, ...asked } = check({ path, ...options })
    const flags = (append ? filesFlags.append : 0) | (asked.exclusive ? filesFlags.exclusive : 0)
    const request = { operation: 'write', ...placed(asked.path), flags, mode: asked.mode ?? defaults.file } as const
    return fileWriter(this.#streamed('write', asked, request), signal)
  }

  /**
   * What happens to a file, or to the entries of a directory, from when this resolves. Not in directories below. In what is mounted, changes made
   * elsewhere, such as by another machine or below an overlay, may not be told: inotify(7).
   */
  async watch(path: string, options: FilesOptions & Abortable = {}): Promise<FileWatch> {
    const { signal, ...asked } = check({ path, ...options })
    const { kind } = await this.stat(path, options.timeout === undefined ? {} : { timeout: options.timeout })
    const { directory, name } = placed(asked.path)
    const place = kind === 'directory' ? placed(asked.path) : placed(directory as string)
    const streamed = this.#streamed('watch', asked, { operation: 'watch', ...place })
    return (await import('./fileWatch.js')).watchFiles(
      streamed,
      kind === 'directory' ? undefined : String(name),
      signal,
    )
  }

  /**
   * All that is below a directory, as an archive of tar(5): regular files, directories and links, without set-id bits; the text of a link is the
   * payload's. What else is there, or cannot be read, is told to `skipped`. Default limit `1G`.
   */
  pack(path: string, options: PackOptions = {}): Readable {
    const { skipped, ...asked } = check({ path, ...options })
    const limits = { limit: asked.limit ?? defaults.archive, entries: asked.entries ?? defaults.entries }
    const streamed = this.#streamed('read', asked, { operation: 'tree', ...placed(asked.path), ...limits })
    return Readable.from(packed(streamed, skipped), { objectMode: false })
  }

  /**
   * Unpacks an archive of tar(5) below a directory, which is made if it is missing. Names that lead up are refused; owners, times and set-id bits are
   * not taken over; what is neither a file, nor a directory, nor a symbolic link is skipped.
   * @throws {HostError} when it is not whole: what came before the fault stays
   */
  async unpack(path: string, archive: AsyncIterable<Uint8Array>, options: FilesOptions = {}): Promise<Copied> {
    const asked = check({ path, ...options })
    const helper = await this.#helpers.own()
    try {
      await this.mkdir(path, { recursive: true })
      const { unpackTree } = await import('./fileArchives.js')
      return await unpackTree({ helper, to: asked.path, timeout: asked.timeout ?? defaults.timeout }, archive)
    } finally {
      helper.close()
    }
  }

  #streamed(verb: string, { path, timeout }: Checked, request: FilesRequest): Streamed {
    return { start: this.#helpers.own, what: `${verb} ${path}`, request, timeout: timeout ?? defaults.timeout }
  }

  #ask(verb: string, { path, timeout }: Checked, request: FilesRequest, takes?: Takes): Promise<void> {
    return this.ask(verb, path, timeout ?? defaults.timeout, request, takes)
  }

  /** @internal */
  async ask(verb: string, path: string, timeout: number, request: FilesRequest, takes: Takes = {}): Promise<void> {
    const helper = await this.#helpers.shared()
    await helper.request(`${verb} ${path}`, request, timeout, (kind, content) => {
      if (kind === filesAnswer.data) takes.data?.(content)
      else if (kind === filesAnswer.entry) takes.entry?.(content)
      else if (kind === filesAnswer.fault) takes.fault?.(errnoName(-Number(content.readBigInt64LE())) ?? 'EIO')
    })
  }
}

/** Loads what writes archives only when one is read. */
async function* packed(streamed: Streamed, skipped: PackOptions['skipped']): AsyncGenerator<Buffer> {
  const { packTree } = await import('./fileArchives.js')
  yield* packTree(streamed, (one) => skipped?.(one))
}

function check(given: object): Checked {
  const checked = parseOptions(schema, given) as Checked
  return { ...checked, path: normal(checked.path), ...(checked.to === undefined ? {} : { to: normal(checked.to) }) }
}

function notRoot(asked: Checked): Checked {
  if (asked.path === '/') throw OptionError.at(new Fault('path', 'must not be "/": it stays'))
  return asked
}
