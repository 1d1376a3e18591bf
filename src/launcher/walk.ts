/**
 * openat2(2) where it is missing: the same walk, by system calls that any kernel has and no filter takes away. Kernels before
 * 5.6 lack it, gVisor does, and systemd's RestrictSUIDSGID= answers it with ENOSYS, for it could make a setuid file.
 *
 * Each name is opened by itself, from the descriptor of the directory before and without following it, and is then looked
 * at: a link's text is walked in place of its name. Descriptors of all directories on the way are kept, and ".." goes back
 * to the one before, never to what lies above it now: so a directory that is moved away meanwhile leads nowhere else.
 */
import { type ErrnoName, errno } from '../kernel/errno.js'
import { RESOLVE, S_IF, SUPER_MAGIC } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { fileKind, statusBuffer } from './openFiles.js'

/** path_resolution(7). */
const mostLinks = 40
/** Directories on the way, those that links lead through included. */
const deepest = 1024
const longestPath = 4096
const longestName = 255
/** `.` and `..`, as the first bytes of a 32-bit word. */
const [dot, dotdot] = [0x2e, 0x2e2e]
const slash = 0x2f

/**
 * Opens `wanted` from the directory `from`, for its name only, into `result`, which may be an error: as openat2(2) does with
 * the struct open_how at `way`. Of its flags, RESOLVE_IN_ROOT, BENEATH and NO_SYMLINKS are looked at, and NO_MAGICLINKS
 * always counts; of proc(5), which has them, no link at all is followed.
 */
export function walk(c: LauncherContext, from: Slot, wanted: Slot, way: Slot): void {
  const { b } = c
  const [flags, bit, next, byte, end, here, file] = b.temporaries(7)
  const name = b.reserve(longestName + 1)
  // The directories on the way, the first of which is not ours to close; `top` is the address of the last.
  const [directories, top] = [b.reserve(8 * deepest), b.temporary()]
  // What is still to be walked behind each link that is being walked; and the links' texts.
  const [rests, rest] = [b.reserve(8 * mostLinks), b.temporary()]
  const [texts, text] = [b.reserve(longestPath * mostLinks), b.temporary()]
  const [start, component, advance, finish] = [b.label(), b.label(), b.label(), b.label()]
  const fail = (error: ErrnoName) => {
    b.move(c.result, -errno[error])
    b.jump(finish)
  }
  const refuse = (flag: number, error: ErrnoName) => {
    b.compute(bit, flags, 'and', flag)
    b.when(bit, 'ne', 0, () => fail(error))
  }
  const closeLast = () => {
    b.load(here, 64, top)
    c.attempt('close', here)
    b.compute(top, top, 'sub', 8)
  }
  const closeAll = () =>
    b.loop(({ leave }) => {
      b.when(top, 'eq', directories, leave)
      closeLast()
    })

  b.load(flags, 64, way, structs.open_how.fields.resolve.offset)
  b.move(top, directories)
  b.store(64, top, 0, from)
  b.move(rest, rests)
  b.move(text, texts)
  b.move(next, wanted)

  b.place(start)
  b.load(byte, 8, next)
  b.when(byte, 'eq', slash, () => {
    refuse(RESOLVE.BENEATH, 'EXDEV')
    closeAll()
  })

  b.place(component)
  b.move(end, name)
  b.loop(({ leave }) => {
    b.load(byte, 8, next)
    b.compute(next, next, 'add', 1)
    b.when(byte, 'eq', slash, leave)
    b.when(byte, 'eq', 0, () => {
      b.move(next, 0)
      leave()
    })
    b.compute(bit, end, 'sub', name)
    b.when(bit, 'eq', longestName, () => fail('ENAMETOOLONG'))
    b.store(8, end, 0, byte)
    b.compute(end, end, 'add', 1)
  })
  // Between two slashes, or behind the last one: what is before must be a directory.
  b.when(end, 'eq', name, () => {
    b.store(8, end, 0, dot)
    b.compute(end, end, 'add', 1)
  })
  b.store(8, end, 0, 0)
  b.load(here, 64, top)
  c.attempt('openat', here, name, c.open.PATH | c.open.NOFOLLOW | c.open.CLOEXEC, 0)
  c.whenFailed(() => b.jump(finish))
  b.move(file, c.result)
  b.load(bit, 32, name)
  b.compute(byte, bit, 'and', 0xffff)
  b.when(byte, 'eq', dot, () => {
    c.attempt('close', file)
    b.jump(advance)
  })
  b.compute(byte, bit, 'and', 0xffffff)
  b.when(byte, 'eq', dotdot, () => {
    c.attempt('close', file)
    b.when(top, 'eq', directories, () => {
      refuse(RESOLVE.BENEATH, 'EXDEV')
      b.jump(advance)
    })
    closeLast()
    b.jump(advance)
  })
  b.compute(top, top, 'add', 8)
  b.store(64, top, 0, file)
  b.compute(bit, top, 'sub', directories)
  b.when(bit, 'eq', 8 * (deepest - 1), () => fail('ENAMETOOLONG'))
  const kind = fileKind(c, file)
  c.whenFailed(() => b.jump(finish))
  b.branch(kind, 'ne', S_IF.LNK, advance)
  refuse(RESOLVE.NO_SYMLINKS, 'ELOOP')
  c.attempt('fstatfs', file, statusBuffer(c))
  c.whenFailed(() => b.jump(finish))
  b.load(bit, 64, statusBuffer(c), structs.statfs.fields.f_type.offset)
  b.when(bit, 'eq', SUPER_MAGIC.PROC, () => fail('ELOOP'))
  b.compute(bit, text, 'sub', texts)
  b.when(bit, 'eq', longestPath * mostLinks, () => fail('ELOOP'))
  c.attempt('readlinkat', file, b.text(''), text, longestPath - 1)
  c.whenFailed(() => b.jump(finish))
  b.compute(end, text, 'add', c.result)
  b.store(8, end, 0, 0)
  closeLast()
  b.store(64, rest, 0, next)
  b.compute(rest, rest, 'add', 8)
  b.move(next, text)
  b.compute(text, text, 'add', longestPath)
  b.jump(start)

  b.place(advance)
  b.loop(({ leave }) => {
    b.branch(next, 'ne', 0, component)
    b.when(rest, 'eq', rests, leave)
    b.compute(rest, rest, 'sub', 8)
    b.load(next, 64, rest)
  })
  b.when(
    top,
    'eq',
    directories,
    () => c.attempt('openat', from, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0),
    () => {
      b.load(c.result, 64, top)
      b.compute(top, top, 'sub', 8)
    },
  )

  b.place(finish)
  b.move(file, c.result)
  closeAll()
  b.move(c.result, file)
}
