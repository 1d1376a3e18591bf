/** Code for steps about file descriptors: closing, waiting, locking, and the seccomp filters that arrive by them. */
import { allocate } from '../assembly/memory.js'
import { routine } from '../assembly/routine.js'
import { variable, variableOf } from '../assembly/variables.js'
import { AT, CLOSE_RANGE, F, PR, SECCOMP } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { unpackFilter } from './packedFilter.js'

type Descriptors =
  | 'closeFds'
  | 'closeThese'
  | 'awaitRelease'
  | 'block'
  | 'lockFile'
  | 'readSeccomp'
  | 'seccomp'
  | 'filter'

const last = 0xffffffff

/** Init's end of a pipe, by which the monitor lets it go on. */
export const release = variable()

export const descriptorCode: Code<Descriptors> = {
  closeFds(c, step) {
    let first = 0
    for (const kept of step.keep) {
      if (kept > first) c.must('close_range', first, kept - 1, 0)
      first = kept + 1
    }
    c.must('close_range', first, last, 0)
    const { statusFd } = c.plan.start
    // Else the payload could write records of its own.
    if (statusFd !== undefined) c.must('close_range', statusFd, statusFd, CLOSE_RANGE.CLOEXEC)
  },

  closeThese(c, step) {
    for (const fd of step.fds) c.attempt('close', fd)
  },

  awaitRelease(c) {
    awaitByte(c, release(c.b))
  },

  block(c, step) {
    awaitByte(c, step.fd)
  },

  /** F_SETLK(2const): a read lock on the whole file, which lasts as long as the descriptor of this process. */
  lockFile(c, step) {
    const { b } = c
    const fd = b.variable()
    c.heldSlots.push(fd)
    b.move(fd, c.must('openat', AT.FDCWD, b.text(step.path), c.open.RDONLY | c.open.CLOEXEC, 0))
    c.complain(step, 1)
    const lock = new Uint8Array(32)
    c.must('fcntl', fd, F.SETLK, b.bytes(lock, 8))
  },

  readSeccomp(c, step) {
    for (const fd of step.fds) {
      const { address, length } = readAll(c, fd)
      c.b.move(filterOf(c.b, fd), address)
      c.b.move(sizeOf(c.b, fd), length)
      c.attempt('close', fd)
      const rest = c.b.temporary()
      c.b.compute(rest, length, 'and', 7)
      c.b.when(rest, 'ne', 0, () => {
        c.failWith('EINVAL')
      })
    }
  },

  seccomp(c, step) {
    for (const fd of step.fds) {
      const count = c.b.temporary()
      c.b.compute(count, sizeOf(c.b, fd), 'shr', 3)
      c.must('prctl', PR.SET_SECCOMP, SECCOMP.MODE_FILTER, filterProgram(c, filterOf(c.b, fd), count), 0, 0)
    }
  },

  filter(c, step) {
    const program = filterProgram(c, unpackFilter(c.b, step.program), step.program.length / structs.sock_filter.size)
    c.must('seccomp', SECCOMP.SET_MODE_FILTER, step.flags, program)
  },
}

/** A struct sock_fprog. */
function filterProgram(c: LauncherContext, filter: Operand, count: Operand): Address {
  const program = c.b.reserve(structs.sock_fprog.size)
  // The rest of the first word is padding.
  c.b.store(32, program, 0, count)
  c.b.store(64, program, structs.sock_fprog.fields.filter.offset, filter)
  return program
}

const [filterOf, sizeOf] = [variableOf<number>(), variableOf<number>()]

/** Waits for a byte or the end, and closes. */
function awaitByte(c: LauncherContext, fd: Operand): void {
  c.attempt('read', fd, c.b.reserve(1), 1)
  c.attempt('close', fd)
}

/** All that a descriptor gives, in memory of its own; at most 1 MiB, far more than a filter of BPF_MAXINSNS needs. */
function readAll(c: LauncherContext, fd: number): { address: Slot; length: Slot } {
  const { b } = c
  const most = 2 ** 20
  const [address, length, cursor, left] = [b.temporary(), b.temporary(), b.temporary(), b.temporary()]
  allocate(c, most)
  c.orFail()
  b.move(address, c.result)
  b.move(length, 0)
  b.loop(({ leave }) => {
    b.compute(cursor, address, 'add', length)
    b.compute(left, most, 'sub', length)
    b.when(left, 'eq', 0, leave)
    c.must('read', fd, cursor, left)
    b.when(c.result, 'eq', 0, leave)
    b.compute(length, length, 'add', c.result)
  })
  return { address, length }
}

/**
 * A caller may leave 0, 1 or 2 closed, as `<&-` of sh(1) does: what is opened next would get that number, and an error
 * sentence would go there. The library always gives all three.
 */
export function openStandardDescriptors(c: LauncherContext): void {
  c.begin({
    what: 'open /dev/null in place of a closed standard descriptor',
    why: 'no other file takes the number of standard input, output or error',
  })
  for (const fd of [0, 1, 2]) openStandard(c, { fd })
}

const openStandard = routine('openStandard', { takes: ['fd'] }, (c: LauncherContext, { fd }) => {
  c.attempt('fcntl', fd, F.GETFD, 0)
  c.whenError('EBADF', () => c.must('openat', AT.FDCWD, c.b.text('/dev/null'), c.open.RDWR, 0))
})

/** Keeps one end of a pipe in `slot`, and closes the other. */
export function keepEnd(c: LauncherContext, pipe: Address, end: 'read' | 'write', slot: Slot): void {
  const { b } = c
  const other = b.temporary()
  b.load(slot, 32, pipe, end === 'read' ? 0 : 4)
  b.load(other, 32, pipe, end === 'read' ? 4 : 0)
  c.attempt('close', other)
}

/** Closes every descriptor above 2 but these, whose order is known only at run time, as far as the kernel lets it. */
export function closeAllBut(c: LauncherContext, kept: readonly Operand[]): void {
  closeBetween(c, kept, (from, to) => c.attempt('close_range', from, to, 0))
}

/** The same where it must be so. */
export function requireAllClosedBut(c: LauncherContext, kept: readonly Operand[]): void {
  closeBetween(c, kept, (from, to) => c.must('close_range', from, to, 0))
}

function closeBetween(c: LauncherContext, kept: readonly Operand[], close: (from: Operand, to: Operand) => void): void {
  const { b } = c
  const [cursor, next, end] = [b.temporary(), b.temporary(), b.temporary()]
  b.move(cursor, 3)
  b.loop(({ leave }) => {
    b.move(next, last + 1)
    for (const fd of kept) {
      const skip = b.label()
      b.branch(fd, 'lt', cursor, skip)
      b.branch(fd, 'ge', next, skip)
      b.move(next, fd)
      b.place(skip)
    }
    b.compute(end, next, 'sub', 1)
    b.when(cursor, 'lt', next, () => close(cursor, end))
    b.when(next, 'gt', last, leave)
    b.compute(cursor, next, 'add', 1)
  })
}
