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
} from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { MountFlags, Owner, Place, Step } from '../plan/step.js'
import type { LauncherContext } from './context.js'

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>
type Filesystem =
  | 'isolateMounts'
  | 'rootTmpfs'
  | 'rootBind'
  | 'directory'
  | 'symlink'
  | 'file'
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
    const tree = openTree(c, c.b.text(step.source), step.recursive)
    restrict(c, tree, step.flags, step.recursive)
    attachRoot(c, tree)
  },

  directory(c, step) {
    const [at, name] = locate(c, step.place)
    if (step.implicit) c.mustUnless('EEXIST', 'mkdirat', at, name, 0o755)
    else c.mustUnless('EEXIST', 'mkdirat', at, name, step.mode)
    if (!step.implicit && step.place.owned) setModeAndOwner(c, at, name, step.mode, step.owner)
    release(c, step.place, at)
  },

  symlink(c, step) {
    const [at, name] = locate(c, step.place)
    c.must('symlinkat', c.b.text(step.target), at, name)
    release(c, step.place, at)
  },

  file(c, step) {
    const { b } = c
    const [at, name] = locate(c, step.place)
    const file = b.slot('file')
    const flags = c.open.WRONLY | c.open.CREAT | c.open.TRUNC | c.open.CLOEXEC | c.open.NOFOLLOW
    b.move(file, c.must('openat', at, name, flags, step.mode))
    if (typeof step.content === 'number') copyFrom(c, step.content, file)
    else if (step.content.length > 0) writeAll(c, file, b.bytes(step.content), step.content.length)
    c.must('fchmod', file, step.mode)
    if (step.owner !== undefined) c.must('fchown', file, step.owner.uid, step.owner.gid)
    c.attempt('close', file)
    release(c, step.place, at)
  },

  bind(c, step) {
    const { b } = c
    const source = b.text(step.source)
    const done = b.label()
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (step.recursive ? AT.RECURSIVE : 0)
    const tree = b.slot('tree')
    if (step.optional) {
      c.attempt('open_tree', AT.FDCWD, source, flags)
      c.whenError('ENOENT', () => b.jump(done))
      c.whenFailed(() => b.jump(c.fail))
      b.move(tree, c.result)
    } else b.move(tree, c.must('open_tree', AT.FDCWD, source, flags))
    restrict(c, tree, step.flags, step.recursive)
    attach(c, tree, step.place, 'same')
    b.place(done)
  },

  mount(c, step) {
    const tree = newMount(c, step.type, step.options, step.flags)
    attach(c, tree, step.place, 'directory')
  },

  /**
   * Overlay goes through mount(2): its options may be longer than the 256 bytes that fsconfig(2) takes. The mount is
   * made at `m` in a scratch tmpfs that is also the working folder, so that an upper in memory has a short relative
   * name, and is then moved to its place.
   */
  overlay(c, step) {
    const { b } = c
    const scratch = newMount(c, 'tmpfs', [['mode', '0755']], { nosuid: true, nodev: true })
    const kept = b.temporary()
    b.move(kept, scratch)
    c.must('move_mount', kept, b.text(''), AT.FDCWD, b.text('/'), onEmptyPath)
    c.must('fchdir', kept)
    for (const name of ['m', 'upper', 'work']) c.must('mkdirat', AT.FDCWD, b.text(name), 0o755)
    const flags =
      (step.flags.nosuid ? MS.NOSUID : 0) | (step.flags.nodev ? MS.NODEV : 0) | (step.flags.readonly ? MS.RDONLY : 0)
    c.must('mount', b.text('overlay'), b.text('m'), b.text('overlay'), flags, b.text(step.options))
    const tree = b.slot('tree')
    b.move(tree, c.must('open_tree', AT.FDCWD, b.text('m'), OPEN_TREE.CLOEXEC))
    attach(c, tree, step.place, 'directory')
    // The scratch goes at once: the overlay holds its own reference to the upper layer. "." is the scratch itself.
    c.must('umount2', b.text('.'), MNT.DETACH)
    c.must('fchdir', c.root)
  },

  readonly(c, step) {
    const { b } = c
    const tree = b.slot('tree')
    const target = b.slot('target')
    if (step.place.path === '.') {
      restrict(c, c.root, { readonly: true }, step.recursive)
      return
    }
    b.move(target, resolve(c, step.place.path))
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH | (step.recursive ? AT.RECURSIVE : 0)
    b.move(tree, c.must('open_tree', target, b.text(''), flags))
    restrict(c, tree, { readonly: true }, step.recursive)
    c.must('move_mount', tree, b.text(''), target, b.text(''), onEmptyPath | MOVE_MOUNT.T_EMPTY_PATH)
    c.attempt('close', tree)
    c.attempt('close', target)
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

function attachRoot(c: LauncherContext, tree: Slot): void {
  c.b.move(c.root, tree)
  c.must('move_mount', c.root, c.b.text(''), AT.FDCWD, c.b.text('/'), onEmptyPath)
}

function openTree(c: LauncherContext, source: Operand, recursive: boolean): Slot {
  const tree = c.b.slot('tree')
  c.b.move(
    tree,
    c.must('open_tree', AT.FDCWD, source, OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (recursive ? AT.RECURSIVE : 0)),
  )
  return tree
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
    () => c.mustUnless('EEXIST', 'mknodat', at, name, S_IF.REG | 0o644, 0),
  )
}

function setModeAndOwner(c: LauncherContext, at: Slot, name: Operand, mode: number, owner: Owner | undefined): void {
  // mkdirat(2) applies the umask and drops setgid and sticky bits.
  c.must('fchmodat', at, name, mode)
  if (owner !== undefined) c.must('fchownat', at, name, owner.uid, owner.gid, AT.SYMLINK_NOFOLLOW)
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
