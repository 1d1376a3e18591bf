/** Becomes the same vial in memory that cannot be changed, before anything else is done: see assembly/sealed.ts. */
import { findEnvironment } from '../assembly/environment.js'
import { copySealed, executeDescriptor, whenSealed } from '../assembly/sealed.js'
import { auxv } from '../kernel/auxv.js'
import { AT, MFD, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { writeAll } from './openFiles.js'

/**
 * What has no name is sealed memory, as is this code in its second turn, or a file that was made to be executed once.
 * @param again what a payload executes instead that calls for /proc/self/exe: to it, that is what was started outside
 */
export function becomeSealed(c: LauncherContext, again?: Uint8Array): void {
  const { b } = c
  const [file, size, links, sealed, argv, envp] = b.temporaries(6)
  const status = b.reserve(structs.statx.size, 8)
  const fine = b.label()
  c.begin({
    what: 'run from sealed memory',
    why: 'the payload may look at what its processes execute, and must not be able to change it',
    hints: {
      EACCES: 'this host forbids to execute memory: sysctl vm.memfd_noexec is 2',
      ENOENT: 'there is no /proc here, in which a vial finds itself',
    },
  })
  const own = b.text('/proc/self/exe')
  c.must('statx', AT.FDCWD, own, 0, STATX.BASIC_STATS, status)
  b.load(links, 32, status, structs.statx.fields.stx_nlink.offset)
  // It is not opened: what enters a living sandbox may only be executed.
  b.branch(links, 'eq', 0, fine)
  b.load(size, 64, status, structs.statx.fields.stx_size.offset)
  b.move(file, c.must('openat', AT.FDCWD, own, c.open.RDONLY | c.open.CLOEXEC, 0))
  const opened = b.label()
  whenSealed(c, file, opened)
  copySealed(c, { source: file, size, to: sealed }, c.fail)
  findVectors(c, argv, envp)
  executeDescriptor(c, sealed, argv, envp)
  b.jump(c.fail)
  b.place(opened)
  c.attempt('close', file)
  b.place(fine)
  if (again !== undefined) becomeAgain(c, again)
}

/** The first word of a name in whole words of 4 bytes; `/proc/self/fd/` and `/dev/fd/` are how sealed memory is executed by us. */
const ourNames = ['/dev/fd/', '/proc/self/f']

/**
 * Sealed memory that is executed by any name but those of a descriptor is executed by the payload, as its own /proc/self/exe
 * or by a link to that: in place of this vial, which takes no options, it gets the program that the vial stands for. getauxval(3), AT_EXECFN.
 */
function becomeAgain(c: LauncherContext, program: Uint8Array): void {
  const { b } = c
  const [at, kind, name, word, file, argv, envp] = b.temporaries(7)
  const outer = b.label()
  findVectors(c, argv, envp)
  b.move(at, envp)
  b.loop(({ leave }) => {
    b.load(kind, 64, at)
    b.compute(at, at, 'add', 8)
    b.when(kind, 'eq', 0, leave)
  })
  b.loop(({ leave }) => {
    b.load(kind, 64, at)
    b.load(name, 64, at, 8)
    b.compute(at, at, 'add', 16)
    b.branch(kind, 'eq', auxv.NULL, outer)
    b.when(kind, 'eq', auxv.EXECFN, leave)
  })
  for (const ours of ourNames) {
    const other = b.label()
    const bytes = Buffer.from(ours)
    // Word by word: behind a shorter name the stack may end.
    for (let offset = 0; offset < bytes.length; offset += 4) {
      b.load(word, 32, name, offset)
      b.branch(word, 'ne', bytes.readInt32LE(offset), other)
    }
    b.jump(outer)
    b.place(other)
  }
  c.attempt('memfd_create', b.text('vial'), MFD.EXEC | MFD.CLOEXEC)
  c.whenError('EINVAL', () => c.attempt('memfd_create', b.text('vial'), MFD.CLOEXEC))
  c.orFail()
  b.move(file, c.result)
  writeAll(c, file, b.bytes(program), program.length)
  executeDescriptor(c, file, argv, envp)
  b.jump(c.fail)
  b.place(outer)
}

/** The arguments and the environment that this process was started with. */
function findVectors(c: LauncherContext, argv: Slot, envp: Slot): void {
  const { b } = c
  b.compute(argv, c.stack, 'add', 8)
  b.load(envp, 64, c.stack)
  findEnvironment(c, envp, envp)
}
