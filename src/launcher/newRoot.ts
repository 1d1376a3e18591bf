/** Where the new root lies while it is built. */
import { descriptorPath } from '../assembly/text.js'
import { AT, MNT, MS } from '../kernel/flags.js'
import type { Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { onEmptyPath, setAttributes } from './mounts.js'

const rooted = new WeakSet<LauncherContext>()

/**
 * The new root lies in the host's while it is built, and a bind of the host's "/" or /proc would have it in it: what is
 * unbindable is left out of such a copy (mount_namespaces(7)). A root that is itself the host's, and is to see what is
 * mounted there later, is hidden only where another bind may be of "/".
 */
export function hidesRoot(c: LauncherContext): boolean {
  const { init } = c.plan.world
  const mayBeRoot = (source: string | number) =>
    typeof source === 'number' || /^(?!\/)|^\/proc(\/|$)|^[/.]*$|\/\.\.(\/|$)/.test(source)
  return (
    !init.some((step) => step.do === 'rootBind') ||
    init.some((step) => step.do === 'bind' && mayBeRoot(step.source)) ||
    init.filter((step) => step.do === 'rootBind' || step.do === 'rootTmpfs').length > 1
  )
}

export function propagate(c: LauncherContext, propagation: number): void {
  setAttributes(c, { tree: c.root, at: AT.EMPTY_PATH, set: 0, propagation })
}

/**
 * Attaches the new root where no path leads: a directory of /proc that is made for mounting (fs/proc/root.c). On "/"
 * itself, ".." from a directory below would lead into it, and with it every symlink of a source such as ../usr/lib/x. One
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
