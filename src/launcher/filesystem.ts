/** Code for the steps that build the new root. Everything is addressed from the root's descriptor. */
import { dirname, basename } from 'node:path'
import {
  AT,
  FSCONFIG,
  FSMOUNT,
  FSOPEN,
  MNT,
  MOUNT_ATTR,
  MOVE_MOUNT,
  MS,
  OPEN_TREE,
  RESOLVE,
  S_IF,
  STATX,
  TIOC,
} from '../kernel/flags.js'
import { errno } from '../kernel/errno.js'
import { pack, structs } from '../kernel/structs.js'
import type { Routine } from '../machine/builder.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { MountFlags, Place, Step } from '../plan/step.js'
import { type LauncherContext, scratchSize } from './context.js'
import type { Word } from './rows.js'

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>
type Filesystem =
  | 'isolateMounts'
  | 'rootTmpfs'
  | 'rootBind'
  | 'mountFile'
  | 'chmod'
  | 'console'
  | 'overlay'
  | 'readonly'
  | 'sealRoot'
  | 'pivot'

const onEmptyPath = MOVE_MOUNT.F_EMPTY_PATH

export const filesystemCode: { [Kind in Filesystem]: (c: LauncherContext, step: StepOf<Kind>) => void } = {
  isolateMounts(c) {
    const attributes = c.b.bytes(pack(structs.mount_attr, { propagation: MS.PRIVATE }), 8)
    c.must('mount_setattr', AT.FDCWD, c.b.text('/'), AT.RECURSIVE, attributes, structs.mount_attr.size)
  },

  rootTmpfs(c, step) {
    const tree = newMount(c, 'tmpfs', step.options, { nosuid: true, nodev: true })
    attachRoot(c, tree)
  },

  rootBind(c, step) {
    const tree = c.b.slot('tree')
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (step.recursive ? AT.RECURSIVE : 0)
    if (typeof step.source === 'number') openDescriptor(c, step.source, c.b.text(descriptorName(step.source)), flags)
    else c.must('open_tree', AT.FDCWD, c.b.text(step.source), flags)
    c.b.move(tree, c.result)
    c.afterSource(step)
    restrict(c, tree, step.flags, step.recursive)
    attachRoot(c, tree)
  },

  mountFile(c, step) {
    const { b } = c
    const file = b.slot('file')
    const tree = b.slot('tree')
    inScratch(c, () => {
      const flags = c.open.WRONLY | c.open.CREAT | c.open.CLOEXEC
      b.move(file, c.must('openat', AT.FDCWD, b.text('file'), flags, step.mode))
      fill(c, file, step.content)
      c.must('fchmod', file, step.mode)
      c.attempt('close', file)
      b.move(tree, c.must('open_tree', AT.FDCWD, b.text('file'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
    })
    restrict(c, tree, step.flags, false)
    attach(c, step.place, 'same')
  },

  chmod(c, step) {
    const { b } = c
    const target = b.slot('target')
    b.move(target, resolve(c, b.text(step.place.path)))
    // fchmod(2) refuses an O_PATH descriptor, and its name in /proc leads to the very file.
    c.must('fchmodat', AT.FDCWD, descriptorPath(c, target), step.mode)
    c.attempt('close', target)
  },

  /** TIOCGWINSZ(2const) tells a terminal; the name of the descriptor in /proc is the device. */
  console(c, step) {
    const { b } = c
    const none = b.label()
    const path = c.scratch
    const tree = b.slot('tree')
    c.attempt('ioctl', 1, TIOC.GWINSZ, path)
    c.whenFailed(() => b.jump(none))
    c.attempt('readlinkat', AT.FDCWD, b.text('/proc/self/fd/1'), path, 4095)
    c.whenFailed(() => b.jump(none))
    b.compute(b.slot('end'), path, 'add', c.result)
    b.store(8, b.slot('end'), 0, 0)
    c.attempt('open_tree', AT.FDCWD, path, OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC)
    // A terminal of another mount namespace has no name here.
    c.whenFailed(() => b.jump(none))
    b.move(tree, c.result)
    restrict(c, tree, step.flags, false)
    attach(c, step.place, 'same')
    b.place(none)
  },

  /** Overlay goes through mount(2): its options may be longer than the 256 bytes that fsconfig(2) takes. */
  overlay(c, step) {
    const { b } = c
    const tree = b.slot('tree')
    const flags =
      (step.flags.nosuid ? MS.NOSUID : 0) | (step.flags.nodev ? MS.NODEV : 0) | (step.flags.readonly ? MS.RDONLY : 0)
    inScratch(c, () => {
      for (const name of ['m', 'upper', 'work']) c.must('mkdirat', AT.FDCWD, b.text(name), 0o755)
      c.must('mount', b.text('overlay'), b.text('m'), b.text('overlay'), flags, b.text(step.options))
      b.move(tree, c.must('open_tree', AT.FDCWD, b.text('m'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
    })
    if (step.place.path === '.') attachRoot(c, tree)
    else attach(c, step.place, 'directory')
  },

  readonly(c, step) {
    const { b } = c
    const tree = b.slot('tree')
    const target = b.slot('target')
    if (step.place.path === '.') {
      restrict(c, c.root, { readonly: true }, step.recursive)
      return
    }
    const done = b.label()
    if (step.only === 'writable') {
      tryResolve(c, b.text(step.place.path))
      c.whenError('ENOENT', () => b.jump(done))
      c.orFail()
      b.move(target, c.result)
      const mayWrite = 2
      c.attempt('faccessat', AT.FDCWD, descriptorPath(c, target), mayWrite)
      c.whenFailed(() => {
        c.attempt('close', target)
        b.jump(done)
      })
    } else b.move(target, resolve(c, b.text(step.place.path)))
    if (step.only === 'mount') {
      restrict(c, target, { readonly: true }, step.recursive)
      c.attempt('close', target)
      return
    }
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH | (step.recursive ? AT.RECURSIVE : 0)
    b.move(tree, c.must('open_tree', target, b.text(''), flags))
    restrict(c, tree, { readonly: true }, step.recursive)
    c.must('move_mount', tree, b.text(''), target, b.text(''), onEmptyPath | MOVE_MOUNT.T_EMPTY_PATH)
    c.attempt('close', tree)
    c.attempt('close', target)
    b.place(done)
  },

  sealRoot(c) {
    restrict(c, c.root, { readonly: true }, false)
  },

  /** pivot_root(2), "pivot_root(".", ".")": the old root comes to lie over the new one, and is detached from there. */
  pivot(c) {
    const dot = c.b.text('.')
    c.must('fchdir', c.root)
    c.must('pivot_root', dot, dot)
    c.must('umount2', dot, MNT.DETACH)
    c.must('chdir', c.b.text('/'))
    c.attempt('close', c.root)
  },
}

/**
 * Runs `body` with an empty tmpfs as the working folder. It is gone afterwards, but for the mounts that were cloned
 * from it: "." names it even when others lie over it.
 */
function inScratch(c: LauncherContext, body: () => void): void {
  const { b } = c
  const here = b.slot('scratch.cwd')
  const scratch = b.slot('scratch')
  b.move(here, c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0))
  b.move(scratch, newMount(c, 'tmpfs', [['mode', '0755']], { nosuid: true, nodev: true }))
  c.must('move_mount', scratch, b.text(''), AT.FDCWD, b.text('/'), onEmptyPath)
  c.must('fchdir', scratch)
  body()
  c.must('umount2', b.text('.'), MNT.DETACH)
  c.must('fchdir', here)
  c.attempt('close', scratch)
  c.attempt('close', here)
}

function attachRoot(c: LauncherContext, tree: Slot): void {
  c.b.move(c.root, tree)
  c.must('move_mount', c.root, c.b.text(''), AT.FDCWD, c.b.text('/'), onEmptyPath)
}

function attributesOf(flags: MountFlags): number {
  return (
    (flags.readonly ? MOUNT_ATTR.RDONLY : 0) |
    (flags.nosuid ? MOUNT_ATTR.NOSUID : 0) |
    (flags.nodev ? MOUNT_ATTR.NODEV : 0) |
    (flags.noexec ? MOUNT_ATTR.NOEXEC : 0)
  )
}

export function restrict(c: LauncherContext, tree: Slot, flags: MountFlags, recursive: boolean): void {
  const at = AT.EMPTY_PATH | (recursive ? AT.RECURSIVE : 0)
  c.must('mount_setattr', tree, c.b.text(''), at, mountAttributes(c, flags), structs.mount_attr.size)
}

const attributeConstants = new WeakMap<LauncherContext, Map<number, Address>>()
/** A struct mount_attr that adds these flags, and makes private; one for each set of flags in a program. */
export function mountAttributes(c: LauncherContext, flags: MountFlags): Address {
  const set = attributesOf(flags)
  const known = attributeConstants.get(c) ?? new Map<number, Address>()
  attributeConstants.set(c, known)
  const address = known.get(set) ?? c.b.bytes(pack(structs.mount_attr, { attr_set: set, propagation: MS.PRIVATE }), 8)
  known.set(set, address)
  return address
}

/** A new filesystem, not attached anywhere yet: fsopen(2), fsconfig(2), fsmount(2). */
export function newMount(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Slot {
  setWords(c, newMountWords(c, type, options, flags))
  c.b.call(newMountRoutine(c))
  return c.b.slot('tree')
}

/** What {@link newMountRoutine} needs: the options are a table of names and values, which ends in 0. */
export function newMountWords(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Word[] {
  const { b } = c
  const words = options.flatMap(([name, value]) => [b.text(name), value === '' ? 0 : b.text(value)])
  return [
    [b.slot('mount.type'), type],
    [b.slot('mount.option'), b.table([...words, 0])],
    [b.slot('mount.attributes'), attributesOf(flags)],
  ]
}

/** Leaves the new mount in `tree`. */
export function newMountRoutine(c: LauncherContext): Routine {
  return c.b.routine('newMount', () => {
    const { b } = c
    const [context, option] = [b.slot('mount.context'), b.slot('mount.option')]
    const [name, value, command] = [b.slot('mount.name'), b.slot('mount.value'), b.slot('mount.command')]
    b.move(context, c.must('fsopen', b.slot('mount.type'), FSOPEN.CLOEXEC))
    b.loop(({ leave }) => {
      b.load(name, 32, option)
      b.when(name, 'eq', 0, leave)
      b.load(value, 32, option, 4)
      b.compute(option, option, 'add', 8)
      b.move(command, FSCONFIG.SET_STRING)
      b.when(value, 'eq', 0, () => b.move(command, FSCONFIG.SET_FLAG))
      c.must('fsconfig', context, command, name, value, 0)
    })
    c.must('fsconfig', context, FSCONFIG.CMD_CREATE, 0, 0, 0)
    b.move(b.slot('tree'), c.must('fsmount', context, FSMOUNT.CLOEXEC, b.slot('mount.attributes')))
    c.attempt('close', context)
  })
}

/** Opens a path inside the new root without ever leaving it, whatever symlinks lie there: openat2(2). */
export function resolve(c: LauncherContext, path: Operand): Slot {
  tryResolve(c, path)
  c.orFail()
  return c.result
}

function tryResolve(c: LauncherContext, path: Operand): void {
  const { b } = c
  const wanted = b.slot('resolve.path')
  const resolver = b.routine('resolve', () => {
    const how = b.bytes(
      pack(structs.open_how, { flags: c.open.PATH | c.open.CLOEXEC, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }),
      8,
    )
    // openat2(2): EAGAIN when somebody renamed something meanwhile, somewhere, so that ".." could not be trusted.
    const tries = b.slot('resolve.tries')
    b.move(tries, 1000)
    b.loop(({ leave }) => {
      c.attempt('openat2', c.root, wanted, how, structs.open_how.size)
      b.when(c.result, 'ne', -errno.EAGAIN, leave)
      b.compute(tries, tries, 'sub', 1)
      b.when(tries, 'eq', 0, leave)
    })
  })
  b.move(wanted, path)
  b.call(resolver)
}

/**
 * Puts the mount in `tree` at a place, which is made first if it is not there: a folder for a folder, an empty file
 * for anything else.
 */
function attach(c: LauncherContext, place: Place, kind: 'directory' | 'same'): void {
  setWords(c, placeWords(c, place))
  attachHere(c, place.owned, kind)
}

/** What a row would load. */
function setWords({ b }: LauncherContext, words: readonly Word[]): void {
  for (const [slot, word] of words) b.move(slot, typeof word === 'string' ? b.text(word) : word)
}

/** Where a place is: what {@link attachHere} and {@link locate} need. */
export function placeWords(c: LauncherContext, place: Place): Word[] {
  const { b } = c
  const path: Word = [b.slot('place.path'), place.path]
  if (place.owned) return [path]
  return [path, [b.slot('place.parent'), dirname(place.path)], [b.slot('place.name'), basename(place.path)]]
}

export function attachHere(c: LauncherContext, owned: boolean, kind: 'directory' | 'same'): void {
  const { b } = c
  b.move(b.slot('attach.kind'), kind === 'directory' ? S_IF.DIR : 0)
  b.call(owned ? attachOwned(c) : attachResolved(c))
}

/** Where to create a place: a folder's descriptor and a name relative to it. */
export function locate(c: LauncherContext, owned: boolean): [Slot, Slot] {
  const { b } = c
  if (owned) return [c.root, b.slot('place.path')]
  b.move(b.slot('parent'), resolve(c, b.slot('place.parent')))
  return [b.slot('parent'), b.slot('place.name')]
}

export function release(c: LauncherContext, owned: boolean): void {
  if (!owned) c.attempt('close', c.b.slot('parent'))
}

function attachOwned(c: LauncherContext): Routine {
  return c.b.routine('attachOwned', () => {
    const tree = c.b.slot('tree')
    const path = c.b.slot('place.path')
    makeMountPoint(c, tree, c.root, path)
    c.must('move_mount', tree, c.b.text(''), c.root, path, onEmptyPath)
    c.attempt('close', tree)
  })
}

function attachResolved(c: LauncherContext): Routine {
  return c.b.routine('attachResolved', () => {
    const { b } = c
    const tree = b.slot('tree')
    const target = b.slot('target')
    const [parent, name] = locate(c, false)
    tryResolve(c, b.slot('place.path'))
    c.whenError('ENOENT', () => {
      makeMountPoint(c, tree, parent, name)
      tryResolve(c, b.slot('place.path'))
    })
    c.orFail()
    b.move(target, c.result)
    c.must('move_mount', tree, b.text(''), target, b.text(''), onEmptyPath | MOVE_MOUNT.T_EMPTY_PATH)
    c.attempt('close', target)
    c.attempt('close', parent)
    c.attempt('close', tree)
  })
}

function makeMountPoint(c: LauncherContext, tree: Slot, at: Slot, name: Operand): void {
  const { b } = c
  const kind = b.slot('attach.kind')
  b.when(kind, 'eq', 0, () => {
    const status = b.reserve(structs.statx.size, 8)
    c.must('statx', tree, b.text(''), AT.EMPTY_PATH, STATX.TYPE, status)
    b.load(kind, 32, status, structs.statx.fields.stx_mode.offset)
    b.compute(kind, kind, 'and', S_IF.MT)
  })
  b.when(
    kind,
    'eq',
    S_IF.DIR,
    () => c.mustUnless('EEXIST', 'mkdirat', at, name, 0o755),
    () => c.mustUnless('EEXIST', 'mknodat', at, name, S_IF.REG | c.plan.manner.mountPointMode, 0),
  )
}

export const descriptorName = (fd: number) => `/proc/self/fd/${fd}`

/** `/proc/self/fd/N` of a descriptor that is known at run time only. */
function descriptorPath(c: LauncherContext, fd: Operand): Address {
  const { b } = c
  const path = b.reserve(40)
  const cursor = b.slot('fd.cursor')
  b.move(cursor, path)
  b.copyText(cursor, b.text('/proc/self/fd/'))
  b.decimal(cursor, fd)
  return path
}

/**
 * Clones the mount of what a descriptor is, into `result`. A descriptor's own mount is of the caller's namespace,
 * which open_tree(2) refuses, so that its name is looked up again, and must still be the same file.
 */
export function openDescriptor(c: LauncherContext, fd: Operand, name: Operand, flags: Operand): void {
  const { b } = c
  const tree = b.slot('tree')
  const path = c.scratch
  const end = b.temporary()
  c.must('readlinkat', AT.FDCWD, name, path, 4095)
  b.compute(end, path, 'add', c.result)
  b.store(8, end, 0, 0)
  b.move(tree, c.must('open_tree', AT.FDCWD, path, flags))
  const { size, fields } = structs.statx
  const [ours, theirs] = [b.reserve(size, 8), b.reserve(size, 8)]
  c.must('statx', fd, b.text(''), AT.EMPTY_PATH, STATX.INO, ours)
  c.must('statx', tree, b.text(''), AT.EMPTY_PATH, STATX.INO, theirs)
  const [left, right] = [b.temporary(), b.temporary()]
  for (const { offset } of [fields.stx_ino, fields.stx_dev_major, fields.stx_dev_minor]) {
    const width = offset === fields.stx_ino.offset ? 64 : 32
    b.load(left, width, ours, offset)
    b.load(right, width, theirs, offset)
    b.when(left, 'ne', right, () => {
      b.move(c.result, -errno.ESTALE)
      b.jump(c.fail)
    })
  }
  c.attempt('close', fd)
  b.move(c.result, tree)
}

/** Clones the mount of a path beneath a folder that no link on the way may leave, into `result`. */
export function openWithin(c: LauncherContext, folder: Operand, path: Operand, flags: Operand): void {
  const { b } = c
  const how = b.bytes(
    pack(structs.open_how, { flags: c.open.PATH | c.open.CLOEXEC, resolve: RESOLVE.BENEATH | RESOLVE.NO_MAGICLINKS }),
    8,
  )
  const [outer, file, tree, atFile] = [b.temporary(), b.slot('file'), b.slot('tree'), b.temporary()]
  const end = b.label()
  c.attempt('openat', AT.FDCWD, folder, c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0)
  c.whenFailed(() => b.jump(end))
  b.move(outer, c.result)
  c.attempt('openat2', outer, path, how, structs.open_how.size)
  c.whenFailed(() => b.jump(end))
  b.move(file, c.result)
  b.compute(atFile, flags, 'or', AT.EMPTY_PATH)
  b.move(tree, c.attempt('open_tree', file, b.text(''), atFile))
  c.attempt('close', file)
  c.attempt('close', outer)
  b.move(c.result, tree)
  b.place(end)
}

function fill(c: LauncherContext, file: Slot, content: Uint8Array | number): void {
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
