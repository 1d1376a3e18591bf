/** Trees of a sandbox as archives of tar(5), packed and unpacked as they stream by: no more than a part of one is in memory. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Headers, type Pack, pack } from 'tar-stream'
import { filesAnswer } from '../launcher/filesCall.js'
import { HostError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { entryOf, type FileEntry, rawNameOf } from './fileEntries.js'
import { framesOf, type Streamed } from './fileStreams.js'
import type { FilesHelper, FilesRequest } from './filesHelper.js'
import { type Copied, placed } from './filesOptions.js'

/** What tar-stream makes of bytes that are none would be another name. */
const notUtf8 = 'its name is no UTF-8'

type Skipped = Copied['skipped'][number]

/** All that is below a directory. What is neither a file, nor a directory, nor a link, or cannot be read, is told to `skip`. */
export function packTree(asked: Streamed, skip: (one: Skipped) => void): Readable {
  const frames = framesOf(asked, (kind, content) => ({ kind, content: Buffer.from(content) }), { objectMode: true })
  const archive = pack()
  const packing = fill(archive, frames, skip).then(
    () => archive.finalize(),
    (error) => archive.destroy(error),
  )
  return Readable.from(
    (async function* () {
      try {
        yield* archive
        await packing
      } finally {
        frames.destroy()
      }
    })(),
    { objectMode: false },
  )
}

/** What a file was looked at to hold is what its header says. A payload that makes it longer or shorter meanwhile has it cut, or filled with NULs, as by GNU tar. */
async function fill(archive: Pack, frames: Readable, skip: (one: Skipped) => void): Promise<void> {
  let current: { readonly entry: NodeJS.WritableStream; left: number } | undefined
  const write = async (bytes: Buffer) => {
    if (current === undefined || bytes.length === 0) return
    current.left -= bytes.length
    if (!current.entry.write(bytes)) await once(current.entry, 'drain')
  }
  const end = async () => {
    if (current === undefined) return
    while (current.left > 0) await write(Buffer.alloc(Math.min(current.left, 65_536)))
    current.entry.end()
    current = undefined
  }
  // An entry that the archive's end cuts tells the same error, which would end a program that does not hear it.
  const begin = (header: Headers, content?: string) => archive.entry(header, content).on('error', () => {})
  let path = ''
  for await (const { kind, content } of frames) {
    if (kind === filesAnswer.data) await write(content.subarray(0, current?.left ?? 0))
    else if (kind === filesAnswer.fault) skip({ path, why: 'it could not be read whole' })
    else if (kind === filesAnswer.entry) {
      await end()
      const entry = entryOf(content)
      path = entry.name
      const header = headerOf(entry)
      if (!rawNameOf(content).equals(Buffer.from(path))) skip({ path, why: notUtf8 })
      else if (header === undefined) skip({ path, why: `it is a ${entry.kind}` })
      else if (entry.kind === 'file') current = { entry: begin(header), left: entry.size }
      else begin(header, '')
    }
  }
  await end()
}

function headerOf({ name, kind, mode, size, modified, target }: FileEntry): Headers | undefined {
  const common = { mode: mode & 0o777, mtime: modified, uid: 0, gid: 0 }
  if (kind === 'file') return { name, type: 'file', size, ...common }
  if (kind === 'directory') return { name: `${name}/`, type: 'directory', size: 0, ...common }
  if (kind === 'link') return { name, type: 'symlink', linkname: target!, size: 0, ...common }
  return
}

/** What is unpacked, and by what: a process of its own, which is in the middle of a request for as long as a file comes. */
export interface Unpacked {
  readonly helper: FilesHelper
  readonly to: string
  readonly timeout: number
}

/** Unpacks an archive below a directory. Its owners, times and set-id bits are not taken over. @throws {HostError} when it is not whole */
export async function unpackTree(
  { helper, to, timeout }: Unpacked,
  source: AsyncIterable<Uint8Array>,
): Promise<Copied> {
  const count = { files: 0, directories: 0, bytes: 0, skipped: [] as Skipped[] }
  const made = new Set<string>()
  const at = (names: readonly string[]) => [to === '/' ? '' : to, ...names].join('/')
  const ask = (verb: string, path: string, request: FilesRequest) =>
    helper.request(`${verb} ${path}`, { ...placed(path), ...request }, timeout, () => {})
  const directory = async (names: readonly string[], mode?: number) => {
    for (const index of names.keys()) {
      const path = at(names.slice(0, index + 1))
      const isLast = index === names.length - 1
      if (made.has(path) && !(isLast && mode !== undefined)) continue
      made.add(path)
      const request = { operation: 'mkdir', mode: ((isLast && mode) || 0o755) | 0o700 } as const
      await ask('make', path, request).catch((error) => (error.code === 'EEXIST' ? undefined : Promise.reject(error)))
    }
  }
  const one = async ({ name, type, mode = 0o644, size = 0, linkname }: Headers, body: AsyncIterable<Buffer>) => {
    const names = namesOf(name)
    const path = at(names)
    if (path.includes('\ufffd')) {
      count.skipped.push({ path: names.join('/'), why: notUtf8 })
      return
    }
    if (type === 'directory') {
      await directory(names, mode & 0o777)
      count.directories++
      return
    }
    if (names.length === 0) return
    await directory(names.slice(0, -1))
    if (type === 'symlink') {
      const link = () => ask('link', path, { operation: 'symlink', to: linkname! })
      await link().catch(async (error) => {
        if (error.code !== 'EEXIST') throw error
        await ask('remove', path, { operation: 'remove' })
        await link()
      })
      return
    }
    if (type !== 'file' && type !== 'contiguous-file') {
      count.skipped.push({ path: names.join('/'), why: `it is a ${type}` })
      return
    }
    const request = { operation: 'write', ...placed(path), mode: mode & 0o777, follows: size } as const
    const written = helper.request(`write ${path}`, request, Number.POSITIVE_INFINITY, () => {})
    // It is looked at below.
    written.catch(() => {})
    for await (const bytes of body) await helper.send(bytes, timeout)
    helper.allow(timeout)
    await written
    count.files++
    count.bytes += size
  }
  const archive = extract()
  // A fault of the archive ends the loop below; of what is written, the archive.
  const read = pipeline(source, archive)
  read.catch(() => {})
  try {
    for await (const entry of archive) {
      await one(entry.header, entry as unknown as AsyncIterable<Buffer>)
      entry.resume()
    }
    await read
    return count
  } catch (error) {
    archive.destroy()
    throw error instanceof HostError ? error : new HostError(printable(`cannot unpack it: ${(error as Error).message}`))
  }
}

/** The names on the way: none leads up. */
function namesOf(name: string): string[] {
  const names = name.split('/').filter((one) => one !== '' && one !== '.')
  if (names.includes('..') || name.includes('\0')) throw new HostError(printable(`the archive has a name "${name}"`))
  return names
}
