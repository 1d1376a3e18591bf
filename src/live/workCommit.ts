/**
 * Applies changes of a layer to the directory of the host that it lies over. Each name is looked up in a directory that is open, and no link is
 * followed on either side. A file comes whole or not at all: it is written beside its place, and renamed.
 */
import {
  type BigIntStats,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  readSync,
  writeSync,
} from 'node:fs'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { Directories, type HostDirectory, hostFailure, inDirectory, within } from './hostDirectory.js'
import { type Found, type HostStatus, isSame, permissions, typeOf } from './workChanges.js'

export interface Sides {
  readonly host: HostDirectory
  /** Of its layers: those that the changes name. */
  readonly uppers: readonly HostDirectory[]
  /** Whether the host's side may be another than when it was looked at. */
  readonly overwrites: boolean
  /** By which the names of files that are not yet at their places are told: no others have it. */
  readonly token: string
  /** What is applied was begun already. Changes that are not made, since the host is another now, are handed to this, and no error. */
  readonly leaves?: (one: Found) => void
}

const temporaryOf = ({ token }: Pick<Sides, 'token'>, index: number) => `.vial-${token}-${index}`

/** What was begun of changes that are not to be made. */
export function removeTemporaries(host: HostDirectory, found: readonly Found[], token: string): void {
  for (const [index, { names }] of found.entries())
    attempt(() => inDirectory(host, names, (above) => above.remove(temporaryOf({ token }, index))))
}

/** @throws {HostError} that says which change failed; those before it are made */
export function applyChanges(sides: Sides, found: readonly Found[]): void {
  const numbers = new Map(found.map((one, number) => [one, number]))
  const host = new Directories(sides.host)
  const uppers = sides.uppers.map((upper) => new Directories(upper))
  const removed = found.filter(({ change }) => change.kind === 'removed')
  const written = found.filter(({ change }) => change.kind !== 'removed')
  const directories = written.filter(({ change }) => change.type === 'directory')
  const steps: (readonly [Step, readonly Found[]])[] = [
    // What is to be emptied, or filled, has to be writable meanwhile.
    [opened, [...removed, ...directories].filter(wasDirectory)],
    [(...step) => remove(sides, ...step), removed.toReversed()],
    [(above, name, one) => put(sides, uppers, above, name, one, temporaryOf(sides, numbers.get(one)!)), written],
    [closed, directories.toReversed()],
  ]
  try {
    for (const [step, those] of steps)
      for (const one of those)
        try {
          host.in(one.names, (above, name) => step(above, name, one))
        } catch (error) {
          if (sides.leaves === undefined)
            throw hostFailure(`commit ${one.change.path}, and what comes behind it`, error)
          if (!(isGone(error) && (one.change.kind === 'removed' || step === opened))) sides.leaves(one)
        }
  } finally {
    for (const directories of [host, ...uppers]) directories.close()
  }
}

const isGone = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code))

type Step = (above: HostDirectory, name: Buffer, one: Found) => void

const wasDirectory = ({ host }: Found) => host !== undefined && typeOf(host) === 'directory'

function opened(above: HostDirectory, name: Buffer): void {
  within(above, name, (directory) => {
    const mode = directory.mode() & 0o7777
    if ((mode & 0o700) !== 0o700) directory.setMode(mode | 0o700)
  })
}

/** As the layer has it, but for bits that mean more than permissions: those stay the host's. */
function closed(above: HostDirectory, name: Buffer, { change }: Found): void {
  within(above, name, (directory) => {
    const mode = directory.mode() & 0o7777
    const asked = (mode & 0o7000) | (change.mode & 0o777)
    if (mode !== asked) directory.setMode(asked)
  })
}

function remove(sides: Sides, above: HostDirectory, name: Buffer, one: Found): void {
  const now = above.status(name)
  if (now === undefined) return
  requireSame(sides, one, now)
  if (typeOf(now) === 'directory') above.removeDirectory(name)
  else above.remove(name)
}

function put(
  sides: Sides,
  uppers: readonly Directories[],
  above: HostDirectory,
  name: Buffer,
  one: Found,
  temporary: string,
): void {
  if (sides.leaves !== undefined) {
    if (above.status(temporary) !== undefined) above.remove(temporary)
    if (isPut(uppers, above, name, one)) return
  }
  const now = above.status(name)
  requireSame(sides, one, now)
  const isDirectory = now !== undefined && typeOf(now) === 'directory'
  if (one.change.type === 'directory') {
    if (now !== undefined && !isDirectory) above.remove(name)
    if (!isDirectory) above.make(name, 0o700).close()
    return
  }
  try {
    uppers[one.layer]!.in(one.names, (from) => {
      if (one.change.type === 'link') above.link(from.linkText(name), temporary)
      else copyFile(from.read(name), above.fresh(temporary), now)
    })
    if (isDirectory) above.removeDirectory(name)
    requireSame(sides, one, isDirectory ? now : above.status(name))
    above.rename(temporary, name)
  } catch (error) {
    if (above.status(temporary) !== undefined) above.remove(temporary)
    throw error
  }
}

/** Whether the commit that was killed has done this. */
function isPut(
  uppers: readonly Directories[],
  above: HostDirectory,
  name: Buffer,
  { names, change, layer }: Found,
): boolean {
  const now = above.status(name)
  if (now === undefined) return false
  if (change.type === 'directory') return typeOf(now) === 'directory'
  return uppers[layer]!.in(names, (from) => {
    const status = from.status(name)
    return status !== undefined && isSame(above, from, name, now, status)
  })
}

/** Not by the time of its change, which another name of the same file also has. */
function requireSame({ overwrites, leaves }: Sides, { change, host }: Found, now: HostStatus | undefined): void {
  const isUnchanged =
    now === undefined || host === undefined
      ? now === host
      : typeOf(now) === typeOf(host) &&
        (typeOf(now) === 'directory' ||
          (now.ino === host.ino && now.mtimeNs === host.mtimeNs && now.size === host.size))
  // What another takes the place of is removed first.
  const isBegun =
    leaves !== undefined &&
    now === undefined &&
    host !== undefined &&
    (typeOf(host) === 'directory') !== (change.type === 'directory')
  if (!isUnchanged && !overwrites && !isBegun)
    throw new HostError(printable(`${change.path} was changed on the host while the layer was committed`))
}

const zeros = Buffer.alloc(65536)
/** For one file after another. */
const bytes = Buffer.alloc(zeros.length)

/** As long as it is at the start: the payload may write on. The times stay, by which make(1) tells what is newer. */
function copyFile(from: number, to: number, before: BigIntStats | undefined): void {
  try {
    const status = fstatSync(from, { bigint: true })
    const size = Number(status.size)
    for (let at = 0; at < size; ) {
      const read = readSync(from, bytes, 0, Math.min(bytes.length, size - at), at)
      if (read === 0) break
      const part = bytes.subarray(0, read)
      // A file with holes may be larger than the disk.
      if (!part.equals(zeros.subarray(0, read)))
        for (let done = 0; done < read; ) done += writeSync(to, part, done, read - done, at + done)
      at += read
    }
    ftruncateSync(to, size)
    const own = fstatSync(to, { bigint: true })
    if (before !== undefined && typeOf(before) === 'file' && (before.uid !== own.uid || before.gid !== own.gid))
      fchownSync(to, Number(before.uid), Number(before.gid))
    fchmodSync(to, permissions(status))
    futimesSync(to, Number(status.atimeMs) / 1000, Number(status.mtimeNs) / 1e9)
  } finally {
    closeSync(from)
    closeSync(to)
  }
}
