/** Files and directories that are copied between the host and a sandbox that runs. On neither side is a link followed. */
import { closeSync, fstatSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { currentDirectory } from '../policy/path.js'
import { HostError, OptionError } from '../text/error.js'
import { attempt } from '../text/attempt.js'
import { entryOf, type FileStatus, rawNameOf } from './fileEntries.js'
import type { FilesRequest } from './filesHelper.js'
import {
  type Copied,
  type FilesOptions,
  placed,
  type ReadOptions,
  type Takes,
  type TreeOptions,
} from './filesOptions.js'
import { HostDirectory, hostFailure } from './hostDirectory.js'
import { type ComingFile, WholeCopies } from './wholeCopies.js'

/** What of BoxFiles a copy is made with. */
interface CopiedFiles {
  stat(path: string, options: FilesOptions): Promise<FileStatus>
  exists(path: string, options: FilesOptions): Promise<boolean>
  read(path: string, options: ReadOptions): Promise<Buffer>
  walk(path: string, options: TreeOptions, takes: Takes): Promise<void>
  ask(verb: string, path: string, timeout: number, request: FilesRequest, takes?: Takes): Promise<void>
}

const defaults = { timeout: 600_000, limit: '1G' } as const
const utf8 = (bytes: Buffer) => bytes.toString()

class Count implements Copied {
  files = 0
  directories = 0
  bytes = 0
  readonly skipped: { path: string; why: string }[] = []
}

/** The directory that a copy is put into, and its name there: into what is a directory already, as what is copied is called. */
function destination(path: string, name: string): { readonly into: HostDirectory; readonly name: string } {
  const whole = resolve(currentDirectory(), path)
  const there = attempt(() => HostDirectory.at(whole))
  if (there !== undefined) return { into: there, name }
  return { into: HostDirectory.at(dirname(whole)), name: basename(whole) }
}

/**
 * Copies a file or a directory out. Links, FIFOs and the like are not made on the host, and neither are set-id bits: a payload may have
 * meant them for who looks there later.
 */
export async function copyOut(
  files: CopiedFiles,
  from: string,
  to: string,
  options: TreeOptions = {},
): Promise<Copied> {
  const what = `copy ${from} of the sandbox to ${to}`
  const { kind, mode } = await files.stat(from, options)
  const count = new Count()
  let place: ReturnType<typeof destination> | undefined
  const copies = new WholeCopies()
  try {
    const name = basename(from)
    if (name === '' && attempt(() => HostDirectory.at(resolve(currentDirectory(), to)).close()) !== undefined)
      throw new OptionError('the root of a sandbox has no name: name a directory that is not there yet')
    place = destination(to, name)
    if (kind === 'directory') await treeOut(files, from, place, { ...defaults, ...options }, mode, { count, copies })
    else if (kind === 'file') {
      const content = await files.read(from, { ...defaults, ...options })
      writeWhole(copies.begin(place.into, place.name, mode & 0o777), content)
      count.files = 1
      count.bytes = content.length
    } else throw new OptionError(`${from} is a ${kind}: files and directories are copied`)
    return count
  } catch (error) {
    throw hostFailure(what, error)
  } finally {
    place?.into.close()
    copies.end()
  }
}

function writeWhole(file: ComingFile, content: Uint8Array): void {
  try {
    writeFileSync(file.fd, content)
  } catch (error) {
    file.drop()
    throw error
  }
  file.put()
}

/** Entries come as they are found, a directory before what is in it: those that it is in are open. */
async function treeOut(
  files: CopiedFiles,
  from: string,
  { into, name }: { readonly into: HostDirectory; readonly name: string },
  options: TreeOptions,
  mode: number,
  { count, copies }: { readonly count: Count; readonly copies: WholeCopies },
): Promise<void> {
  const open: { readonly path: string; readonly directory: HostDirectory }[] = []
  let file: ComingFile | undefined
  let path = ''
  let failure: unknown
  const finish = (isWhole: boolean) => {
    const last = file
    file = undefined
    if (isWhole) last?.put()
    else last?.drop()
  }
  /** An error is told when all has come: an answer is never left half taken. */
  const careful = (does: () => void) => {
    if (failure !== undefined) return
    try {
      does()
    } catch (error) {
      failure = error
    }
  }
  try {
    // The copy itself is written into it.
    open.push({ path: '', directory: into.make(name, (mode & 0o777) | 0o700) })
    count.directories = 1
    await files.walk(from, options, {
      entry: (content) =>
        careful(() => {
          finish(true)
          const { kind, mode } = entryOf(content)
          const rawName = rawNameOf(content)
          // Latin-1 keeps each byte.
          path = rawName.toString('latin1')
          const names = path.split('/')
          if (names.some((one) => one === '' || one === '.' || one === '..'))
            throw new HostError(`it has a name "${path}"`)
          while (open.length > 1 && !path.startsWith(`${open.at(-1)!.path}/`)) open.pop()!.directory.close()
          const last = Buffer.from(names.at(-1)!, 'latin1')
          const { directory } = open.at(-1)!
          if (kind === 'directory') {
            open.push({ path, directory: directory.make(last, (mode & 0o777) | 0o700) })
            count.directories++
          } else if (kind === 'file') {
            file = copies.begin(directory, last, mode & 0o777)
            count.files++
          } else count.skipped.push({ path: utf8(rawName), why: `it is a ${kind}` })
        }),
      data: (bytes) =>
        careful(() => {
          writeFileSync(file!.fd, bytes)
          count.bytes += bytes.length
        }),
      fault(code) {
        if (file !== undefined) count.files--
        finish(false)
        count.skipped.push({ path: utf8(Buffer.from(path, 'latin1')), why: code })
      },
    })
    if (failure !== undefined) throw failure
    finish(true)
  } finally {
    finish(false)
    for (const { directory } of open) directory.close()
  }
}

/** How much is on its way into a sandbox at most. */
const [mostRequests, mostBytes] = [64, 2 ** 24]

/** Copies a file or a directory of the host in: links as links, which lead to places inside. */
export async function copyIn(
  files: CopiedFiles,
  from: string,
  to: string,
  options: FilesOptions = {},
): Promise<Copied> {
  const whole = resolve(currentDirectory(), from)
  const what = `copy ${from} to ${to} of the sandbox`
  const count = new Count()
  const isDirectory = async (path: string) =>
    (await files.exists(path, options)) && (await files.stat(path, options)).kind === 'directory'
  const place = (await isDirectory(to)) ? join(to, basename(whole)) : to
  const timeout = options.timeout ?? defaults.timeout
  let waiting: Promise<unknown>[] = []
  let bytes = 0
  const send = async (request: Promise<unknown>, size: number) => {
    // It is looked at below.
    request.catch(() => {})
    waiting.push(request)
    bytes += size
    if (waiting.length < mostRequests && bytes < mostBytes) return
    await Promise.all(waiting)
    waiting = []
    bytes = 0
  }
  const fileIn = async (directory: HostDirectory, name: Buffer | string, path: Buffer) => {
    const fd = directory.read(name)
    try {
      const content = readFileSync(fd)
      const mode = fstatSync(fd).mode & 0o777
      count.files++
      count.bytes += content.length
      await send(
        files.ask('write', utf8(path), timeout, { operation: 'write', ...placed(path), mode, data: content }),
        content.length,
      )
    } finally {
      closeSync(fd)
    }
  }
  const treeIn = async (directory: HostDirectory, path: Buffer): Promise<void> => {
    const mode = (directory.mode() & 0o777) | 0o700
    const made = files.ask('make', utf8(path), timeout, { operation: 'mkdir', ...placed(path), mode })
    await send(
      made.catch((error) => (error.code === 'EEXIST' ? undefined : Promise.reject(error))),
      0,
    )
    count.directories++
    for (const entry of directory.list()) {
      const below = Buffer.concat([path, Buffer.from('/'), entry.name])
      if (entry.isDirectory()) {
        const next = directory.directory(entry.name)
        try {
          await treeIn(next, below)
        } finally {
          next.close()
        }
      } else if (entry.isFile()) await fileIn(directory, entry.name, below)
      else if (entry.isSymbolicLink()) {
        const request = { operation: 'symlink', ...placed(below), to: directory.linkText(entry.name) } as const
        await send(files.ask('link', utf8(below), timeout, request), 0)
      } else count.skipped.push({ path: utf8(below), why: 'it is no file, directory or link' })
    }
  }
  try {
    const inside = Buffer.from(place)
    const above = HostDirectory.at(dirname(whole))
    try {
      const directory = attempt(() => HostDirectory.at(whole))
      if (directory === undefined) await fileIn(above, basename(whole), inside)
      else
        try {
          await treeIn(directory, inside)
        } finally {
          directory.close()
        }
    } finally {
      above.close()
    }
    await Promise.all(waiting)
    return count
  } catch (error) {
    await Promise.allSettled(waiting)
    throw hostFailure(what, error)
  }
}
