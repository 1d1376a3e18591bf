/** Open files: what they are, and what is written into them. */
import { AT, S_IF, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { type LauncherContext, scratchSize } from './context.js'

/** What an open file is, of S_IF; the result is that of statx(2). */
export function fileKind(c: LauncherContext, file: Operand): Slot {
  const { b } = c
  const [fd, kind] = [b.slot('kind.fd'), b.slot('kind')]
  b.move(fd, file)
  b.call(
    b.routine('fileKind', () => {
      const status = statusBuffer(c)
      c.attempt('statx', fd, b.text(''), AT.EMPTY_PATH, STATX.TYPE, status)
      b.load(kind, 32, status, structs.statx.fields.stx_mode.offset)
      b.compute(kind, kind, 'and', S_IF.MT)
    }),
  )
  return kind
}

const statusBuffers = new WeakMap<LauncherContext, Address>()
/** A struct statx that nobody needs for long. */
export function statusBuffer(c: LauncherContext): Address {
  const known = statusBuffers.get(c) ?? c.b.reserve(structs.statx.size, 8)
  statusBuffers.set(c, known)
  return known
}

export function fill(c: LauncherContext, file: Slot, content: Uint8Array | number): void {
  if (typeof content === 'number') copyFrom(c, content, file)
  else if (content.length > 0) writeAll(c, file, c.b.bytes(content), content.length)
}

export function writeAll(c: LauncherContext, to: Slot, from: Operand, length: Operand): void {
  const { b } = c
  const cursor = b.slot('write.cursor')
  const left = b.slot('write.left')
  b.move(cursor, from)
  b.move(left, length)
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    c.must('write', to, cursor, left)
    b.compute(cursor, cursor, 'add', c.result)
    b.compute(left, left, 'sub', c.result)
  })
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
