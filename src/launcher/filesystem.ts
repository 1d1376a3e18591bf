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
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { MountFlags, Owner, Place, Step } from '../plan/step.js'
import type { LauncherContext } from './context.js'

type TmpfsOptions = readonly (readonly [string, string])[]
type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>
type Filesystem =
  | 'isolateMounts'
  | 'rootTmpfs'
  | 'rootBind'
  | 'directory'
  | 'symlink'
  | 'file'
  | 'mountFile'
  | 'chmod'
  | 'console'
  | 'bind'
  | 'mount'
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
    if (typeof step.source === 'number') openDescriptor(c, step.source, flags)
    else c.must('open_tree', AT.FDCWD, c.b.text(step.source), flags)
    c.b.move(tree, c.result)
    c.afterSource(step)
    restrict(c, tree, step.flags, step.recursive)
    attachRoot(c, tree)
  },

  directory(c, step) {
    const [at, name] = locate(c, step.place)
    const made = c.b.label()
    c.attempt('mkdirat', at, name, step.mode)
    c.whenError('EEXIST', () => {
      // A folder that is there stays as it is; anything else is in the way.
      if (!step.implicit) c.b.move(c.b.slot('folder'), c.must('openat', at, name, folderOnly(c), 0))
      if (!step.implicit) c.attempt('close', c.b.slot('folder'))
      c.b.jump(made)
    })
    c.whenFailed(() => c.b.jump(c.fail))
    if (!step.implicit) setModeAndOwner(c, at, name, step.mode, step.owner)
    c.b.place(made)
    release(c, step.place, at)
  },

  symlink(c, step) {
    const [at, name] = locate(c, step.place)
    c.attempt('symlinkat', c.b.text(step.target), at, name)
    c.whenError('EEXIST', () => requireLink(c, step.target, at, name))
    c.whenFailed(() => c.b.jump(c.fail))
    release(c, step.place, at)
  },

  file(c, step) {
    const { b } = c
    const [at, name] = locate(c, step.place)
    const file = b.slot('file')
    const flags = c.open.WRONLY | c.open.CREAT | c.open.TRUNC | c.open.CLOEXEC | c.open.NOFOLLOW
    b.move(file, c.must('openat', at, name, flags, step.mode))
    fill(c, file, step.content)
    c.must('fchmod', file, step.mode)
    if (step.owner !== undefined) c.must('fchown', file, step.owner.uid, step.owner.gid)
    c.attempt('close', file)
    release(c, step.place, at)
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
    attach(c, tree, step.place, 'same')
  },

  chmod(c, step) {
    const { b } = c
    const target = b.slot('target')
    b.move(target, resolve(c, step.place.path))
    // fchmod(2) refuses an O_PATH descriptor, and its name in /proc leads to the very file.
    c.must('fchmodat', AT.FDCWD, descriptorPath(c, target), step.mode)
    c.attempt('close', target)
  },

  /** TIOCGWINSZ(2const) tells a terminal; the name of the descriptor in /proc is the device. */
  console(c, step) {
    const { b } = c
    const none = b.label()
    const path = b.reserve(4096)
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
    attach(c, tree, step.place, 'same')
    b.place(none)
  },

  bind(c, step) {
    const { b } = c
    const done = b.label()
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (step.recursive ? AT.RECURSIVE : 0)
    const tree = b.slot('tree')
    if (typeof step.source === 'number') openDescriptor(c, step.source, flags)
    else if (step.optional) {
      c.attempt('open_tree', AT.FDCWD, b.text(step.source), flags)
      c.whenError('ENOENT', () => b.jump(done))
      c.whenFailed(() => b.jump(c.fail))
    } else c.must('open_tree', AT.FDCWD, b.text(step.source), flags)
    b.move(tree, c.result)
    c.afterSource(step)
    restrict(c, tree, step.flags, step.recursive)
    attach(c, tree, step.place, 'same')
    b.place(done)
  },

  mount(c, step) {
    const tree = newMount(c, step.type, step.options, step.flags)
    attach(c, tree, step.place, 'directory')
  },

  /** Overlay goes through mount(2): its options may be longer than the 256 bytes that fsconfig(2) takes. */
  overlay(c, step) {
    const { b } = c
    const tree = b.slot('tree')
    const flags =
      (step.flags.nosuid ? MS.NOSUID : 0) | (step.flags.nodev ? MS.NODEV : 0) | (step.flags.readonly ? MS.RDONLY : 0)
    inScratch(
      c,
      () => {
        for (const name of ['m', 'upper', 'work']) c.must('mkdirat', AT.FDCWD, b.text(name), 0o755)
        c.must('mount', b.text('overlay'), b.text('m'), b.text('overlay'), flags, b.text(step.options))
        b.move(tree, c.must('open_tree', AT.FDCWD, b.text('m'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
      },
      step.room,
    )
    if (step.place.path === '.') attachRoot(c, tree)
    else attach(c, tree, step.place, 'directory')
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
      b.move(b.slot('resolve.path'), b.text(step.place.path))
      b.call(resolver(c))
      c.whenError('ENOENT', () => b.jump(done))
      c.whenFailed(() => b.jump(c.fail))
      b.move(target, c.result)
      const mayWrite = 2
      c.attempt('faccessat', AT.FDCWD, descriptorPath(c, target), mayWrite)
      c.whenFailed(() => {
        c.attempt('close', target)
        b.jump(done)
      })
    } else b.move(target, resolve(c, step.place.path))
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
function inScratch(c: LauncherContext, body: () => void, room: TmpfsOptions = []): void {
  const { b } = c
  const here = b.slot('scratch.cwd')
  const scratch = b.slot('scratch')
  b.move(here, c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0))
  b.move(scratch, newMount(c, 'tmpfs', [['mode', '0755'], ...room], { nosuid: true, nodev: true }))
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

function restrict(c: LauncherContext, tree: Slot, flags: MountFlags, recursive: boolean): void {
  const attributes = sharedAttributes(c, attributesOf(flags))
  const at = AT.EMPTY_PATH | (recursive ? AT.RECURSIVE : 0)
  c.must('mount_setattr', tree, c.b.text(''), at, attributes, structs.mount_attr.size)
}

const attributeConstants = new WeakMap<LauncherContext, Map<number, Address>>()
/** One struct mount_attr for each set of flags in a program. */
function sharedAttributes(c: LauncherContext, set: number): Address {
  const known = attributeConstants.get(c) ?? new Map<number, Address>()
  attributeConstants.set(c, known)
  const address = known.get(set) ?? c.b.bytes(pack(structs.mount_attr, { attr_set: set, propagation: MS.PRIVATE }), 8)
  known.set(set, address)
  return address
}

/** A new filesystem, not attached anywhere yet: fsopen(2), fsconfig(2), fsmount(2). */
function newMount(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Slot {
  const { b } = c
  const context = b.slot('filesystem')
  const tree = b.slot('tree')
  b.move(context, c.must('fsopen', b.text(type), FSOPEN.CLOEXEC))
  for (const [key, value] of options) {
    if (value === '') c.must('fsconfig', context, FSCONFIG.SET_FLAG, b.text(key), 0, 0)
    else c.must('fsconfig', context, FSCONFIG.SET_STRING, b.text(key), b.text(value), 0)
  }
  c.must('fsconfig', context, FSCONFIG.CMD_CREATE, 0, 0, 0)
  b.move(tree, c.must('fsmount', context, FSMOUNT.CLOEXEC, attributesOf(flags)))
  c.attempt('close', context)
  return tree
}

/** Where to create `place`: a folder's descriptor and a name relative to it. */
function locate(c: LauncherContext, place: Place): [Slot, Operand] {
  if (place.owned) return [c.root, c.b.text(place.path)]
  const parent = c.b.slot('parent')
  const above = dirname(place.path)
  c.b.move(parent, resolve(c, above))
  return [parent, c.b.text(basename(place.path))]
}

function release(c: LauncherContext, place: Place, at: Slot): void {
  if (!place.owned) c.attempt('close', at)
}

/** Opens a path inside the new root without ever leaving it, whatever symlinks lie there: openat2(2). */
function resolve(c: LauncherContext, path: string): Slot {
  c.b.move(c.b.slot('resolve.path'), c.b.text(path))
  c.b.call(resolver(c))
  c.b.branch(c.result, 'ge', -4095, c.fail)
  return c.result
}

function resolver(c: LauncherContext) {
  return c.b.routine('resolve', () => {
    const how = c.b.bytes(
      pack(structs.open_how, { flags: c.open.PATH | c.open.CLOEXEC, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }),
      8,
    )
    c.attempt('openat2', c.root, c.b.slot('resolve.path'), how, structs.open_how.size)
  })
}

/**
 * Puts the mount in `tree` at a place, which is made first if it is not there: a folder for a folder, an empty file
 * for anything else.
 */
function attach(c: LauncherContext, tree: Slot, place: Place, kind: 'directory' | 'same'): void {
  const { b } = c
  b.move(b.slot('attach.path'), b.text(place.path))
  if (!place.owned) {
    b.move(b.slot('resolve.path'), b.text(dirname(place.path)))
    b.move(b.slot('attach.name'), b.text(basename(place.path)))
  }
  b.move(b.slot('attach.kind'), kind === 'directory' ? S_IF.DIR : 0)
  b.call(place.owned ? attachOwned(c, tree) : attachResolved(c, tree))
}

function attachOwned(c: LauncherContext, tree: Slot) {
  return c.b.routine('attachOwned', () => {
    const path = c.b.slot('attach.path')
    makeMountPoint(c, tree, c.root, path)
    c.must('move_mount', tree, c.b.text(''), c.root, path, onEmptyPath)
    c.attempt('close', tree)
  })
}

function attachResolved(c: LauncherContext, tree: Slot) {
  return c.b.routine('attachResolved', () => {
    const { b } = c
    const parent = b.slot('parent')
    const target = b.slot('target')
    b.call(resolver(c))
    c.whenFailed(() => b.jump(c.fail))
    b.move(parent, c.result)
    b.move(b.slot('resolve.path'), b.slot('attach.path'))
    b.call(resolver(c))
    c.whenError('ENOENT', () => {
      makeMountPoint(c, tree, parent, b.slot('attach.name'))
      b.move(b.slot('resolve.path'), b.slot('attach.path'))
      b.call(resolver(c))
    })
    c.whenFailed(() => b.jump(c.fail))
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

function setModeAndOwner(c: LauncherContext, at: Slot, name: Operand, mode: number, owner: Owner | undefined): void {
  // mkdirat(2) drops the setuid and setgid bits.
  if ((mode & 0o6000) !== 0) c.must('fchmodat', at, name, mode)
  if (owner !== undefined) c.must('fchownat', at, name, owner.uid, owner.gid, AT.SYMLINK_NOFOLLOW)
}

const folderOnly = (c: LauncherContext) => c.open.PATH | c.open.DIRECTORY | c.open.NOFOLLOW | c.open.CLOEXEC

/** After EEXIST: a link to the same target is as good as a new one. */
function requireLink(c: LauncherContext, target: string, at: Slot, name: Operand): void {
  const { b } = c
  const existing = b.reserve(4096)
  const wanted = b.slot('link.wanted')
  const found = b.slot('link.found')
  const other = b.label()
  const same = b.label()
  const length = Buffer.byteLength(target)
  c.attempt('readlinkat', at, name, existing, 4096)
  b.branch(c.result, 'ne', length, other)
  const left = b.temporary()
  const [from, to] = [b.temporary(), b.temporary()]
  b.move(left, length)
  b.move(from, b.text(target))
  b.move(to, existing)
  b.loop(({ leave }) => {
    b.when(left, 'eq', 0, leave)
    b.load(wanted, 8, from)
    b.load(found, 8, to)
    b.branch(wanted, 'ne', found, other)
    b.compute(from, from, 'add', 1)
    b.compute(to, to, 'add', 1)
    b.compute(left, left, 'sub', 1)
  })
  b.move(c.result, 0)
  b.jump(same)
  b.place(other)
  b.move(c.result, -errno.EEXIST)
  b.place(same)
}

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
function openDescriptor(c: LauncherContext, fd: number, flags: number): void {
  const { b } = c
  const tree = b.slot('tree')
  const path = b.reserve(4096)
  const end = b.temporary()
  c.must('readlinkat', AT.FDCWD, b.text(`/proc/self/fd/${fd}`), path, 4095)
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

function fill(c: LauncherContext, file: Slot, content: Uint8Array | number): void {
  if (typeof content === 'number') copyFrom(c, content, file)
  else if (content.length > 0) writeAll(c, file, c.b.bytes(content), content.length)
}

function writeAll(c: LauncherContext, to: Slot, from: Operand, length: Operand): void {
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

function copyFrom(c: LauncherContext, source: number, to: Slot): void {
  const { b } = c
  const size = 65536
  const buffer = b.reserve(size)
  const got = b.temporary()
  b.loop(({ leave }) => {
    b.move(got, c.must('read', source, buffer, size))
    b.when(got, 'eq', 0, leave)
    writeAll(c, to, buffer, got)
  })
  c.attempt('close', source)
}
