/**
 * Places in the new root: how each is opened, and where it is made. A place that this plan owns is walked by the kernel as
 * it is. Any other may be full of links that an earlier payload planted: see {@link Place}.
 */
import { basename, dirname, relative } from 'node:path'
import { routine } from '../assembly/routine.js'
import { variable, variables } from '../assembly/variables.js'
import { AT, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Place } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { statusBuffer } from './openFiles.js'
import { howOf, openPath } from './resolve.js'
import type { Word } from './rows.js'

/** In place of the path of a directory: the new root itself, whose descriptor is at hand. */
const theRoot = 0

/** What the code for a place finds: its words, as they are in a row. */
export const placeOf = variables('path', 'from', 'how', 'mount', 'parent', 'making', 'name')
/** What {@link locate} opened. */
const opened = variable()

/** What {@link find} and {@link locate} need of a place. */
export function placeWords(c: LauncherContext, place: Place): Word[] {
  const slots = placeOf(c.b)
  if (place.owned) return [[slots.path, place.path]]
  const { mount, path, planted } = place
  const below = mount === undefined ? path : relative(mount, path) || '.'
  const inside = howOf(c, 'inside')
  const making = mount === undefined ? inside : howOf(c, 'refused')
  const base = mount === undefined || mount === '' || mount === '.' ? theRoot : mount
  return [
    [slots.from, planted ? base : theRoot],
    [slots.path, planted ? below : path],
    [slots.how, planted ? making : inside],
    [slots.mount, base],
    [slots.parent, dirname(below)],
    [slots.making, making],
    [slots.name, basename(below)],
  ]
}

/** Whether what is there may be of others, and links to it are not followed. */
export const isForeign = (place: Place): boolean => !place.owned && place.mount !== undefined

/** Whether a payload may write there, on the host too: so others may change it while the sandbox is made. */
export const isPlanted = (place: Place): boolean => !place.owned && place.planted

/**
 * Fails unless the mount in `mount` is what is found at the place whose words are loaded. move_mount(2) mounts on a
 * directory or file that is open: others may have moved it away before, and put another at the place, which would be covered by nothing.
 * @param look opens what is at the place, into `result`
 */
export function requireMounted(c: LauncherContext, mount: Operand, look: () => void): void {
  const { b } = c
  const [found, wanted, id, exchanged, fine] = [b.temporary(), b.temporary(), b.temporary(), b.label(), b.label()]
  look()
  c.whenError('ENOENT', () => b.jump(exchanged))
  c.orFail()
  b.move(found, c.result)
  for (const [fd, to] of [
    [mount, wanted],
    [found, id],
  ] as const) {
    c.must('statx', fd, b.text(''), AT.EMPTY_PATH, STATX.MNT_ID, statusBuffer(c))
    b.load(to, 64, statusBuffer(c), structs.statx.fields.stx_mnt_id.offset)
  }
  c.attempt('close', found)
  b.branch(id, 'eq', wanted, fine)
  b.place(exchanged)
  c.failWith('ESTALE')
  b.place(fine)
}

/** Opens what is at the place, for its name only, into `result`, which may be an error. */
export function tryFind(c: LauncherContext, owned: boolean): void {
  const { from, path, how } = placeOf(c.b)
  if (owned) c.attempt('openat', c.root, path, c.open.PATH | c.open.CLOEXEC, 0)
  else openIn(c, { from, path, how })
}

/** The same of a place that must be there. */
export function find(c: LauncherContext, place: Place): Slot {
  c.setWords(placeWords(c, place))
  tryFind(c, place.owned)
  c.orFail()
  return c.result
}

/**
 * Where to make a place: a directory's descriptor, and a name in it that no call may follow if it is a link.
 * @param missing what to do where there is no such directory; default: that is an error
 */
export function locate(c: LauncherContext, owned: boolean, missing?: () => void): [Slot, Slot] {
  const { b } = c
  const { path, mount, parent, making, name } = placeOf(b)
  if (owned) return [c.root, path]
  openIn(c, { from: mount, path: parent, how: making })
  if (missing !== undefined) c.whenError('ENOENT', missing)
  c.orFail()
  b.move(opened(b), c.result)
  return [opened(b), name]
}

/** Closes what {@link locate} opened. */
export function release(c: LauncherContext, owned: boolean): void {
  if (!owned) c.attempt('close', opened(c.b))
}

/** Opens a path from a place in the new root, which is itself a path or {@link theRoot}, into `result`. */
const openIn = routine('openIn', { takes: ['from', 'path', 'how'] }, (c: LauncherContext, { from, path, how }) => {
  const { b } = c
  const [base, found] = b.temporaries(2)
  const end = b.label()
  b.when(from, 'eq', theRoot, () => {
    openPath(c, { from: c.root, path, how })
    b.jump(end)
  })
  openPath(c, { from: c.root, path: from, how: howOf(c, 'inside') })
  c.whenFailed(() => b.jump(end))
  b.move(base, c.result)
  openPath(c, { from: base, path, how })
  b.move(found, c.result)
  c.attempt('close', base)
  b.move(c.result, found)
  b.place(end)
})
