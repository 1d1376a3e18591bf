/**
 * Code that finds a vial in the cache and executes it, if only the caller or root can have put it there.
 *
 * The path is resolved once. The directory that it led to, the file and the file's content are looked at through the
 * descriptors that are then used; what lies above, as in lookAbove.ts.
 */
import { routine } from '../assembly/routine.js'
import { copyText } from '../assembly/text.js'
import { AT } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import { cachePlaces, frontDirectory, trusted } from './format.js'
import type { FrontContext } from './frontContext.js'
import { look, lookAbove } from './lookAbove.js'
import { copyForExecution, execute } from './sealedVial.js'

/** PATH_MAX, and room for what is put behind. */
const longestPath = 4096
const usualKey = 2 ** 15
const slash = 0x2f

/** Executes the vial with this key, or comes back. */
export function lookUp(c: FrontContext): void {
  lookUpKey(c, {})
}

const lookUpKey = routine('lookUp', {}, (c: FrontContext) => {
  const { b } = c
  const missing = b.label()
  const [directory, file, copy, tail, size, offset] = b.temporaries(6)
  const path = cachePath(c, missing)
  const { CLOEXEC, DIRECTORY, NOFOLLOW, NONBLOCK, PATH, RDONLY } = c.open
  b.move(directory, c.attempt('openat', AT.FDCWD, path, PATH | DIRECTORY | NOFOLLOW | CLOEXEC, 0))
  c.onFailure(missing)
  const status = look(c, directory, missing)
  b.branch(status.uid, 'ne', c.ids.euid, missing)
  b.compute(status.mode, status.mode, 'and', trusted.writers.any)
  b.branch(status.mode, 'ne', 0, missing)
  lookAbove(c, directory, missing)

  b.move(file, c.attempt('openat', directory, c.key.name, RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC, 0))
  c.onFailure(missing)
  look(c, file, missing)
  b.branch(status.uid, 'ne', c.ids.euid, missing)
  b.branch(status.mode, 'ne', trusted.vial.mode, missing)
  b.branch(status.links, 'ne', trusted.vial.links, missing)
  b.load(size, 64, status.buffer, structs.statx.fields.stx_size.offset)
  b.branch(size, 'lt', c.key.used, missing)
  b.compute(offset, size, 'sub', c.key.used)

  // The key is compared in the very bytes that are then executed.
  copyForExecution(c, { source: file, size, directory, to: copy }, missing)
  b.move(tail, b.reserve(usualKey, 16))
  b.when(c.key.used, 'gt', usualKey, () => c.allocate(tail, c.key.used))
  c.attempt('pread64', copy, tail, c.key.used, offset)
  b.branch(c.result, 'ne', c.key.used, missing)
  branchUnlessSame(c, tail, c.key.address, c.key.used, missing)
  execute(c, copy)
  b.place(missing)
})

/** The directory of the front's vials. */
function cachePath(c: FrontContext, missing: Label) {
  const { b } = c
  const path = b.reserve(longestPath + 64)
  const [cursor, value, byte] = b.temporaries(3)
  const chosen = b.label()
  b.move(cursor, path)
  for (const { variable, any, below } of cachePlaces) {
    const given = c.variables[variable]
    b.when(given, 'ne', 0, () => {
      b.compute(value, given, 'add', variable.length + 1)
      b.load(byte, 8, value)
      b.when(byte, any ? 'ne' : 'eq', any ? 0 : slash, () => {
        copyPath(c, cursor, value, path, missing)
        copyText(b, cursor, b.text(`${below}/${frontDirectory}`))
        b.jump(chosen)
      })
    })
  }
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

/** Compares `length` bytes, a multiple of 8. */
function branchUnlessSame(c: FrontContext, left: Operand, right: Operand, length: Operand, different: Label): void {
  const { b } = c
  const [one, other, here, there, end] = b.temporaries(5)
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
