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
import type { Address, Label, Operand, Slot } from '../machine/instruction.js'
import type { MountFlags, MountOptions, Place, Step } from '../plan/step.js'
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
  isolateMounts(c, step) {
    const propagation = step.propagation === 'slave' ? MS.SLAVE : MS.PRIVATE
    const attributes = c.b.bytes(pack(structs.mount_attr, { propagation }), 8)
    c.must('mount_setattr', AT.FDCWD, c.b.text('/'), AT.RECURSIVE, attributes, structs.mount_attr.size)
  },

  rootTmpfs(c, step) {
    const tree = newMount(c, 'tmpfs', step.options, { nosuid: true, nodev: true })
    attachRoot(c, tree)
  },

  rootBind(c, step) {
    const tree = c.b.slot('tree')
    const { source, optional, recursive } = step
    const none = c.b.label()
    const from = typeof source === 'number' ? source : c.b.text(source)
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (recursive ? AT.RECURSIVE : 0)
    openSource(c, { from, flags, ...sourceKind(source), missing: optional ? none : undefined })
    c.b.move(tree, c.result)
    c.complain(step, 1)
    restrict(c, tree, step.flags, recursive)
    attachRoot(c, tree)
    c.b.place(none)
  },

  mountFile(c, step) {
    const { b } = c
    const file = b.slot('file')
    const tree = b.slot('tree')
    inScratch(c, step.room, () => {
      const flags = c.open.WRONLY | c.open.CREAT | c.open.CLOEXEC
      b.move(file, c.must('openat', AT.FDCWD, b.text('file'), flags, step.mode))
      fill(c, file, step.content)
      c.must('fchmod', file, step.mode)
      c.attempt('close', file)
      b.move(tree, c.must('open_tree', AT.FDCWD, b.text('file'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
    })
    c.complain(step, 1)
    restrict(c, tree, step.flags, false)
    attach(c, step, 'same')
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
    attach(c, step, 'same')
    b.place(none)
  },

  /** Overlay goes through mount(2): its options may be longer than the 256 bytes that fsconfig(2) takes. */
  overlay(c, step) {
    const { b } = c
    const tree = b.slot('tree')
    const flags =
      (step.flags.nosuid ? MS.NOSUID : 0) | (step.flags.nodev ? MS.NODEV : 0) | (step.flags.readonly ? MS.RDONLY : 0)
    const { options, close } = overlayOptions(c, step)
    c.complain(step, 1)
    inScratch(c, step.room, () => {
      for (const name of ['m', 'upper', 'work']) c.must('mkdirat', AT.FDCWD, b.text(name), 0o755)
      c.must('mount', b.text('overlay'), b.text('m'), b.text('overlay'), flags, options)
      b.move(tree, c.must('open_tree', AT.FDCWD, b.text('m'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
    })
    close()
    if (step.place.path === '.') attachRoot(c, tree)
    else attach(c, step, 'directory')
  },

  readonly(c, step) {
    const { b } = c
    const tree = b.slot('tree')
    const target = b.slot('target')
    if (step.place.path === '.') {
      restrict(c, c.root, step.flags, step.recursive)
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
      c.complain(step, 1)
      restrict(c, target, step.flags, step.recursive)
      c.attempt('close', target)
      return
    }
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH | (step.recursive ? AT.RECURSIVE : 0)
    b.move(tree, c.must('open_tree', target, b.text(''), flags))
    restrict(c, tree, step.flags, step.recursive)
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
    if (hidesRoot(c)) propagate(c, MS.PRIVATE)
    c.must('fchdir', c.root)
    c.must('pivot_root', dot, dot)
    c.must('umount2', dot, MNT.DETACH)
    c.must('chdir', c.b.text('/'))
    c.attempt('close', c.root)
  },
}

/**
 * Runs `body` with an empty tmpfs as the working folder. It is gone afterwards, but for the mounts that were cloned
 * from it: "." names it even when others lie over it. `room`: options of the tmpfs.
 */
function inScratch(c: LauncherContext, room: MountOptions | undefined, body: () => void): void {
  const { b } = c
  const here = b.slot('scratch.cwd')
  const scratch = b.slot('scratch')
  b.move(here, c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0))
  b.move(scratch, newMount(c, 'tmpfs', [['mode', '0755'], ...(room ?? [])], { nosuid: true, nodev: true }))
  c.must('move_mount', scratch, b.text(''), AT.FDCWD, b.text('/'), onEmptyPath)
  c.must('fchdir', scratch)
  body()
  c.must('umount2', b.text('.'), MNT.DETACH)
  c.must('fchdir', here)
  c.attempt('close', scratch)
  c.attempt('close', here)
}

const rooted = new WeakSet<LauncherContext>()

/**
 * The new root lies in the host's while it is built, and a bind of the host's "/" or /proc would have it in it: what is
 * unbindable is left out of such a copy (mount_namespaces(7)). A root that is itself the host's, and is to see what is
 * mounted there later, is hidden only where another bind may be of "/".
 */
function hidesRoot(c: LauncherContext): boolean {
  const { init } = c.plan
  const mayBeRoot = (source: string | number) =>
    typeof source === 'number' || /^(?!\/)|^\/proc(\/|$)|^[/.]*$|\/\.\.(\/|$)/.test(source)
  return (
    !init.some((step) => step.do === 'rootBind') ||
    init.some((step) => step.do === 'bind' && mayBeRoot(step.source)) ||
    init.filter((step) => step.do === 'rootBind' || step.do === 'rootTmpfs').length > 1
  )
}

function propagate(c: LauncherContext, propagation: number): void {
  setAttributes(c, c.root, AT.EMPTY_PATH, 0, propagation)
}

/**
 * Attaches the new root where nobody's path leads: a folder of /proc that is made for mounting (fs/proc/root.c). On "/"
 * itself, ".." from a folder below would lead into it, and with it every symlink of a source such as ../usr/lib/x. One
 * that was there before is taken away first: it could outlive `pivot`, which detaches what lies on top only.
 */
export function attachRoot(c: LauncherContext, tree: Slot): void {
  if (rooted.has(c)) {
    c.must('umount2', descriptorPath(c, c.root), MNT.DETACH)
    c.attempt('close', c.root)
  }
  rooted.add(c)
  c.b.move(c.root, tree)
  if (hidesRoot(c)) propagate(c, MS.UNBINDABLE)
  c.attempt('move_mount', c.root, c.b.text(''), AT.FDCWD, c.b.text('/proc/fs/nfsd'), onEmptyPath)
  // A /proc of processes only, or none.
  c.whenError('ENOENT', () => c.must('move_mount', c.root, c.b.text(''), AT.FDCWD, c.b.text('/'), onEmptyPath))
  c.orFail()
}

export function attributesOf(flags: MountFlags): number {
  return (
    (flags.readonly ? MOUNT_ATTR.RDONLY : 0) |
    (flags.nosuid ? MOUNT_ATTR.NOSUID : 0) |
    (flags.nodev ? MOUNT_ATTR.NODEV : 0) |
    (flags.noexec ? MOUNT_ATTR.NOEXEC : 0)
  )
}

/** Adds flags to the mount in `tree`, and cuts it off as `isolateMounts` does. */
export function restrict(c: LauncherContext, tree: Slot, flags: MountFlags, recursive: boolean): void {
  const at = AT.EMPTY_PATH | (recursive ? AT.RECURSIVE : 0)
  setAttributes(c, tree, at, attributesOf(flags), propagationOf(c))
}

export function propagationOf(c: LauncherContext): number {
  const isolated = c.plan.init.find((step) => step.do === 'isolateMounts')
  return isolated?.propagation === 'slave' ? 0 : MS.PRIVATE
}

/** mount_setattr(2): attributes to add, and the propagation. */
export function setAttributes(c: LauncherContext, tree: Slot, at: Operand, set: Operand, propagation: number): void {
  const { b } = c
  const slots = ['tree', 'at', 'set', 'propagation'].map((name) => b.slot(`attributes.${name}`)) as Slot[]
  const setter = b.routine('setAttributes', () => {
    const { size, fields } = structs.mount_attr
    const attributes = b.reserve(size, 8)
    b.store(64, attributes, fields.attr_set.offset, slots[2]!)
    b.store(64, attributes, fields.propagation.offset, slots[3]!)
    c.must('mount_setattr', slots[0]!, b.text(''), slots[1]!, attributes, size)
  })
  for (const [index, value] of [tree, at, set, propagation].entries()) b.move(slots[index]!, value)
  b.call(setter)
}

/** A new filesystem, not attached anywhere yet: fsopen(2), fsconfig(2), fsmount(2). */
export function newMount(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Slot {
  c.setWords(newMountWords(c, type, options, flags))
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
function attach(c: LauncherContext, step: Step & { readonly place: Place }, kind: 'directory' | 'same'): void {
  c.setWords(placeWords(c, step.place))
  attachHere(c, step, kind)
}

/** Where a place is: what {@link attachHere} and {@link locate} need. */
export function placeWords(c: LauncherContext, place: Place): Word[] {
  const { b } = c
  const path: Word = [b.slot('place.path'), place.path]
  if (place.owned) return [path]
  return [path, [b.slot('place.parent'), dirname(place.path)], [b.slot('place.name'), basename(place.path)]]
}

export function attachHere(
  c: LauncherContext,
  step: Step & { readonly place: Place },
  kind: 'directory' | 'same',
): void {
  const { b } = c
  const { owned } = step.place
  if (tellsApart(c)) {
    const several = typeof step.complaint === 'object' && step.complaint.length === 4
    const [mount, file, folder] = [1, 2, 3].map((which) => (several ? c.complaint(step, which) : c.step))
    b.move(c.step, mount!)
    b.move(b.slot('attach.unmounted'), mount!)
    b.move(b.slot('attach.unmadeFile'), file!)
    b.move(b.slot('attach.unmadeFolder'), folder!)
  }
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
    c.attempt('move_mount', tree, c.b.text(''), c.root, path, onEmptyPath)
    whenUnmounted(c, tree)
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
    c.attempt('move_mount', tree, b.text(''), target, b.text(''), onEmptyPath | MOVE_MOUNT.T_EMPTY_PATH)
    whenUnmounted(c, tree)
    c.attempt('close', target)
    c.attempt('close', parent)
    c.attempt('close', tree)
  })
}

function makeMountPoint(c: LauncherContext, tree: Slot, at: Slot, name: Operand): void {
  const { b } = c
  learnKind(c, tree)
  complainOfKind(c)
  b.when(
    b.slot('attach.kind'),
    'eq',
    S_IF.DIR,
    () => c.mustUnless('EEXIST', 'mkdirat', at, name, 0o755),
    () => c.mustUnless('EEXIST', 'mknodat', at, name, S_IF.REG | c.plan.manner.mountPointMode, 0),
  )
  if (tellsApart(c)) b.move(c.step, b.slot('attach.unmounted'))
}

/** What the mount in `tree` is, unless it is known to be a folder. */
function learnKind(c: LauncherContext, tree: Slot): void {
  const { b } = c
  const kind = b.slot('attach.kind')
  b.when(kind, 'eq', 0, () => {
    const found = fileKind(c, tree)
    c.orFail()
    b.move(kind, found)
  })
}

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

/** Whether the mount, and the file or folder to mount on, fail in words of their own. */
const tellsApart = (c: LauncherContext) => c.plan.manner.hints === 'instead'

function complainOfKind(c: LauncherContext): void {
  const { b } = c
  if (!tellsApart(c)) return
  b.move(c.step, b.slot('attach.unmadeFile'))
  b.when(b.slot('attach.kind'), 'eq', S_IF.DIR, () => b.move(c.step, b.slot('attach.unmadeFolder')))
}

/** After move_mount(2): EINVAL is, of all, a file on a folder or the reverse, which others notice earlier. */
function whenUnmounted(c: LauncherContext, tree: Slot): void {
  const { b } = c
  if (tellsApart(c))
    c.whenError('EINVAL', () => {
      learnKind(c, tree)
      complainOfKind(c)
      b.move(c.result, -errno.ENOTDIR)
      b.when(b.slot('attach.kind'), 'ne', S_IF.DIR, () => b.move(c.result, -errno.EISDIR))
    })
  c.orFail()
}

/** `/proc/self/fd/N` of a descriptor that is known at run time only. */
function descriptorPath(c: LauncherContext, fd: Operand): Address {
  const { b } = c
  const path = b.reserve(40)
  const cursor = b.cursor
  b.move(cursor, path)
  b.copyText(cursor, b.text('/proc/self/fd/'))
  b.decimal(cursor, fd)
  return path
}

/** How a source is opened, as far as the code depends on it. */
export interface SourceKind {
  readonly byFd: boolean
  /** The name of a descriptor: it leads to a mount of the caller's, by a link of proc(5) that is no path. */
  readonly special: boolean
}

/** However it is spelled: rather too many than too few. */
const descriptorName = /(^|\/)(proc\/.*\/(fd|cwd|root|exe|map_files)|dev\/(.*\/)?(fd|stdin|stdout|stderr))(\/|$)/

export const sourceKind = (source: string | number): SourceKind => ({
  byFd: typeof source === 'number',
  special: typeof source === 'string' && descriptorName.test(source),
})

/** Clones the mount of a source into `result`; jumps to `missing`, if that is allowed, where there is none. */
export function openSource(
  c: LauncherContext,
  source: SourceKind & {
    readonly from: Operand
    readonly flags: Operand
    /** A folder that no link on the way may leave; `from` is then relative to it. */
    readonly within?: Operand | undefined
    readonly missing?: Label | undefined
  },
): void {
  const { b } = c
  const { from, flags, within, missing } = source
  if (source.byFd) {
    openDescriptor(c, from, flags)
    c.attempt('close', from)
    b.move(c.result, b.slot('tree'))
    return
  }
  if (within === undefined) c.attempt('open_tree', AT.FDCWD, from, flags)
  else openWithin(c, within, from, flags)
  if (missing !== undefined) c.whenError('ENOENT', () => b.jump(missing))
  if (source.special)
    c.whenError('EINVAL', () => {
      const found = b.slot('found')
      b.move(found, c.must('openat', AT.FDCWD, from, c.open.PATH | c.open.CLOEXEC, 0))
      openDescriptor(c, found, flags)
      c.attempt('close', found)
      b.move(c.result, b.slot('tree'))
    })
  c.orFail()
}

/**
 * The options of an overlay, whose layers are named by descriptors: so they may be relative, and hold any character.
 * `close` gives the descriptors up.
 */
function overlayOptions(c: LauncherContext, step: StepOf<'overlay'>): { options: Address; close: () => void } {
  const { b } = c
  const { lower, upper } = step
  const layers = [...lower, ...(typeof upper === 'object' ? [upper.upper, upper.work] : [])]
  const fds = layers.map((path, index) => {
    const fd = b.slot(`layer ${index}`)
    b.move(fd, c.must('openat', AT.FDCWD, b.text(path), c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0))
    return fd
  })
  const options = b.reserve(64 + 32 * layers.length)
  const cursor = b.cursor
  b.move(cursor, options)
  const say = (text: string, fd?: Slot) => {
    b.copyText(cursor, b.text(fd === undefined ? text : `${text}/proc/self/fd/`))
    if (fd !== undefined) b.decimal(cursor, fd)
  }
  lower.forEach((_, index) => {
    say(index === 0 ? 'lowerdir=' : ':', fds[index]!)
  })
  if (upper === 'tmpfs') say(',upperdir=upper,workdir=work')
  else if (upper !== undefined) {
    say(',upperdir=', fds[lower.length]!)
    say(',workdir=', fds[lower.length + 1]!)
  }
  if (step.userAttributes) say(',userxattr')
  return {
    options,
    close: () => {
      for (const fd of fds) c.attempt('close', fd)
    },
  }
}

/**
 * Clones the mount of what a descriptor is, into `tree`. A descriptor's own mount is of the caller's namespace,
 * which open_tree(2) refuses, so that its name is looked up again, and must still be the same file.
 */
function openDescriptor(c: LauncherContext, fd: Operand, flags: Operand): void {
  const { b } = c
  const tree = b.slot('tree')
  const path = c.scratch
  const end = b.temporary()
  c.must('readlinkat', AT.FDCWD, descriptorPath(c, fd), path, 4095)
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
}

/** Clones the mount of a path beneath a folder that no link on the way may leave, into `result`. */
function openWithin(c: LauncherContext, folder: Operand, path: Operand, flags: Operand): void {
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
