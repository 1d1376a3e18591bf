/**
 * A program that works on the files of a sandbox that runs, for a caller outside: it is started at first use, and serves requests that come on
 * its standard input until that ends (filesCall.ts). It comes in by what the monitor of a living sandbox holds, and adds nothing to it.
 *
 * How this file thinks. Whatever is named inside may be a trap of the payload's: a link to elsewhere, a FIFO that blocks, a device, an endless
 * file, a name that is exchanged between two looks. So the process joins the sandbox's mounts, in which no path leads outside; it becomes
 * the user that the payload is, without any capability, so that it may do no more than the payload could; and it stays in the caller's
 * pid namespace, and undumpable, so that no payload can see, signal or trace it, and /proc/self inside names nothing.
 *
 * A file is found in two steps. The directory is opened by openat2(2), whose links lead to places inside. The name in it is never followed, by
 * O_NOFOLLOW; it is opened with O_NONBLOCK, for a FIFO waits for its other end, and used if it is a regular file or a directory. Nothing is
 * written where the kernel is told something. What waits nevertheless, such as a filesystem of FUSE, holds this process alone: the
 * caller kills it after a time.
 *
 * A request that fails goes to `fail`, with the error in `result`, and is answered with it. So no routine may fail: it would
 * leave its return address on the stack.
 */
import type { Architecture } from '../kernel/architecture.js'
import { AT, IN, PR, RENAME, RESOLVE, S_IF } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { structs } from '../kernel/structs.js'
import type { Address, Operand, Program } from '../machine/instruction.js'
import { openMonitor, statSize } from './entering.js'
import { Filer, ofName, refuseKernels } from './filesAssembler.js'
import { type FilesOperation, filesAnswer, filesFlags, numberOf } from './filesCall.js'
import { field, receiveData, receiveRequest, text } from './filesInput.js'
import { answer, answerNumbers, flush, sendChanges, sendEntry, sendFile } from './filesOutput.js'
import { removeTree, sendDirectory, sendTree } from './filesTree.js'
import { becomeInside, type InsideIdentity } from './inside.js'
import { fileKind, requireSame } from './openFiles.js'

export function filer(architecture: Architecture, asked: InsideIdentity): Program {
  const c = new Filer(architecture)
  const { b } = c
  const next = b.label()
  b.entry(c.stack)
  enter(c, asked)
  b.place(next)
  serve(c)
  b.move(c.result, 0)
  b.place(c.fail)
  b.when(c.serves, 'eq', 0, () => {
    answerNumbers(c, filesAnswer.failed, [c.result])
    flush(c, {})
    c.exit(1)
  })
  const outcome = b.temporary()
  b.move(outcome, c.result)
  for (const fd of [c.directory, c.other, c.file]) b.when(fd, 'ne', -1, () => c.attempt('close', fd))
  // What is written of a request that failed before is not taken for the next one.
  receiveData(c, { to: -1, status: outcome })
  answer(c, { kind: filesAnswer.end, status: outcome })
  b.jump(next)
  return b.finish()
}

