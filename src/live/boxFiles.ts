/** The files of an open sandbox, for the program that has opened it: as the payload's user sees them, and no path leads outside. */
import * as v from 'valibot'
import { errnoName } from '../kernel/errno.js'
import { filesAnswer, filesFlags } from '../launcher/filesCall.js'
import { pathOf } from '../policy/check.js'
import { normal } from '../policy/path.js'
import { flag, inside, mode, size } from '../policy/values.js'
import { Fault, HostError, OptionError } from '../text/error.js'
import { object, wrongValue } from '../text/shapes.js'
import { entryOf, type FileEntry, type FileStatus } from './fileEntries.js'
import type { FilesHelper, FilesRequest } from './filesHelper.js'
import {
  type Copied,
  type DirectoryOptions,
  type FilesOptions,
  placed,
  placedTo,
  type ReadOptions,
  type Takes,
  type TreeEntry,
  type TreeOptions,
  type WriteOptions,
} from './filesOptions.js'
import type { Inspected } from './inspectSandbox.js'

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
})
type Checked = v.InferOutput<typeof schema>

const defaults = { timeout: 30_000, limit: 2 ** 28, entries: 100_000, file: 0o644, directory: 0o755 } as const

/** The files of an open sandbox: as the payload's user sees them. No path leads outside, whatever links a payload has planted. */
export class BoxFiles {
  readonly #helper: () => Promise<FilesHelper>

  /** @internal */
  constructor(helper: () => Promise<FilesHelper>) {
    this.#helper = helper
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

  #ask(verb: string, { path, timeout }: Checked, request: FilesRequest, takes?: Takes): Promise<void> {
    return this.ask(verb, path, timeout ?? defaults.timeout, request, takes)
  }

  /** @internal */
  async ask(verb: string, path: string, timeout: number, request: FilesRequest, takes: Takes = {}): Promise<void> {
    const helper = await this.#helper()
    await helper.request(`${verb} ${path}`, request, timeout, (kind, content) => {
      if (kind === filesAnswer.data) takes.data?.(content)
      else if (kind === filesAnswer.entry) takes.entry?.(content)
      else if (kind === filesAnswer.fault) takes.fault?.(errnoName(-Number(content.readBigInt64LE())) ?? 'EIO')
    })
  }
}

/** Those of one sandbox: what works on them is started at first use, again if it had to be killed, and ends with the sandbox. */
export function filesOf(sandbox: Inspected, ended: Promise<unknown>): BoxFiles {
  let helper: FilesHelper | undefined
  let isOver = false
  const close = () => {
    isOver = true
    helper?.close()
  }
  ended.then(close, close)
  return new BoxFiles(async () => {
    const { FilesHelper } = await import('./filesHelper.js')
    if (isOver) throw new HostError('the sandbox has ended')
    if (helper === undefined || helper.isOver) helper = new FilesHelper(sandbox)
    return helper
  })
}

function check(given: object): Checked {
  const { issues, output } = v.safeParse(schema, given, { message: wrongValue })
  const [issue] = issues ?? []
  if (issue !== undefined) throw OptionError.at(new Fault(pathOf(issue), issue.message))
  const checked = output as Checked
  return { ...checked, path: normal(checked.path), ...(checked.to === undefined ? {} : { to: normal(checked.to) }) }
}

function notRoot(asked: Checked): Checked {
  if (asked.path === '/') throw OptionError.at(new Fault('path', 'must not be "/": it stays'))
  return asked
}
