/** Code for the steps that build the new root, each once. The many are rows: see entryRows.ts. */
import { copyText, cursorOf, decimal, descriptorPath } from '../assembly/text.js'
import { AT, MNT, MOVE_MOUNT, MS, OPEN_TREE, TIOC } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address, Slot } from '../machine/instruction.js'
import type { MountOptions, Step } from '../plan/step.js'
import { attach } from './attach.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { newMount, onEmptyPath, restrict, treeOf } from './mounts.js'
import { attachRoot, hidesRoot, propagate } from './newRoot.js'
import { fill, refuseShared, requireSame, whenOwned } from './openFiles.js'
import { openBeneath, openSource, pathFrom, sourceKind } from './openSource.js'
import { handSocket } from './socketCode.js'
import { rowOf } from './socketRows.js'
import { find, isForeign, isPlanted, locate, placeWords, release, requireMounted, tryFind } from './places.js'

type Filesystem =
  | 'isolateMounts'
  | 'rootTmpfs'
  | 'rootBind'
  | 'mountFile'
  | 'socket'
  | 'chmod'
  | 'console'
  | 'overlay'
  | 'readonly'
  | 'sealRoot'
  | 'pivot'

/** Of a socket: connect(2) takes the right to write. */
const openToAll = 0o666

export const filesystemCode: Code<Filesystem> = {
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
    const tree = treeOf(c.b)
    const { source, optional, recursive, within } = step
    const none = c.b.label()
    const from = typeof source === 'number' ? source : c.b.text(pathFrom(within, source))
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (recursive ? AT.RECURSIVE : 0)
    openSource(c, {
      from,
      flags,
      ...sourceKind(source),
      within: within === undefined ? undefined : c.b.text(within),
      missing: optional ? () => c.b.jump(none) : undefined,
    })
    c.b.move(tree, c.result)
    c.complain(step, 1)
    restrict(c, tree, step.flags, recursive)
    attachRoot(c, tree)
    c.b.place(none)
  },

  mountFile(c, step) {
    const { b } = c
    const file = b.temporary()
    const tree = treeOf(b)
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

  /** bind(2) starts from the working directory, and has room for a path of 107 bytes: less than many a directory's. */
  socket(c, { place, number, channel }) {
    const { b } = c
    const here = b.temporary()
    b.move(here, c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0))
    c.must('fchdir', c.root)
    const row = rowOf({ protocol: 'unix', path: place.path, mode: openToAll, connects: false, number })
    handSocket(c, { at: b.bytes(row, 8), channel })
    c.orFail()
    c.must('fchdir', here)
    c.attempt('close', here)
  },

  chmod(c, step) {
    const { b } = c
    const target = b.temporary()
    // A mode is never set through a link that may be planted, wherever it lies.
    b.move(target, find(c, step.place.owned ? step.place : { ...step.place, planted: true }))
    if (isForeign(step.place)) refuseShared(c, target)
    if (isPlanted(step.place)) {
      // Nor is anything opened to the payload that is another's, and may have been renamed.
      const own = b.label()
      whenOwned(c, step.payload, own)
      c.failWith('EPERM')
      b.place(own)
    }
    // fchmod(2) refuses an O_PATH descriptor, and its name in /proc leads to the very file.
    c.must('fchmodat', AT.FDCWD, descriptorPath(c, target), step.mode)
    c.attempt('close', target)
  },

  /** TIOCGWINSZ(2const) tells a terminal; the name of the descriptor in /proc is the device. */
  console(c, step) {
    const { b } = c
    const none = b.label()
    const path = c.scratch
    const tree = treeOf(b)
    c.attempt('ioctl', 1, TIOC.GWINSZ, path)
    c.whenFailed(() => b.jump(none))
    c.attempt('readlinkat', AT.FDCWD, b.text('/proc/self/fd/1'), path, 4095)
    c.whenFailed(() => b.jump(none))
    const end = b.temporary()
    b.compute(end, path, 'add', c.result)
    b.store(8, end, 0, 0)
    c.attempt('open_tree', AT.FDCWD, path, OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC)
    // A terminal of another mount namespace has no name here.
    c.whenFailed(() => b.jump(none))
    b.move(tree, c.result)
    // The name may be that of another's terminal here: a container has a /dev/pts of its own.
    requireSame(c, [{ fd: tree }, { fd: 1 }], { different: none })
    restrict(c, tree, step.flags, false)
    attach(c, step, 'same')
    b.place(none)
  },

  /** Overlay goes through mount(2): its options may be longer than the 256 bytes that fsconfig(2) takes. */
  overlay(c, step) {
    const { b } = c
    const tree = treeOf(b)
    const flags =
      (step.flags.nosuid ? MS.NOSUID : 0) | (step.flags.nodev ? MS.NODEV : 0) | (step.flags.readonly ? MS.RDONLY : 0)
    const layers = openLayers(c, step)
    c.complain(step, 1)
    inScratch(c, step.room, (scratch) => {
      for (const name of ['m', 'upper', 'work']) c.must('mkdirat', AT.FDCWD, b.text(name), 0o755)
      // Where each descriptor has its number for a name: mount(2) takes one page of options, which is not enough for paths.
      c.must('chdir', b.text('/proc/self/fd'))
      const target = descriptorName(c, scratch, '/m')
      const options = overlayOptions(c, step, layers, scratch)
      c.must('mount', b.text('overlay'), target, b.text('overlay'), flags, options)
      b.move(tree, c.must('open_tree', scratch, b.text('m'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
      c.must('fchdir', scratch)
    })
    for (const layer of layers) c.attempt('close', layer)
    if (step.place.path === '.') attachRoot(c, tree)
    else attach(c, step, 'directory')
  },

  readonly(c, step) {
    const { b } = c
    const tree = treeOf(b)
    const target = b.temporary()
    if (step.place.path === '.') {
      restrict(c, c.root, step.flags, step.recursive)
      return
    }
    const done = b.label()
    const look = (missing?: () => void) => {
      if (step.only !== 'link') return tryFind(c, step.place.owned)
      const [at, name] = locate(c, step.place.owned, missing)
      b.move(target, c.attempt('openat', at, name, c.open.PATH | c.open.NOFOLLOW | c.open.CLOEXEC, 0))
      release(c, step.place.owned)
      b.move(c.result, target)
    }
    c.setWords(placeWords(c, step.place))
    look(() => b.jump(done))
    if (step.only !== undefined && step.only !== 'mount') c.whenError('ENOENT', () => b.jump(done))
    c.orFail()
    b.move(target, c.result)
    if (step.only === 'writable') {
      const mayWrite = 2
      c.attempt('faccessat', AT.FDCWD, descriptorPath(c, target), mayWrite)
      for (const already of ['EACCES', 'EROFS'] as const)
        c.whenError(already, () => {
          c.attempt('close', target)
          b.jump(done)
        })
      c.orFail()
    }
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
    c.attempt('close', target)
    if (isPlanted(step.place)) requireMounted(c, tree, look)
    c.attempt('close', tree)
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
 * Runs `body` with an empty tmpfs as the working directory. It is gone afterwards, but for the mounts that were cloned
 * from it: "." names it even when others lie over it. `room`: options of the tmpfs.
 */
function inScratch(c: LauncherContext, room: MountOptions | undefined, body: (scratch: Slot) => void): void {
  const { b } = c
  const [here, scratch] = b.temporaries(2)
  b.move(here, c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0))
  b.move(scratch, newMount(c, 'tmpfs', [['mode', '0755'], ...(room ?? [])], { nosuid: true, nodev: true }))
  c.must('move_mount', scratch, b.text(''), AT.FDCWD, b.text('/'), onEmptyPath)
  c.must('fchdir', scratch)
  body(scratch)
  c.must('umount2', b.text('.'), MNT.DETACH)
  c.must('fchdir', here)
  c.attempt('close', scratch)
  c.attempt('close', here)
}

/** Descriptors of an overlay's layers: so their paths may be relative, and hold any character. Those of an upper one come last. */
function openLayers(c: LauncherContext, { lower, upper }: Step<'overlay'>): readonly Slot[] {
  const { b } = c
  const layers = [...lower, ...(typeof upper === 'object' ? [upper.upper, upper.work] : [])]
  return layers.map(({ path, within }) => {
    const fd = b.temporary()
    const flags = c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC
    const name = b.text(pathFrom(within, path))
    if (within === undefined) c.must('openat', AT.FDCWD, name, flags, 0)
    else {
      openBeneath(c, b.text(within), name)
      c.orFail()
    }
    b.move(fd, c.result)
    return fd
  })
}

/** The options of an overlay, which name its layers as /proc/self/fd does. */
function overlayOptions(
  c: LauncherContext,
  { lower, upper, userAttributes }: Step<'overlay'>,
  layers: readonly Slot[],
  scratch: Slot,
): Address {
  const { b } = c
  // A descriptor has at most ten digits.
  const options = b.reserve(64 + 11 * (layers.length + 2))
  const cursor = cursorOf(b)
  b.move(cursor, options)
  const say = (...parts: readonly (string | Slot)[]) => {
    for (const part of parts)
      if (typeof part === 'string') copyText(b, cursor, b.text(part))
      else decimal(b, cursor, part)
  }
  lower.forEach((_, index) => {
    say(index === 0 ? 'lowerdir=' : ':', layers[index]!)
  })
  if (upper === 'tmpfs') say(',upperdir=', scratch, '/upper,workdir=', scratch, '/work')
  else if (upper !== undefined) say(',upperdir=', layers[lower.length]!, ',workdir=', layers[lower.length + 1]!)
  if (userAttributes) say(',userxattr')
  if (typeof upper === 'object' && upper.volatile) say(',volatile')
  return options
}

/** The name in /proc/self/fd of what lies below a descriptor. */
function descriptorName(c: LauncherContext, fd: Slot, below: string): Address {
  const { b } = c
  const name = b.reserve(24)
  b.move(cursorOf(b), name)
  decimal(b, cursorOf(b), fd)
  copyText(b, cursorOf(b), b.text(below))
  return name
}
