/**
 * What a payload wrote: `log`, which its monitor renames to `log.1` when it has its most bytes, so that `log.1` holds what came before.
 * Who follows keeps the file that it reads open: the monitor may rename it meanwhile, even more than once.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { ifSeen } from '../kernel/shortage.js'
import { DirectoryChanges } from './directoryChanges.js'
import { type FoundSandbox, findSandbox } from './findSandbox.js'
import { type SandboxRecord, sameSandbox } from './recordFile.js'

/** Everything that is kept, or the last lines of it. */
export function readLog(directory: string, lines = Number.POSITIVE_INFINITY): Buffer {
  const { older, newer } = openLog(directory)
  try {
    return lastLines(Buffer.concat([rest(older), rest(newer)]), lines)
  } finally {
    close(older)
    close(newer)
  }
}

/** The same, and what is written from then on, until the sandbox has ended or its name is another's. Never an empty part. */
export async function* followLog(
  home: string,
  { name, directory, record }: Recorded,
  lines = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void, undefined> {
  const changes = new DirectoryChanges(directory)
  const { older, newer } = openLog(directory)
  let fd = newer
  try {
    yield* some(lastLines(Buffer.concat([rest(older), rest(fd)]), lines))
    for (;;) {
      // First whether it runs: what it wrote, it wrote before it ended.
      const now = findSandbox(home, name)
      const runs = now?.state === 'running' && sameSandbox(now.record, record)
      for (let next: number | undefined; ; ) {
        next = successor(directory, fd)
        yield* some(rest(fd))
        if (next === undefined) break
        close(fd)
        fd = next
      }
      if (!runs) return
      await changes.next()
    }
  } finally {
    changes.close()
    close(older)
    close(fd)
  }
}

const some = (bytes: Buffer): readonly Buffer[] => (bytes.length === 0 ? [] : [bytes])

type Recorded = Pick<FoundSandbox, 'name' | 'directory'> & { readonly record: SandboxRecord }

/** `newer` is the present part. Opened first: what becomes the older one in between is there twice, and not missed. */
function openLog(directory: string): { readonly older: number | undefined; readonly newer: number | undefined } {
  const newer = openPart(directory, 'log')
  let older: number | undefined
  try {
    older = openPart(directory, 'log.1')
  } catch (error) {
    close(newer)
    throw error
  }
  if (older === undefined || newer === undefined || !isSame(fstatSync(older), fstatSync(newer))) return { older, newer }
  close(older)
  return { older: undefined, newer }
}

/** What was written behind the part that is read; undefined while that is the last. */
function successor(directory: string, fd: number | undefined): number | undefined {
  if (fd === undefined) return openPart(directory, 'log')
  const [own, present, older] = [fstatSync(fd), ...(['log', 'log.1'] as const).map((name) => look(directory, name))]
  if (present === undefined || isSame(own, present)) return undefined
  // Where not even the older part is ours, what lay between is lost.
  return openPart(directory, older === undefined || isSame(own, older) ? 'log' : 'log.1')
}

const look = (directory: string, name: string) => statSync(join(directory, name), { throwIfNoEntry: false })
const isSame = (one: Stats, other: Stats) => one.ino === other.ino && one.dev === other.dev

function openPart(directory: string, name: 'log' | 'log.1'): number | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  return ifSeen(() => openSync(join(directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
}

function close(fd: number | undefined): void {
  if (fd !== undefined) closeSync(fd)
}

/** From where the last reading ended. */
function rest(fd: number | undefined): Buffer {
  const chunks: Buffer[] = []
  if (fd !== undefined)
    for (;;) {
      const chunk = Buffer.alloc(2 ** 16)
      const size = readSync(fd, chunk)
      if (size === 0) break
      chunks.push(chunk.subarray(0, size))
    }
  return Buffer.concat(chunks)
}

/** A last line that has no end counts. */
function lastLines(bytes: Buffer, lines: number): Buffer {
  const newline = 10
  if (lines === 0) return Buffer.alloc(0)
  let at = bytes.at(-1) === newline ? bytes.length - 1 : bytes.length
  for (let left = lines; left > 0; left--) {
    at = at === 0 ? -1 : bytes.lastIndexOf(newline, at - 1)
    if (at < 0) return bytes
  }
  return bytes.subarray(at + 1)
}
