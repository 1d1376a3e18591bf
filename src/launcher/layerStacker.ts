/**
 * A program that puts another overlay in place of the one that a sandbox works in, with the layers that it is told: so a layer becomes a
 * snapshot, or is dropped, in one step, however much is in it. One short process; it comes to the sandbox as the mounter does.
 *
 * How this file thinks. What is a lower layer of an overlay may not change. So the old overlay is made read-only first, all of it and not
 * this mount alone: the kernel refuses that with EBUSY while a file is open for writing there, or a removed one is open. A process that has a
 * file or its directory there keeps it, and can only read. The new overlay is made where the layers are seen, in a copy of the
 * caller's view. It goes beneath the old one at its place, which is then taken away: so no moment shows what lies below both.
 * Before Linux 6.5 nothing goes beneath a mount: there it goes on top, and the old one stays, unseen. If it fails, the old one is made
 * writable again.
 */
import type { Architecture } from '../kernel/architecture.js'
import { AT, CLONE, FSCONFIG, FSPICK, MNT, MOVE_MOUNT, MS, OPEN_TREE, PR } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Program } from '../machine/instruction.js'
import { namespaceHandles } from '../plan/handles.js'
import { openHandle, openMonitor, statSize } from './entering.js'
import { hostDescriptor, mountAnswer, stackCall, stackTarget } from './mountCall.js'
import { detach, Mounter, mountOf, openSourceInside, requireMount, walkTo } from './mounter.js'

/** The program, for any sandbox that has a user namespace of its own: mountCall.ts has its words and its answers. */
export function layerStacker(architecture: Architecture): Program {
  const c = new Mounter(architecture)
  const { b } = c
  const [user, mounts, view, old, context, tree, id, descriptors] = b.temporaries(8)
  const frozen = b.variable()
  b.entry(c.stack)
  b.move(frozen, 0)
  c.begin('find')
  const monitor = openMonitor(c, b.reserve(statSize + 8))
  openHandle(c, monitor, user, namespaceHandles.user)
  openHandle(c, monitor, mounts, namespaceHandles.mount)
  c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  const found = openSourceInside(c, stackCall.host, () => c.must('setns', user, CLONE.NEWUSER))
  c.must('dup3', found, hostDescriptor, c.open.CLOEXEC)
  c.begin('join')
  b.move(
    view,
    c.must('openat', AT.FDCWD, b.text('/proc/self/ns/mnt'), c.open.RDONLY | c.open.NONBLOCK | c.open.CLOEXEC, 0),
  )
  // umount2(2) takes only a path, and the /proc of the sandbox does not have this process.
  b.move(
    descriptors,
    c.must('openat', AT.FDCWD, b.text('/proc/self/fd'), c.open.RDONLY | c.open.DIRECTORY | c.open.CLOEXEC, 0),
  )
  c.must('setns', mounts, CLONE.NEWNS)
  b.move(old, walkTo(c, undefined, stackCall.names))
  requireMount(c, old, stackCall.old)

  c.begin('freeze')
  const setFlag = (name: string) => c.must('fsconfig', context, FSCONFIG.SET_FLAG, b.text(name), 0, 0)
  b.move(context, c.must('fspick', old, b.text(''), FSPICK.CLOEXEC | FSPICK.EMPTY_PATH))
  setFlag('ro')
  c.must('fsconfig', context, FSCONFIG.CMD_RECONFIGURE, 0, 0, 0)
  b.move(frozen, 1)

  c.begin('join')
  c.must('setns', view, CLONE.NEWNS)
  c.begin('stack')
  c.must('chdir', c.word(stackCall.home))
  const overlay = b.text('overlay')
  c.must('mount', overlay, b.text(stackTarget), overlay, MS.NOSUID | MS.NODEV, c.word(stackCall.options))
  b.move(tree, c.must('open_tree', AT.FDCWD, b.text(stackTarget), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
  c.must('umount2', b.text(stackTarget), MNT.DETACH)
  const isolated = b.bytes(pack(structs.mount_attr, { propagation: MS.PRIVATE }), 8)
  c.must('mount_setattr', tree, b.text(''), AT.EMPTY_PATH, isolated, structs.mount_attr.size)

  c.begin('join')
  c.must('setns', mounts, CLONE.NEWNS)
  mountOf(c, tree, id)
  c.begin('record')
  c.mustAnswer(mountAnswer.mount, id)
  c.begin('attach')
  const [onTop, done] = [b.label(), b.label()]
  const byDescriptors = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH
  c.attempt('move_mount', tree, b.text(''), old, b.text(''), byDescriptors | MOVE_MOUNT.BENEATH)
  c.whenError('EINVAL', () => b.jump(onTop))
  c.orFail()
  detach(c, old, descriptors)
  b.jump(done)
  b.place(onTop)
  c.must('move_mount', tree, b.text(''), old, b.text(''), byDescriptors)
  b.place(done)
  c.answer(mountAnswer.done, 0)
  c.exit(0)
  c.emitFailure(() =>
    b.when(frozen, 'eq', 1, () => {
      c.attempt('fsconfig', context, FSCONFIG.SET_FLAG, b.text('rw'), 0, 0)
      c.attempt('fsconfig', context, FSCONFIG.CMD_RECONFIGURE, 0, 0, 0)
    }),
  )
  return b.finish()
}
