/**
 * Code that finds a vial in the cache and executes it, if nobody but the caller (and root) can have put it there.
 *
 * The path is resolved once. From the directory that it led to, all those above are looked at by its own "..", whatever links
 * led there: each must belong to root or the caller, and others may write to it only if it is sticky. The directory, the
 * file and the file's content are looked at through the descriptors that are then used.
 */
import { AT, S_IF, S_IS, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import type { FrontContext } from './context.js'
import { entryFolder, entryMode } from './format.js'
import { copyForExecution, execute } from './sealed.js'

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
  const [folder, file, copy, tail, size, offset] = Array.from({ length: 6 }, () => b.temporary()) as [
    Slot,
    Slot,
    Slot,
    Slot,
    Slot,
    Slot,
  ]
  const path = cachePath(c, missing)
  const { CLOEXEC, DIRECTORY, NOFOLLOW, NONBLOCK, PATH, RDONLY } = c.open
  b.move(folder, c.attempt('openat', AT.FDCWD, path, PATH | DIRECTORY | NOFOLLOW | CLOEXEC, 0))
  c.onFailure(missing)
  const status = look(c, folder, missing)
  b.branch(status.uid, 'ne', c.ids.euid, missing)
  b.compute(status.mode, status.mode, 'and', othersWrite)
  b.branch(status.mode, 'ne', 0, missing)
  lookAbove(c, folder, missing)

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

  // The key is compared in the very bytes that are then executed.
  copyForExecution(c, { source: file, size, folder, to: copy }, missing)
  b.move(tail, b.reserve(usualKey, 16))
  b.when(c.key.used, 'gt', usualKey, () => c.allocate(tail, c.key.used))
  c.attempt('pread64', copy, tail, c.key.used, offset)
  b.branch(c.result, 'ne', c.key.used, missing)
  branchUnlessSame(c, tail, c.key.address, c.key.used, missing)
  execute(c, copy)
  b.place(missing)
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

/** An open directory that nobody but root and the caller can have filled, wherever it lies. */
export function requireTrusted(c: FrontContext, folder: Slot, untrusted: Label): void {
  look(c, folder, untrusted)
  requireFolder(c, untrusted)
  lookAbove(c, folder, untrusted)
}

/** No cache lies deeper than this. */
const mostLevels = 64

/** Looks at every directory above an open one. The root is the one that is above itself. */
function lookAbove(c: FrontContext, folder: Slot, missing: Label): void {
  const { b } = c
  const { stx_ino, stx_dev_major } = structs.statx.fields
  const [name, first, inode, device, before, beforeDevice] = Array.from({ length: 6 }, () => b.temporary()) as [
    Slot,
    Slot,
    Slot,
    Slot,
    Slot,
    Slot,
  ]
  const { buffer } = statusOf(c)
  const read = () => {
    b.load(inode, 64, buffer, stx_ino.offset)
    b.load(device, 64, buffer, stx_dev_major.offset)
  }
  read()
  const names = Array.from({ length: mostLevels }, () => '..').join('/')
  // Each name is the end of the next: "..", "../..", …
  b.move(first, b.text(names))
  b.compute(name, first, 'add', names.length - 2)
  b.loop(({ leave }) => {
    b.branch(name, 'lt', first, missing)
    b.move(before, inode)
    b.move(beforeDevice, device)
    c.attempt('statx', folder, name, 0, STATX.BASIC_STATS, buffer)
    c.onFailure(missing)
    readStatus(c, missing)
    requireFolder(c, missing)
    read()
    b.compute(name, name, 'sub', 3)
    b.when(inode, 'eq', before, () => b.when(device, 'eq', beforeDevice, leave))
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
