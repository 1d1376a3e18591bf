/**
 * How a living sandbox is found by what enters it: the first arguments are the place of its monitor in /proc, and when that was started.
 * The kernel gives a pid to another process later; but an open directory of /proc stays that of the one process, or of none.
 */
import type { StrictAssembler } from '../assembly/strictAssembler.js'
import { requireSameText } from '../assembly/text.js'
import { AT, PR, SUPER_MAGIC } from '../kernel/flags.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { requireFilesystem } from './openFiles.js'
import { awaitAcknowledgement } from './pipeCode.js'

/** How many of the vial's arguments say which sandbox is meant. */
export const targetArguments = 2

/** The field of proc_pid_stat(5) that says when a process was started, and that which is the first behind its name. */
const [startTime, behindName] = [22, 3]

export const enteringCode = {
  findSandbox(c: LauncherContext, step: Step<'findSandbox'>): void {
    const { b } = c
    const file = b.temporary()
    const monitor = openMonitor(c, c.scratch)
    for (const { fd, writes } of step.handles) {
      // A FIFO would wait for its other end.
      const mode = (writes ? c.open.WRONLY : c.open.RDONLY) | c.open.NONBLOCK
      b.move(file, c.must('openat', monitor, b.text(`fd/${fd}`), mode | c.open.CLOEXEC, 0))
      c.must('dup3', file, fd, c.open.CLOEXEC)
      c.attempt('close', file)
    }
    c.attempt('close', monitor)
    // The caller opens its ends of the pipes before the next line.
    awaitAcknowledgement(c)
    // Before it is in there, and in what it clones: what is inside may not look at it, CVE-2016-9962.
    c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  },
}

/** How much of a file of /proc is read. */
export const statSize = 1024

/** Opens the place of the monitor that the first arguments name, and fails where it is no longer that one. `text`: room for {@link statSize}. */
export function openMonitor(c: StrictAssembler, text: Operand): Slot {
  const { b } = c
  const [monitor, place] = b.temporaries(2)
  b.load(place, 64, c.stack, 16)
  b.move(monitor, c.must('openat', AT.FDCWD, place, c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0))
  // A directory of any other kind could name the caller's own namespaces: what enters these is where it was.
  requireFilesystem(c, monitor, [SUPER_MAGIC.PROC], 'ENOENT')
  requireStartTime(c, monitor, text)
  return monitor
}

/** Opens a descriptor of its, for reading. */
export function openHandle(c: StrictAssembler, monitor: Operand, to: Slot, fd: number): void {
  // A FIFO would wait for its other end.
  c.b.move(to, c.must('openat', monitor, c.b.text(`fd/${fd}`), c.open.RDONLY | c.open.NONBLOCK | c.open.CLOEXEC, 0))
}

/** ENOENT where the process is another than the one that is meant. */
function requireStartTime(c: StrictAssembler, monitor: Operand, text: Operand): void {
  const { b } = c
  const [file, at, end] = b.temporaries(3)
  const other = b.label()
  b.move(file, c.must('openat', monitor, b.text('stat'), c.open.RDONLY | c.open.CLOEXEC, 0))
  c.must('read', file, text, statSize)
  b.compute(end, text, 'add', c.result)
  b.store(8, end, 0, 0)
  c.attempt('close', file)
  findField(c, text, end, at)
  const given = b.temporary()
  b.load(given, 64, c.stack, 24)
  requireSameText(b, at, given, other)
  const same = b.label()
  b.jump(same)
  b.place(other)
  c.failWith('ENOENT')
  b.place(same)
}

/** Leaves in `at` the field as a text. The name before it may hold anything: the last parenthesis ends it. */
function findField(c: StrictAssembler, text: Operand, end: Slot, at: Slot): void {
  const { b } = c
  const [byte, left] = b.temporaries(2)
  const [parenthesis, space] = [0x29, 0x20]
  b.move(at, end)
  b.loop(({ leave }) => {
    b.compute(at, at, 'sub', 1)
    b.when(at, 'le', text, leave)
    b.load(byte, 8, at)
    b.when(byte, 'eq', parenthesis, leave)
  })
  b.move(left, startTime - behindName + 1)
  const toSpaceOrEnd = () =>
    b.loop(({ leave }) => {
      b.load(byte, 8, at)
      b.when(byte, 'eq', 0, leave)
      b.when(byte, 'eq', space, leave)
      b.compute(at, at, 'add', 1)
    })
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    toSpaceOrEnd()
    b.when(byte, 'eq', space, () => b.compute(at, at, 'add', 1))
    b.compute(left, left, 'sub', 1)
  })
  const field = b.temporary()
  b.move(field, at)
  toSpaceOrEnd()
  b.store(8, at, 0, 0)
  b.move(at, field)
}