function enter(c: Filer, identity: InsideIdentity): void {
  const { b } = c
  const monitor = openMonitor(c, b.reserve(statSize + 8))
  c.must('umask', 0)
  becomeInside(c, monitor, identity)
  // Behind other ids, which take it away: PR_SET_PDEATHSIG(2const).
  c.must('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
  b.move(c.root, c.must('openat', AT.FDCWD, b.text('/'), c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0))
  c.attempt('close', monitor)
  b.move(c.serves, 1)
  answerNumbers(c, filesAnswer.ready, [])
}

/** Does one request. */
function serve(c: Filer): void {
  const { b } = c
  for (const fd of [c.directory, c.other, c.file]) b.move(fd, -1)
  receiveRequest(c, {})
  const inRoot = c.how(c.open.PATH | c.open.DIRECTORY, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
  c.openBy(c.directory, c.root, text(c, 'directory'), inRoot)
  const done = b.label()
  const operation = b.temporary()
  b.move(operation, field(c, 'operation'))
  for (const [name, does] of Object.entries(operations))
    b.when(operation, 'eq', numberOf(name as FilesOperation), () => {
      does(c, inRoot)
      b.jump(done)
    })
  c.failWith('ENOSYS')
  b.place(done)
}

const operations: Readonly<Record<FilesOperation, (c: Filer, inRoot: Address) => void>> = {
  read(c) {
    openForReading(c)
    const { status } = sendFile(c, { file: c.file, most: field(c, 'limit') })
    c.fails(status)
  },

  write(c) {
    openForWriting(c, c.directory, text(c, 'name'))
    receiveData(c, { to: c.file, status: 0 })
    c.onFailure(c.fail)
  },

  list(c) {
    c.openBy(c.file, c.directory, text(c, 'name'), c.how(c.open.RDONLY | c.open.DIRECTORY | c.careful, ofName))
    sendDirectory(c)
  },

  stat(c) {
    const { status } = sendEntry(c, { directory: c.directory, name: text(c, 'name'), path: text(c, 'name') })
    c.fails(status)
  },

  tree(c) {
    c.openBy(c.file, c.directory, text(c, 'name'), c.how(c.open.RDONLY | c.open.DIRECTORY | c.careful, ofName))
    sendTree(c)
  },

  mkdir(c) {
    refuseKernels(c, c.directory)
    c.must('mkdirat', c.directory, text(c, 'name'), field(c, 'mode'))
  },

  rename(c, inRoot) {
    const flags = c.b.temporary()
    c.openBy(c.other, c.root, text(c, 'toDirectory'), inRoot)
    for (const directory of [c.directory, c.other]) refuseKernels(c, directory)
    c.b.move(flags, 0)
    whenFlag(c, 'exclusive', () => c.b.move(flags, RENAME.NOREPLACE))
    c.must('renameat2', c.directory, text(c, 'name'), c.other, text(c, 'to'), flags)
  },

  remove(c) {
    const { b } = c
    const gone = b.label()
    refuseKernels(c, c.directory)
    c.attempt('unlinkat', c.directory, text(c, 'name'), 0)
    b.branch(c.result, 'eq', 0, gone)
    c.whenError('EISDIR', () => {
      whenFlag(c, 'recursive', () => removeTree(c))
      c.attempt('unlinkat', c.directory, text(c, 'name'), AT.REMOVEDIR)
    })
    c.onFailure(c.fail)
    b.place(gone)
  },

  copy(c, inRoot) {
    const { b } = c
    const [source, left] = b.temporaries(2)
    openForReading(c)
    b.move(source, c.file)
    b.move(left, field(c, 'limit'))
    c.openBy(c.other, c.root, text(c, 'toDirectory'), inRoot)
    // From here on the source is closed in place of its directory.
    c.attempt('close', c.directory)
    b.move(c.directory, source)
    b.move(c.file, -1)
    openForWriting(c, c.other, text(c, 'to'), () => {
      const different = b.label()
      requireSame(c, [{ fd: c.file }, { fd: c.directory }], { different })
      c.failWith('EEXIST')
      b.place(different)
    })
    b.loop(({ leave }) => {
      c.must('sendfile', c.file, c.directory, 0, copied)
      b.when(c.result, 'eq', 0, leave)
      b.when(c.result, 'gt', left, () => c.failWith('EFBIG'))
      b.compute(left, left, 'sub', c.result)
    })
  },

  symlink(c) {
    refuseKernels(c, c.directory)
    c.must('symlinkat', text(c, 'to'), c.directory, text(c, 'name'))
  },

  watch(c) {
    c.openBy(c.file, c.directory, text(c, 'name'), c.how(c.open.RDONLY | c.open.DIRECTORY | c.careful, ofName))
    // inotify_add_watch(2) takes no descriptor of a directory, and a path might lead to another one by now.
    c.must('fchdir', c.file)
    c.b.move(c.other, c.must('inotify_init1', c.open.CLOEXEC))
    c.must('inotify_add_watch', c.other, c.b.text('.'), watched)
    // Who has it open, or is in it, would keep it from being gone when it is removed.
    c.must('fchdir', c.root)
    for (const fd of [c.file, c.directory]) {
      c.attempt('close', fd)
      c.b.move(fd, -1)
    }
    sendChanges(c, c.other)
  },
}

const watched =
  IN.MODIFY |
  IN.ATTRIB |
  IN.MOVED_FROM |
  IN.MOVED_TO |
  IN.CREATE |
  IN.DELETE |
  IN.DELETE_SELF |
  IN.MOVE_SELF |
  IN.ONLYDIR

/** By one call: what is copied more than allowed is at most this. */
const copied = 1 << 20

function openForReading(c: Filer): void {
  c.openBy(c.file, c.directory, text(c, 'name'), c.how(c.open.RDONLY | c.careful, ofName))
  requireRegular(c)
}

/** Nothing of it is lost before it is known to be a regular file, and `look` has not failed. */
function openForWriting(c: Filer, directory: Operand, name: Operand, look?: () => void): void {
  const { b } = c
  const { size, fields } = structs.open_how
  const how = b.reserve(size, 8)
  const flags = b.temporary()
  b.move(flags, c.open.WRONLY | c.open.CREAT | c.careful | c.open.CLOEXEC)
  whenFlag(c, 'append', () => b.compute(flags, flags, 'or', c.open.APPEND))
  whenFlag(c, 'exclusive', () => b.compute(flags, flags, 'or', c.open.EXCL))
  b.store(64, how, fields.flags.offset, flags)
  b.store(64, how, fields.mode.offset, field(c, 'mode'))
  b.store(64, how, fields.resolve.offset, ofName)
  refuseKernels(c, directory)
  c.openBy(c.file, directory, name, how)
  requireRegular(c)
  refuseKernels(c, c.file)
  look?.()
  const keeps = b.label()
  whenFlag(c, 'append', () => b.jump(keeps))
  c.must('ftruncate', c.file, 0)
  b.place(keeps)
}

function requireRegular(c: Filer): void {
  const { b } = c
  const kind = fileKind(c, c.file)
  c.onFailure(c.fail)
  b.when(kind, 'eq', S_IF.DIR, () => c.failWith('EISDIR'))
  b.when(kind, 'ne', S_IF.REG, () => c.failWith('EINVAL'))
}

function whenFlag(c: Filer, name: keyof typeof filesFlags, then: () => void): void {
  const flags = c.b.temporary()
  c.b.compute(flags, field(c, 'flags'), 'and', filesFlags[name])
  c.b.when(flags, 'ne', 0, then)
}
