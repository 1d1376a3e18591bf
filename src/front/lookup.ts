/**
 * Code that finds a vial in the cache and executes it, if nobody but the caller (and root) can have put it there.
 *
 * Every folder on the way must belong to root or the caller, and others may write to it only if it is sticky; likewise a
 * symlink on the way. So, looked at from the root on, no name can be changed by others between the look and the use. The last
 * folder, the file and the file's content are looked at through the descriptors that are then used.
 */
import { errno } from '../kernel/errno.js'
import { AT, S_IF, S_IS, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import type { FrontContext } from './context.js'
import { entryFolder, entryMode } from './format.js'

/** PATH_MAX, and room for what is put behind. */
const longestPath = 4096
const usualKey = 2 ** 15
const othersWrite = 0o022
const slash = 0x2f

/** Executes the vial with this key, or comes back. */
export function lookUp(c: FrontContext): void {
  c.b.call(c.b.routine('lookUp', () => lookUpOnce(c)))
}

function lookUpOnce(c: FrontContext): void {
  const { b } = c
  const missing = b.label()
  const [folder, file, tail, size, offset] = Array.from({ length: 5 }, () => b.temporary()) as [
    Slot,
    Slot,
    Slot,
    Slot,
    Slot,
  ]
  const path = cachePath(c, missing)
  walk(c, path, missing)
  const { CLOEXEC, DIRECTORY, NOFOLLOW, NONBLOCK, PATH, RDONLY } = c.open
  b.move(folder, c.attempt('openat', AT.FDCWD, path, PATH | DIRECTORY | NOFOLLOW | CLOEXEC, 0))
  c.onFailure(missing)
  const status = look(c, folder, missing)
  b.branch(status.uid, 'ne', c.ids.euid, missing)
  b.compute(status.mode, status.mode, 'and', othersWrite)
  b.branch(status.mode, 'ne', 0, missing)

  b.move(file, c.attempt('openat', folder, c.key.name, RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC, 0))
  c.onFailure(missing)
  look(c, file, missing)
  b.branch(status.uid, 'ne', c.ids.euid, missing)
  b.branch(status.mode, 'ne', S_IF.REG | entryMode, missing)
  // Another name may lie where others can rename it, and so it is not one that the cache gave.
  b.branch(status.links, 'ne', 1, missing)
  b.load(size, 64, status.buffer, structs.statx.fields.stx_size.offset)
  b.branch(size, 'lt', c.key.used, missing)
  b.compute(offset, size, 'sub', c.key.used)

  b.move(tail, b.reserve(usualKey, 16))
  b.when(c.key.used, 'gt', usualKey, () => c.allocate(tail, c.key.used))
  c.attempt('pread64', file, tail, c.key.used, offset)
  b.branch(c.result, 'ne', c.key.used, missing)
  branchUnlessSame(c, tail, c.key.address, c.key.used, missing)
  execute(c, file)
  b.place(missing)
}

/** Replaces us by the vial; its words are our own name, COMMAND and what follows it. Comes back when it cannot be executed. */
export function execute(c: FrontContext, file: Operand): void {
  const { b } = c
  const [argv, name, kept] = [b.temporary(), b.temporary(), b.temporary()]
  b.compute(argv, c.command, 'sub', 8)
  b.load(name, 64, c.stack, 8)
  b.load(kept, 64, argv)
  b.store(64, argv, 0, name)
  c.attempt('execveat', file, b.text(''), argv, c.envp, AT.EMPTY_PATH)
  // An emulator may not know it. The name of a descriptor in /proc is the very file.
  b.when(c.result, 'eq', -errno.ENOSYS, () => {
    const path = b.reserve(32)
    const cursor = b.temporary()
    b.move(cursor, path)
    b.copyText(cursor, b.text('/proc/self/fd/'))
    b.decimal(cursor, file)
    c.attempt('execve', path, argv, c.envp)
  })
  b.store(64, argv, 0, kept)
}

/** The folder of the front's vials, as cacheFolder() of run/cache.ts chooses it. */
function cachePath(c: FrontContext, missing: Label) {
  const { b } = c
  const path = b.reserve(longestPath + 64)
  const [cursor, value, byte] = [b.temporary(), b.temporary(), b.temporary()]
  const chosen = b.label()
  b.move(cursor, path)
  const whenGiven = (name: keyof FrontContext['variables'], then: () => void) => {
    b.when(c.variables[name], 'ne', 0, () => {
      b.compute(value, c.variables[name], 'add', name.length + 1)
      b.load(byte, 8, value)
      b.when(byte, 'ne', 0, then)
    })
  }
  const put = (rest: string) => {
    copyPath(c, cursor, value, path, missing)
    b.copyText(cursor, b.text(`${rest}/${entryFolder}`))
    b.jump(chosen)
  }
  whenGiven('VIAL_CACHE', () => put(''))
  whenGiven('XDG_CACHE_HOME', () => b.when(byte, 'eq', slash, () => put('/vial')))
  whenGiven('HOME', () => put('/.cache/vial'))
  b.jump(missing)
  b.place(chosen)
  return path
}

/** Copies a variable's value, if it is no longer than a path may be. */
function copyPath(c: FrontContext, cursor: Slot, value: Slot, start: Operand, tooLong: Label): void {
  const { b } = c
  const [byte, limit] = [b.temporary(), b.temporary()]
  b.compute(limit, start, 'add', longestPath)
  b.loop(({ leave }) => {
    b.load(byte, 8, value)
    b.when(byte, 'eq', 0, leave)
    b.branch(cursor, 'ge', limit, tooLong)
    b.store(8, cursor, 0, byte)
    b.compute(cursor, cursor, 'add', 1)
    b.compute(value, value, 'add', 1)
  })
}

/** Looks at every folder and symlink of the path, from its beginning on. */
function walk(c: FrontContext, path: Operand, missing: Label): void {
  const { b } = c
  const [at, byte, kind] = [b.temporary(), b.temporary(), b.temporary()]
  const status = statusOf(c)
  const see = (name: Operand, flags: number) => {
    c.attempt('statx', AT.FDCWD, name, flags, STATX.BASIC_STATS, status.buffer)
    c.onFailure(missing)
    readStatus(c, missing)
  }
  b.move(at, path)
  b.load(byte, 8, at)
  b.when(
    byte,
    'eq',
    slash,
    () => see(b.text('/'), 0),
    () => see(b.text('.'), 0),
  )
  requireFolder(c, missing)
  b.loop(({ leave, again }) => {
    b.load(byte, 8, at)
    b.when(byte, 'eq', slash, () => {
      b.compute(at, at, 'add', 1)
      again()
    })
    b.when(byte, 'eq', 0, leave)
    b.loop(({ leave }) => {
      b.load(byte, 8, at)
      b.when(byte, 'eq', 0, leave)
      b.when(byte, 'eq', slash, leave)
      b.compute(at, at, 'add', 1)
    })
    b.store(8, at, 0, 0)
    see(path, AT.SYMLINK_NOFOLLOW)
    b.compute(kind, status.mode, 'and', S_IF.MT)
    b.when(kind, 'eq', S_IF.LNK, () => see(path, 0))
    requireFolder(c, missing)
    b.store(8, at, 0, byte)
  })
}

interface Status {
  readonly buffer: Operand
  readonly mode: Slot
  readonly uid: Slot
  readonly links: Slot
}

const buffers = new WeakMap<FrontContext, Operand>()

function statusOf(c: FrontContext): Status {
  const buffer = buffers.get(c) ?? c.b.reserve(structs.statx.size, 8)
  buffers.set(c, buffer)
  return { buffer, mode: c.b.slot('stat.mode'), uid: c.b.slot('stat.uid'), links: c.b.slot('stat.links') }
}

/** What a descriptor is. */
function look(c: FrontContext, fd: Operand, missing: Label): Status {
  const status = statusOf(c)
  c.attempt('statx', fd, c.b.text(''), AT.EMPTY_PATH, STATX.BASIC_STATS, status.buffer)
  c.onFailure(missing)
  readStatus(c, missing)
  return status
}

/** Takes the status apart; whatever does not belong to root or the caller is not used. */
function readStatus(c: FrontContext, missing: Label): void {
  const { b } = c
  const { buffer, mode, uid, links } = statusOf(c)
  const { stx_mode, stx_uid, stx_nlink } = structs.statx.fields
  const trusted = b.label()
  // A mode has 16 bits; what follows it is spare.
  b.load(mode, 32, buffer, stx_mode.offset)
  b.compute(mode, mode, 'and', 0xffff)
  b.load(uid, 32, buffer, stx_uid.offset)
  b.load(links, 32, buffer, stx_nlink.offset)
  b.branch(uid, 'eq', 0, trusted)
  b.branch(uid, 'ne', c.ids.euid, missing)
  b.place(trusted)
}

/** A folder in which others cannot replace what is root's or the caller's. */
function requireFolder(c: FrontContext, missing: Label): void {
  const { b } = c
  const { mode } = statusOf(c)
  const bits = b.temporary()
  const safe = b.label()
  b.compute(bits, mode, 'and', S_IF.MT)
  b.branch(bits, 'ne', S_IF.DIR, missing)
  b.compute(bits, mode, 'and', othersWrite)
  b.branch(bits, 'eq', 0, safe)
  b.compute(bits, mode, 'and', S_IS.VTX)
  b.branch(bits, 'eq', 0, missing)
  b.place(safe)
}

/** Compares `length` bytes, a multiple of 8. */
function branchUnlessSame(c: FrontContext, left: Operand, right: Operand, length: Operand, different: Label): void {
  const { b } = c
  const [one, other, here, there, end] = Array.from({ length: 5 }, () => b.temporary()) as [
    Slot,
    Slot,
    Slot,
    Slot,
    Slot,
  ]
  b.move(one, left)
  b.move(other, right)
  b.compute(end, one, 'add', length)
  b.loop(({ leave }) => {
    b.when(one, 'ge', end, leave)
    b.load(here, 64, one)
    b.load(there, 64, other)
    b.branch(here, 'ne', there, different)
    b.compute(one, one, 'add', 8)
    b.compute(other, other, 'add', 8)
  })
}
