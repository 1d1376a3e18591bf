/**
 * Code that asks who can change what is to be executed. A directory is looked at through its descriptor, and all those above
 * it by its own "..", whatever links led there: so no name on the real way can be changed between the look and the use.
 */
import { own } from '../assembly/variables.js'
import { AT, S_IF, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import { trusted } from './format.js'
import type { FrontContext } from './frontContext.js'

/** Nothing of ours lies deeper than this. */
const mostLevels = 64

/** An open directory in which others than the trusted owners cannot replace anything, wherever it lies. */
export function requireTrusted(c: FrontContext, directory: Slot, missing: Label, refused: Operand): void {
  look(c, directory, missing)
  requireDirectory(c, missing, refused)
  lookAbove(c, directory, missing, refused)
}

/** Looks at every directory above an open one, at which `look` has just looked. The root is the one that is above itself. */
export function lookAbove(
  c: FrontContext,
  directory: Slot,
  missing: Label,
  refused: Operand = trusted.writers.any,
): void {
  const { b } = c
  const { stx_ino, stx_dev_major } = structs.statx.fields
  const [name, first, inode, device, before, beforeDevice] = b.temporaries(6)
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
    c.attempt('statx', directory, name, 0, STATX.BASIC_STATS, buffer)
    c.onFailure(missing)
    readStatus(c, missing)
    requireDirectory(c, missing, refused)
    read()
    b.compute(name, name, 'sub', 3)
    b.when(inode, 'eq', before, () => b.when(device, 'eq', beforeDevice, leave))
  })
}

export interface Status {
  readonly buffer: Operand
  readonly mode: Slot
  readonly uid: Slot
  readonly links: Slot
}

/** What was looked at last. */
const statusOf = own(({ b }: FrontContext): Status => {
  const [mode, uid, links] = b.temporaries(3)
  return { buffer: b.reserve(structs.statx.size, 8), mode, uid, links }
})

/** What a descriptor is. */
export function look(c: FrontContext, fd: Operand, missing: Label): Status {
  const status = statusOf(c)
  c.attempt('statx', fd, c.b.text(''), AT.EMPTY_PATH, STATX.BASIC_STATS, status.buffer)
  c.onFailure(missing)
  readStatus(c, missing)
  return status
}

/** Takes the status apart; what belongs neither to root nor to the caller, nor to {@link FrontContext.installer}, is not used. */
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
  b.branch(uid, 'eq', c.installer, trusted)
  b.branch(uid, 'eq', c.hostRoot, trusted)
  b.branch(uid, 'ne', c.ids.euid, missing)
  b.place(trusted)
}

/** A directory, just looked at, in which others cannot replace what the trusted owners have there. */
function requireDirectory(c: FrontContext, missing: Label, refused: Operand): void {
  const { b } = c
  const { mode } = statusOf(c)
  const bits = b.temporary()
  const safe = b.label()
  b.compute(bits, mode, 'and', S_IF.MT)
  b.branch(bits, 'ne', S_IF.DIR, missing)
  b.compute(bits, mode, 'and', refused)
  b.branch(bits, 'eq', 0, safe)
  b.compute(bits, mode, 'and', trusted.sticky)
  b.branch(bits, 'eq', 0, missing)
  b.place(safe)
}
