/** Clones what the host shows, by path or by descriptor: open_tree(2). */
import { relative } from 'node:path'
import { descriptorPath } from '../assembly/text.js'
import { AT } from '../kernel/flags.js'
import type { Operand } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { treeOf } from './mounts.js'
import { requireSame } from './openFiles.js'
import { howOf, openPath } from './resolve.js'

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

/** How a path of the host is said: from the directory that no link on the way may leave, if there is one. */
export const pathFrom = (within: string | undefined, path: string) =>
  within === undefined ? path : relative(within, path)

/** Clones the mount of a source into `result`; where there is none, and that is allowed, does `missing` and goes no further. */
export function openSource(
  c: LauncherContext,
  source: SourceKind & {
    readonly from: Operand
    readonly flags: Operand
    /** A directory that no link on the way may leave; `from` is then relative to it. */
    readonly within?: Operand | undefined
    readonly missing?: (() => void) | undefined
  },
): void {
  const { b } = c
  const { from, flags, within, missing } = source
  if (source.byFd) {
    openDescriptor(c, from, flags)
    c.attempt('close', from)
    b.move(c.result, treeOf(b))
    return
  }
  if (within === undefined) c.attempt('open_tree', AT.FDCWD, from, flags)
  else openWithin(c, within, from, flags)
  if (missing !== undefined) c.whenError('ENOENT', missing)
  if (source.special)
    c.whenError('EINVAL', () => {
      const found = b.temporary()
      b.move(found, c.must('openat', AT.FDCWD, from, c.open.PATH | c.open.CLOEXEC, 0))
      openDescriptor(c, found, flags)
      c.attempt('close', found)
      b.move(c.result, treeOf(b))
    })
  c.orFail()
}

/**
 * Clones the mount of what a descriptor is, into `tree`. A descriptor's own mount is of the caller's namespace,
 * which open_tree(2) refuses, so that its name is looked up again, and must still be the same file.
 */
function openDescriptor(c: LauncherContext, fd: Operand, flags: Operand): void {
  const { b } = c
  const tree = treeOf(b)
  const path = c.scratch
  const end = b.temporary()
  c.must('readlinkat', AT.FDCWD, descriptorPath(c, fd), path, 4095)
  b.compute(end, path, 'add', c.result)
  b.store(8, end, 0, 0)
  b.move(tree, c.must('open_tree', AT.FDCWD, path, flags))
  const [different, same] = [b.label(), b.label()]
  requireSame(c, [{ fd }, { fd: tree }], { different })
  b.jump(same)
  b.place(different)
  c.failWith('ESTALE')
  b.place(same)
}

/** Clones the mount of a path beneath a directory that no link on the way may leave, into `result`. */
function openWithin(c: LauncherContext, directory: Operand, path: Operand, flags: Operand): void {
  const { b } = c
  const tree = treeOf(b)
  const [file, atFile] = b.temporaries(2)
  const end = b.label()
  openBeneath(c, directory, path)
  c.whenFailed(() => b.jump(end))
  b.move(file, c.result)
  b.compute(atFile, flags, 'or', AT.EMPTY_PATH)
  b.move(tree, c.attempt('open_tree', file, b.text(''), atFile))
  c.attempt('close', file)
  b.move(c.result, tree)
  b.place(end)
}

/** Opens a path, for its name only, beneath a directory that no link on the way may leave, into `result`. */
export function openBeneath(c: LauncherContext, directory: Operand, path: Operand): void {
  const { b } = c
  const [outer, found] = [b.temporary(), b.temporary()]
  const end = b.label()
  c.attempt('openat', AT.FDCWD, directory, c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0)
  c.whenFailed(() => b.jump(end))
  b.move(outer, c.result)
  openPath(c, { from: outer, path, how: howOf(c, 'beneath') })
  b.move(found, c.result)
  c.attempt('close', outer)
  b.move(c.result, found)
  b.place(end)
}
