/** Puts a mount at its place in the new root, which is found or made first. Every path starts from the root's descriptor. */
import { basename, dirname } from 'node:path'
import { errno } from '../kernel/errno.js'
import { MOVE_MOUNT, RESOLVE, S_IF } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Routine } from '../machine/builder.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Place, Step } from '../plan/step.js'
import type { LauncherContext } from './context.js'
import { fileKind } from './files.js'
import { onEmptyPath } from './mounts.js'
import type { Word } from './rows.js'

/** Opens a path inside the new root without ever leaving it, whatever symlinks lie there: openat2(2). */
export function resolve(c: LauncherContext, path: Operand): Slot {
  tryResolve(c, path)
  c.orFail()
  return c.result
}

export function tryResolve(c: LauncherContext, path: Operand): void {
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
export function attach(c: LauncherContext, step: Step & { readonly place: Place }, kind: 'directory' | 'same'): void {
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
