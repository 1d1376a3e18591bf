/** Code for the steps that take away what namespaces and mounts leave: keys, groups, secure bits, files of the kernel. */
import { errno } from '../kernel/errno.js'
import { AT, KEYCTL, MOVE_MOUNT, OPEN_TREE, PR, RESOLVE, S_IF, STATX } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Label, Slot } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import type { LauncherContext } from './context.js'
import { newMount, resolve, restrict } from './filesystem.js'

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>
type Hardening = 'refuseFolders' | 'dropGroups' | 'newKeyring' | 'secureBits' | 'limitUserns' | 'guard'

/** What a user or group id reads as that the user namespace does not map: /proc/sys/kernel/overflowuid. */
const overflowId = 65534

export const hardeningCode: { [Kind in Hardening]: (c: LauncherContext, step: StepOf<Kind>) => void } = {
  /** openat(2) and fchdir(2) begin at any folder that is open, wherever it lies. */
  refuseFolders(c, step) {
    const { b } = c
    const status = b.reserve(structs.statx.size, 8)
    const mode = b.temporary()
    for (const fd of step.fds) {
      c.attempt('statx', fd, b.text(''), AT.EMPTY_PATH, STATX.TYPE, status)
      c.whenFailed(
        () => {},
        () => {
          b.load(mode, 32, status, structs.statx.fields.stx_mode.offset)
          b.compute(mode, mode, 'and', S_IF.MT)
          b.when(mode, 'eq', S_IF.DIR, () => {
            b.move(c.result, -errno.EISDIR)
            b.jump(c.fail)
          })
        },
      )
    }
  },

  /** Only a caller who is root may; user_namespaces(7) takes it from everybody once the namespace is there. */
  dropGroups(c) {
    c.mustUnless('EPERM', 'setgroups', 0, 0)
  },

  /** keyctl(2): whoever forbids it to us forbids it to the payload as well, and without it no key can be read. */
  newKeyring(c, step) {
    c.attempt('keyctl', KEYCTL.JOIN_SESSION_KEYRING, 0, 0, 0, 0)
    c.whenFailed(() => {
      const forbidden = c.b.label()
      for (const name of ['ENOSYS', 'EPERM', ...(step.optional ? ['EDQUOT' as const] : [])] as const)
        c.b.branch(c.result, 'eq', -errno[name], forbidden)
      c.b.jump(c.fail)
      c.b.place(forbidden)
    })
  },

  secureBits(c, step) {
    c.must('prctl', PR.SET_SECUREBITS, step.bits, 0, 0, 0)
  },

  /** user_namespaces(7): the limit is that of the writer's own namespace; raising it again takes CAP_SYS_RESOURCE there. */
  limitUserns(c) {
    const { b } = c
    const file = b.slot('file')
    const path = b.text('/proc/sys/user/max_user_namespaces')
    b.move(file, c.must('openat', AT.FDCWD, path, c.open.WRONLY | c.open.CLOEXEC, 0))
    c.must('write', file, b.text('0'), 1)
    c.attempt('close', file)
  },

  guard(c, step) {
    const { b } = c
    const top = b.slot('guard.top')
    const done = b.label()
    b.move(top, resolve(c, b.text(step.place.path)))
    if (step.when !== 'always') skipUnlessOwner(c, top, done)
    if (step.when === 'refuseOwner') {
      b.move(c.result, -errno.EPERM)
      b.jump(c.fail)
    }
    for (const name of step.readonly) {
      b.move(b.slot('guard.name'), b.text(name))
      b.call(makeReadonly(c, top))
      c.whenFailed(() => b.jump(c.fail))
    }
    for (const name of step.masked) {
      b.move(b.slot('guard.name'), b.text(name))
      b.call(mask(c, top))
      c.whenFailed(() => b.jump(c.fail))
    }
    b.place(done)
    c.attempt('close', top)
  },
}

/**
 * The owner of the kernel's own files is the host's uid 0. Where that reads as the overflow id, nobody inside is root
 * outside, unless it is the very payload.
 */
function skipUnlessOwner(c: LauncherContext, top: Slot, done: Label): void {
  const { b } = c
  const status = b.reserve(structs.statx.size, 8)
  const uid = b.temporary()
  c.must('statx', top, b.text(''), AT.EMPTY_PATH, STATX.UID, status)
  b.load(uid, 32, status, structs.statx.fields.stx_uid.offset)
  b.when(uid, 'eq', overflowId, () => {
    c.attempt('geteuid')
    b.branch(c.result, 'ne', overflowId, done)
  })
}

/**
 * Opens `guard.name` in `guard.file`, and jumps to `missing` with the result 0 where this kernel has no such file. No
 * link is followed: should the mount's place be moved away meanwhile, nothing else can be brought in instead.
 */
function openPart(c: LauncherContext, top: Slot, missing: Label): void {
  const { b } = c
  const how = b.bytes(
    pack(structs.open_how, { flags: c.open.PATH | c.open.CLOEXEC, resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS }),
    8,
  )
  c.attempt('openat2', top, b.slot('guard.name'), how, structs.open_how.size)
  c.whenError('ENOENT', () => {
    b.move(c.result, 0)
    b.jump(missing)
  })
  c.whenFailed(() => b.jump(missing))
  b.move(b.slot('guard.file'), c.result)
}

const onto = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH

function makeReadonly(c: LauncherContext, top: Slot) {
  return c.b.routine('guard.readonly', () => {
    const { b } = c
    const file = b.slot('guard.file')
    const tree = b.slot('tree')
    const end = b.label()
    openPart(c, top, end)
    const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.RECURSIVE | AT.EMPTY_PATH
    b.move(tree, c.must('open_tree', file, b.text(''), flags))
    restrict(c, tree, { readonly: true }, true)
    c.must('move_mount', tree, b.text(''), file, b.text(''), onto)
    c.attempt('close', tree)
    c.attempt('close', file)
    b.move(c.result, 0)
    b.place(end)
  })
}

/** An empty folder over a folder, /dev/null over a file. */
function mask(c: LauncherContext, top: Slot) {
  return c.b.routine('guard.mask', () => {
    const { b } = c
    const file = b.slot('guard.file')
    const tree = b.slot('guard.cover')
    const mode = b.temporary()
    const status = b.reserve(structs.statx.size, 8)
    const end = b.label()
    openPart(c, top, end)
    c.must('statx', file, b.text(''), AT.EMPTY_PATH, STATX.TYPE, status)
    b.load(mode, 32, status, structs.statx.fields.stx_mode.offset)
    b.compute(mode, mode, 'and', S_IF.MT)
    const covering = { readonly: true, nosuid: true, noexec: true }
    b.when(
      mode,
      'eq',
      S_IF.DIR,
      () => b.move(tree, newMount(c, 'tmpfs', [['mode', '0555']], { ...covering, nodev: true })),
      () => {
        b.move(tree, c.must('open_tree', AT.FDCWD, b.text('/dev/null'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
        restrict(c, tree, covering, false)
      },
    )
    c.must('move_mount', tree, b.text(''), file, b.text(''), onto)
    c.attempt('close', tree)
    c.attempt('close', file)
    b.move(c.result, 0)
    b.place(end)
  })
}
