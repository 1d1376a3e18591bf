/**
 * A program that mounts something of the host into a sandbox that runs, or takes that away again: one short process, the same for all
 * sandboxes. It comes by what the monitor of a living sandbox holds (plan/handles.ts), and adds nothing to it.
 *
 * How this file thinks. What is mounted has to be cloned where the host's files are, and put where the sandbox's are. The process joins the
 * sandbox's user namespace, which gives it the right to mount, and makes a mount namespace there: a copy of what its caller sees. It
 * clones the source in that one, restricts the clone, joins the sandbox's mount namespace, and puts the clone at its place. It stays in
 * the caller's pid namespace, so that no payload can see, signal or trace it, or execute it again.
 *
 * Neither path is followed through a symbolic link, by openat2(2): a payload may have planted one in whatever it can write, on either
 * side, and may exchange it at any moment. The place is walked name by name, and each name is looked up in a directory that is held open.
 */
import { StrictAssembler } from '../assembly/strictAssembler.js'
import { decimal, requireSameText } from '../assembly/text.js'
import type { Architecture } from '../kernel/architecture.js'
import { errno } from '../kernel/errno.js'
import {
  AT,
  CLONE,
  MNT,
  MOUNT_ATTR,
  MOVE_MOUNT,
  MS,
  OPEN_TREE,
  PR,
  RESOLVE,
  S_IF,
  STATX,
  SUPER_MAGIC,
} from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address, Label, Operand, Program, Slot } from '../machine/instruction.js'
import { namespaceHandles } from '../plan/handles.js'
import { openHandle, openMonitor, statSize } from './entering.js'
import { type MountCall, mountAnswer, mountCall, mountStages } from './mountCall.js'
import { fileKind, requireSame, statusBuffer } from './openFiles.js'

/** R_OK of `unistd.h`. */
const readable = 4
const newFile = 0o644
const newDirectory = 0o755

export class Mounter extends StrictAssembler {
  readonly #stage = this.b.variable()

