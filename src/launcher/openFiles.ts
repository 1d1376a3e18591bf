/** Open files: what they are, and what is written into them. */
import { writeAllBy } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import type { StrictAssembler } from '../assembly/strictAssembler.js'
import { descriptorPath } from '../assembly/text.js'
import { own, variables } from '../assembly/variables.js'
import type { ErrnoName } from '../kernel/errno.js'
import { AT, S_IF, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import { type LauncherContext, scratchSize } from './launcherContext.js'

/** What an open file is, of S_IF; the result is that of statx(2). */
export const fileKind = (c: StrictAssembler, file: Operand): Slot => look(c, { file }).kind

const look = routine('fileKind', { takes: ['file'], gives: ['kind'] }, (c: StrictAssembler, { file, kind }) => {
  const { b } = c
  const status = statusBuffer(c)
  c.attempt('statx', file, b.text(''), AT.EMPTY_PATH, STATX.TYPE | STATX.NLINK | STATX.UID, status)
  b.load(kind, 32, status, structs.statx.fields.stx_mode.offset)
  b.compute(kind, kind, 'and', S_IF.MT)
})

/** A file: of a descriptor, or of a path where there is one. */
interface NamedFile {
  readonly fd: Operand
  readonly path?: Operand
}

/**
 * Goes on behind it if two files are one, and else at `different`; where one of them cannot be looked at, at `failed`, with the error in
 * `result`. Devices of one name in different filesystems are told apart by their numbers.
 */
export function requireSame(
  c: StrictAssembler,
  files: readonly [NamedFile, NamedFile],
  { different, failed = c.fail }: { readonly different: Label; readonly failed?: Label },
): void {
  const { b } = c
  const { size, fields } = structs.statx
  const statuses = [b.reserve(size, 8), b.reserve(size, 8)] as const
  const [left, right] = b.temporaries(2)
  for (const [index, { fd, path = b.text('') }] of files.entries()) {
    const args = [fd, path, AT.EMPTY_PATH, STATX.INO, statuses[index === 0 ? 0 : 1]]
    b.emit({ op: 'syscall', name: 'statx', args, to: c.result, failing: failed })
  }
  // A minor number lies behind its major number.
  for (const { offset } of [fields.stx_ino, fields.stx_dev_major, fields.stx_rdev_major]) {
    b.load(left, 64, statuses[0], offset)
    b.load(right, 64, statuses[1], offset)
    b.branch(left, 'ne', right, different)
  }
}

/**
 * Fails unless the file that a descriptor names has this name only: another name of it may lie where no payload could have
 * changed it. Directories have none.
 */
export function refuseShared(c: LauncherContext, file: Operand): void {
  const { b } = c
  const { stx_nlink } = structs.statx.fields
  const kind = fileKind(c, file)
  c.orFail()
  b.when(kind, 'ne', S_IF.DIR, () => {
    const names = b.temporary()
    b.load(names, 32, statusBuffer(c), stx_nlink.offset)
    b.when(names, 'gt', 1, () => {
      c.failWith('EMLINK')
    })
  })
}

/**
 * Opens the regular file that is at a name, to be written over, into `result`. Nothing else is ever opened: a FIFO waits for
 * a reader for ever, and a device may act on being opened.
 * @param foreign others may have put the file there. Then it has no other name: see {@link refuseShared}. And what is not the
 * payload's own is not written but removed and made anew, with this mode: it may be a file of a user who has lost
 * or got a name since, and only what the payload could write is safe to be written for it.
 */
export function openRegular(
  c: LauncherContext,
  at: Operand,
  name: Operand,
  foreign: { readonly payload: number; readonly mode: Operand } | undefined,
): void {
  const { b } = c
  const [own, end] = [b.label(), b.label()]
  const [file, opened] = b.temporaries(2)
  b.move(file, c.must('openat', at, name, c.open.PATH | c.open.NOFOLLOW | c.open.CLOEXEC, 0))
  const kind = fileKind(c, file)
  c.orFail()
  const known = b.label()
  // To open a directory or a link fails with an error that says so.
  for (const harmless of [S_IF.REG, S_IF.DIR, S_IF.LNK]) b.branch(kind, 'eq', harmless, known)
  c.failWith('EEXIST')
  b.place(known)
  if (foreign !== undefined) {
    refuseShared(c, file)
    b.branch(kind, 'ne', S_IF.REG, own)
    whenOwned(c, foreign.payload, own)
    c.attempt('close', file)
    c.must('unlinkat', at, name, 0)
    c.must('openat', at, name, c.open.WRONLY | c.open.CREAT | c.open.EXCL | c.open.CLOEXEC, foreign.mode)
    b.jump(end)
    b.place(own)
  }
  // The descriptor's name in /proc leads to the very file. It may be leased: fcntl(2), "Leases".
  const flags = c.open.WRONLY | c.open.TRUNC | c.open.NONBLOCK | c.open.CLOEXEC
  b.move(opened, c.must('openat', AT.FDCWD, descriptorPath(c, file), flags, 0))
  c.attempt('close', file)
  b.move(c.result, opened)
  b.place(end)
}

/** Jumps to `own` if what {@link fileKind} was asked of last is this user's. */
export function whenOwned(c: LauncherContext, user: number, own: Label): void {
  const { b } = c
  const owner = b.temporary()
  b.load(owner, 32, statusBuffer(c), structs.statx.fields.stx_uid.offset)
  b.branch(owner, 'eq', user, own)
}

/** Fails with `otherwise` unless the filesystem of an open file is of one of these kinds: SUPER_MAGIC of statfs(2). */
export function requireFilesystem(
  c: StrictAssembler,
  file: Operand,
  magics: readonly number[],
  otherwise: ErrnoName,
): void {
  const { b } = c
  const [type, fine] = [b.temporary(), b.label()]
  c.must('fstatfs', file, statusBuffer(c))
  b.load(type, 64, statusBuffer(c), structs.statfs.fields.f_type.offset)
  for (const magic of magics) b.branch(type, 'eq', magic, fine)
  c.failWith(otherwise)
  b.place(fine)
}

/** A struct statx, or statfs, for a short time. */
export const statusBuffer = own(({ b }: StrictAssembler) => b.reserve(structs.statx.size, 8))

export function fill(c: LauncherContext, file: Slot, content: Uint8Array | number): void {
  if (typeof content === 'number') copyFrom(c, content, file)
  else if (content.length > 0) writeAll(c, file, c.b.bytes(content), content.length)
}

const writing = variables('cursor', 'left')

export function writeAll(c: LauncherContext, to: Slot, from: Operand, length: Operand): void {
  const { b } = c
  const { cursor, left } = writing(b)
  b.move(cursor, from)
  b.move(left, length)
  writeAllBy(c, { from: cursor, left }, () => c.must('write', to, cursor, left))
}

export function copyFrom(c: LauncherContext, source: Operand, to: Slot): void {
  const { b } = c
  const size = scratchSize
  const buffer = c.scratch
  const got = b.temporary()
  b.loop(({ leave }) => {
    b.move(got, c.must('read', source, buffer, size))
    b.when(got, 'eq', 0, leave)
    writeAll(c, to, buffer, got)
  })
  c.attempt('close', source)
}
