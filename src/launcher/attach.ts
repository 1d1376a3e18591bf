/** Puts a mount at its place in the new root, which is found or made first. */
import { routine } from '../assembly/routine.js'
import { own, variable, variables } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { MOVE_MOUNT, S_IF } from '../kernel/flags.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Place, Wording } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { onEmptyPath, treeOf } from './mounts.js'
import { fileKind } from './openFiles.js'
import { isPlanted, locate, placeOf, placeWords, release, requireMounted, tryFind } from './places.js'

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
    const { unmounted, unmadeFile, unmadeDirectory } = said(b)
    const { points } = step
    c.complain(step, 1)
    b.move(unmounted, c.step)
    b.move(unmadeFile, points === undefined ? c.step : c.said(step, points[0]))
    b.move(unmadeDirectory, points === undefined ? c.step : c.said(step, points[1]))
  }
  b.move(kindOf(b), kind === 'directory' ? S_IF.DIR : 0)
  if (owned) attachOwned(c, {})
  else if (isPlanted(step.place)) attachPlanted(c, {})
  else attachResolved(c, {})
}

/** What the mount is, of S_IF: 0 until it was looked at. */
const kindOf = variable()
/** Numbers of steps, in which the ways to fail have words of their own. */
const said = variables('unmounted', 'unmadeFile', 'unmadeDirectory')

const attachOwned = routine('attachOwned', {}, (c: LauncherContext) => {
  const tree = treeOf(c.b)
  const { path } = placeOf(c.b)
  makeMountPoint(c, tree, c.root, path)
  c.attempt('move_mount', tree, c.b.text(''), c.root, path, onEmptyPath)
  whenUnmounted(c, tree)
  c.attempt('close', tree)
})

/** The place's mount may be exchanged meanwhile where it is `planted`: it is looked for again. */
function attacher(name: string, planted: boolean) {
  return routine(name, {}, (c: LauncherContext) => {
    const { b } = c
    const tree = treeOf(b)
    const target = b.temporary()
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

const attachResolved = attacher('attachResolved', false)
const attachPlanted = attacher('attachPlanted', true)

function makeMountPoint(c: LauncherContext, tree: Slot, at: Slot, name: Operand): void {
  const { b } = c
  learnKind(c, tree)
  complainOfKind(c)
  b.when(
    kindOf(b),
    'eq',
    S_IF.DIR,
    () => c.mustUnless('EEXIST', 'mkdirat', at, name, 0o755),
    () => c.mustUnless('EEXIST', 'mknodat', at, name, S_IF.REG | c.plan.start.manner.mountPointMode, 0),
  )
  if (tellsApart(c)) b.move(c.step, said(b).unmounted)
}

/** What the mount in `tree` is, unless it is known to be a directory. */
function learnKind(c: LauncherContext, tree: Slot): void {
  const { b } = c
  const kind = kindOf(b)
  b.when(kind, 'eq', 0, () => {
    const found = fileKind(c, tree)
    c.orFail()
    b.move(kind, found)
  })
}

/** Whether of any step in this program the mount, and the file or directory to mount on, fail in words of their own. */
const tellsApart = own(({ plan }: LauncherContext) => plan.world.init.some((step) => step.points !== undefined))

function complainOfKind(c: LauncherContext): void {
  const { b } = c
  if (!tellsApart(c)) return
  b.move(c.step, said(b).unmadeFile)
  b.when(kindOf(b), 'eq', S_IF.DIR, () => b.move(c.step, said(b).unmadeDirectory))
}

/** EINVAL means a file on a directory or the reverse; mount(2) reports this earlier. */
function whenUnmounted(c: LauncherContext, tree: Slot): void {
  const { b } = c
  if (tellsApart(c))
    c.whenError('EINVAL', () => {
      learnKind(c, tree)
      complainOfKind(c)
      b.move(c.result, -errno.ENOTDIR)
      b.when(kindOf(b), 'ne', S_IF.DIR, () => b.move(c.result, -errno.EISDIR))
    })
  c.orFail()
}