  /** A failure from here on is of this stage. */
  begin(stage: keyof typeof mountStages): void {
    this.b.move(this.#stage, mountStages[stage].number)
  }

  answer(kind: Operand, value: Operand): void {
    const answer = this.b.reserve(mountAnswer.size)
    this.b.store(64, answer, 0, kind)
    this.b.store(64, answer, 8, value)
    this.attempt('write', 1, answer, mountAnswer.size)
  }

  /** The same; a full disk is a failure. */
  mustAnswer(kind: number, value: Operand): void {
    this.answer(kind, value)
    this.orFail()
    this.b.when(this.result, 'ne', mountAnswer.size, () => this.failWith('ENOSPC'))
  }

  /** @param undo what was done, and is not to stay */
  emitFailure(undo: () => void = () => {}): void {
    const { b } = this
    const error = b.temporary()
    b.place(this.fail)
    b.compute(error, 0, 'sub', this.result)
    undo()
    this.answer(this.#stage, error)
    this.exit(1)
  }

  /** A way of openat2(2), for the name only. */
  way(resolve: number): Address {
    return this.b.bytes(pack(structs.open_how, { flags: this.open.PATH | this.open.CLOEXEC, resolve }), 8)
  }

  /** The word that this process was started with at this place. */
  word(index: number): Slot {
    const word = this.b.temporary()
    this.b.load(word, 64, this.stack, 8 * (1 + index))
    return word
  }
}

/** The program, for any sandbox: mountCall.ts has its words and its answers. */
export function mounter(architecture: Architecture): Program {
  const c = new Mounter(architecture)
  const { b } = c
  const [user, mounts, tree, status] = b.temporaries(4)
  b.entry(c.stack)
  c.begin('find')
  const monitor = openMonitor(c, b.reserve(statSize + 8))
  whenAsked(c, 'ownUser', () => openHandle(c, monitor, user, namespaceHandles.user))
  openHandle(c, monitor, mounts, namespaceHandles.mount)
  c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  c.must('umask', 0)
  const join = () => {
    whenAsked(c, 'ownUser', () => c.must('setns', user, CLONE.NEWUSER))
  }
  whenAsked(
    c,
    'removes',
    () => {
      // By the caller's /proc: that of the sandbox does not have this process, and umount2(2) takes only a path.
      b.move(status, c.must('openat', AT.FDCWD, b.text('/proc/self/fd'), c.open.RDONLY | c.open.DIRECTORY, 0))
      c.begin('join')
      join()
      c.must('setns', mounts, CLONE.NEWNS)
      unmount(c, status)
    },
    () => {
      cloneSource(c, tree, join)
      c.begin('join')
      c.must('setns', mounts, CLONE.NEWNS)
      attach(c, tree)
    },
  )
  c.exit(0)
  c.emitFailure()
  return b.finish()
}

/** What the word of switches says, a digit for each. */
function whenAsked(c: Mounter, name: MountCall, then: () => void, otherwise?: () => void): void {
  const digit = c.b.temporary()
  c.b.load(digit, 8, c.word(mountCall.switches), mountCall.order.indexOf(name))
  c.b.when(digit, 'eq', 0x31, then, otherwise)
}

/**
 * Leaves the clone of the source in `tree`, restricted. First it is looked up with no more than the caller's own rights: in the user
 * namespace of the sandbox this process may read whatever belongs to a user of that.
 */
function cloneSource(c: Mounter, tree: Slot, join: () => void): void {
  const { b } = c
  const found = openSourceInside(c, mountCall.subject, join)
  // A mount namespace of a lesser user keeps what lies on a mount where it is, mount_namespaces(7): all of it, or EINVAL.
  const all = AT.EMPTY_PATH | AT.RECURSIVE
  b.move(tree, c.must('open_tree', found, b.text(''), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | all))
  const { size, fields } = structs.mount_attr
  const attributes = b.reserve(size, 8)
  const set = b.temporary()
  b.move(set, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.RDONLY)
  whenAsked(c, 'writable', () => b.move(set, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV))
  b.store(64, attributes, fields.attr_set.offset, set)
  b.store(64, attributes, fields.propagation.offset, MS.PRIVATE)
  c.must('mount_setattr', tree, b.text(''), all, attributes, size)
}

/** Joins, makes a mount namespace, and opens there what the word names; it may be where its caller may read it. */
export function openSourceInside(c: Mounter, word: number, join: () => void): Slot {
  const { b } = c
  const [callers, found] = b.temporaries(2)
  const way = c.way(RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS)
  const path = c.word(word)
  c.begin('source')
  b.move(callers, c.must('openat2', AT.FDCWD, path, way, structs.open_how.size))
  c.must('faccessat2', callers, b.text(''), readable, AT.EMPTY_PATH | AT.EACCESS)
  c.begin('join')
  join()
  c.must('unshare', CLONE.NEWNS)
  c.begin('clone')
  b.move(found, c.must('openat2', AT.FDCWD, path, way, structs.open_how.size))
  const [exchanged, same] = [b.label(), b.label()]
  requireSame(c, [{ fd: callers }, { fd: found }], { different: exchanged })
  b.jump(same)
  b.place(exchanged)
  c.failWith('ESTALE')
  b.place(same)
  return found
}

/** Puts the tree at its place, which is made if it is not there, and tells which mount it is before that. */
function attach(c: Mounter, tree: Slot): void {
  const { b } = c
  const [kind, found, id] = b.temporaries(3)
  b.move(kind, fileKind(c, tree))
  c.orFail()
  const place = walkTo(c, kind)
  c.begin('place')
  refuseKernels(c, place)
  b.move(found, fileKind(c, place))
  c.orFail()
  // move_mount(2) has EINVAL for either.
  b.when(kind, 'eq', S_IF.DIR, () => b.when(found, 'ne', S_IF.DIR, () => c.failWith('ENOTDIR')))
  b.when(kind, 'ne', S_IF.DIR, () => b.when(found, 'eq', S_IF.DIR, () => c.failWith('EISDIR')))
  mountOf(c, tree, id)
  c.begin('record')
  c.mustAnswer(mountAnswer.mount, id)
  c.begin('attach')
  const byDescriptors = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH
  c.must('move_mount', tree, b.text(''), place, b.text(''), byDescriptors)
  c.answer(mountAnswer.done, 0)
}

/** Takes away the mount at the place, if it is still the one that is meant. `descriptors`: the caller's /proc/self/fd. */
function unmount(c: Mounter, descriptors: Operand): void {
  const place = walkTo(c, undefined)
  requireMount(c, place, mountCall.subject)
  detach(c, place, descriptors)
}

/** Fails unless the place lies in the mount whose number the word is. */
export function requireMount(c: Mounter, place: Operand, word: number): void {
  const { b } = c
  const [id, text, given, cursor] = b.temporaries(4)
  const [other, same] = [b.label(), b.label()]
  c.begin('place')
  mountOf(c, place, id)
  const digits = b.reserve(32)
  b.move(cursor, digits)
  decimal(b, cursor, id)
  b.move(text, digits)
  b.move(given, c.word(word))
  requireSameText(b, text, given, other)
  b.jump(same)
  b.place(other)
  c.failWith('ESTALE')
  b.place(same)
}

/** Takes away the mount that the descriptor is the root of. `descriptors`: the caller's /proc/self/fd. */
export function detach(c: Mounter, place: Operand, descriptors: Operand): void {
  const { b } = c
  const [name, cursor] = b.temporaries(2)
  c.begin('detach')
  c.must('fchdir', descriptors)
  const digits = b.reserve(32)
  b.move(cursor, digits)
  decimal(b, cursor, place)
  b.move(name, digits)
  c.must('umount2', name, MNT.DETACH)
}

/** Leaves in `id` the number of the mount that a file lies in. */
export function mountOf(c: Mounter, file: Operand, id: Slot): void {
  const { b } = c
  c.must('statx', file, b.text(''), AT.EMPTY_PATH, STATX.MNT_ID, statusBuffer(c))
  b.load(id, 64, statusBuffer(c), structs.statx.fields.stx_mnt_id.offset)
}

/** Nothing is mounted on what shows the kernel, wherever a payload moved it to: the caller has looked where it lies. */
function refuseKernels(c: Mounter, place: Operand): void {
  const { b } = c
  const type = b.temporary()
  c.must('fstatfs', place, statusBuffer(c))
  b.load(type, 64, statusBuffer(c), structs.statfs.fields.f_type.offset)
  for (const magic of [SUPER_MAGIC.PROC, SUPER_MAGIC.SYSFS]) b.when(type, 'eq', magic, () => c.failWith('EPERM'))
}

/**
 * Opens the place whose names the last words are, one by one. `names`: the number of the first.
 * @param kind of what is to lie there, of S_IF: what is missing is made, directories and an empty file. Undefined: nothing is made.
 */
export function walkTo(c: Mounter, kind: Slot | undefined, names: number = mountCall.names): Slot {
  const { b } = c
  const way = c.way(RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS)
  const [at, directory, next, name, following, root] = b.temporaries(6)
  const look = () => {
    c.attempt('openat2', directory, name, way, structs.open_how.size)
  }
  c.begin('walk')
  b.move(directory, c.must('openat', AT.FDCWD, b.text('/'), c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0))
  mountOf(c, directory, root)
  b.compute(at, c.stack, 'add', 8 * (1 + names))
  b.loop(({ leave }) => {
    b.load(name, 64, at)
    b.when(name, 'eq', 0, leave)
    b.load(following, 64, at, 8)
    look()
    if (kind !== undefined)
      c.whenError('ENOENT', () => {
        make(c, { directory, name, root, kind, isLast: following })
        look()
      })
    c.orFail()
    b.move(next, c.result)
    c.attempt('close', directory)
    b.move(directory, next)
    b.compute(at, at, 'add', 8)
  })
  return directory
}

interface Making {
  readonly directory: Slot
  readonly name: Slot
  /** The number of the root's mount. */
  readonly root: Slot
  readonly kind: Slot
  /** 0: it is. */
  readonly isLast: Slot
}

/**
 * Makes what is missing. Where the sandbox's root is a read-only filesystem of its own, by a clone of its mount that may be written, and is
 * seen by no other process. Any other read-only mount may show the host, where nothing is to be made.
 */
function make(c: Mounter, making: Making): void {
  const { b } = c
  const [id, clone] = b.temporaries(2)
  const made = b.label()
  makeIn(c, making.directory, making)
  b.branch(c.result, 'eq', 0, made)
  c.whenError('EEXIST', () => b.jump(made))
  c.whenError('EROFS', () =>
    whenAsked(c, 'ownRoot', () => {
      mountOf(c, making.directory, id)
      b.when(id, 'eq', making.root, () => {
        const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH
        b.move(clone, c.must('open_tree', making.directory, b.text(''), flags))
        const writable = b.bytes(pack(structs.mount_attr, { attr_clr: MOUNT_ATTR.RDONLY }), 8)
        c.must('mount_setattr', clone, b.text(''), AT.EMPTY_PATH, writable, structs.mount_attr.size)
        makeIn(c, clone, making)
        c.whenError('EEXIST', () => b.move(c.result, 0))
        c.orFail()
        c.attempt('close', clone)
        b.jump(made)
      })
      b.move(c.result, -errno.EROFS)
    }),
  )
  b.jump(c.fail)
  b.place(made)
}

function makeIn(c: Mounter, directory: Operand, { name, kind, isLast }: Making): void {
  const { b } = c
  const [file, end]: [Label, Label] = [b.label(), b.label()]
  b.when(isLast, 'eq', 0, () => b.branch(kind, 'ne', S_IF.DIR, file))
  c.attempt('mkdirat', directory, name, newDirectory)
  b.jump(end)
  b.place(file)
  c.attempt('mknodat', directory, name, S_IF.REG | newFile, 0)
  b.place(end)
}
