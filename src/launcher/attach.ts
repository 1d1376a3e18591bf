/** Puts a mount at its place in the new root, which is found or made first. */
import { errno } from '../kernel/errno.js'
import { MOVE_MOUNT, S_IF } from '../kernel/flags.js'
import type { Routine } from '../machine/builder.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Place, Wording } from '../plan/step.js'
import type { LauncherContext } from './context.js'
import { fileKind } from './files.js'
import { onEmptyPath } from './mounts.js'
import { isPlanted, locate, placeWords, release, requireMounted, tryFind } from './places.js'

/**
 * Puts the mount in `tree` at a place, which is made first if it is not there: a directory for a directory, an empty
 * file for anything else.
 */
export function attach(
  c: LauncherContext,
  step: Wording & { readonly place: Place },
  kind: 'directory' | 'same',
): void {
  c.setWords(placeWords(c, step.place))
  attachHere(c, step, kind)
}

export function attachHere(
  c: LauncherContext,
  step: Wording & { readonly place: Place },
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
  b.call(owned ? attachOwned(c) : attachResolved(c, isPlanted(step.place)))
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

function attachResolved(c: LauncherContext, planted: boolean): Routine {
  return c.b.routine(planted ? 'attachPlanted' : 'attachResolved', () => {
    const { b } = c
    const tree = b.slot('tree')
    const target = b.slot('target')
    tryFind(c, false)
    c.whenError('ENOENT', () => {
      const [parent, name] = locate(c, false)
      makeMountPoint(c, tree, parent, name)
      release(c, false)
      tryFind(c, false)
    })
    c.orFail()
    b.move(target, c.result)
    c.attempt('move_mount', tree, b.text(''), target, b.text(''), onEmptyPath | MOVE_MOUNT.T_EMPTY_PATH)
    whenUnmounted(c, tree)
    c.attempt('close', target)
    if (planted) requireMounted(c, tree, () => tryFind(c, false))
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
