/** Code for the steps that take away what namespaces and mounts leave: keys, groups, secure bits, files of the kernel. */
import { routine } from '../assembly/routine.js'
import { copyText, decimal } from '../assembly/text.js'
import { variable } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { AT, KEYCTL, MOVE_MOUNT, OPEN_TREE, PR, S_IF, STATX, SUPER_MAGIC } from '../kernel/flags.js'
import { limitFileOf } from '../kernel/namespaces.js'
import { structs } from '../kernel/structs.js'
import type { Label, Slot } from '../machine/instruction.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { newMount, restrict } from './mounts.js'
import { fileKind, requireFilesystem, statusBuffer } from './openFiles.js'
import { find } from './places.js'
import { dropGroupsIfAllowed } from './privileges.js'
import { howOf, openPath } from './resolve.js'

type Hardening = 'refuseDirectories' | 'dropGroups' | 'newKeyring' | 'secureBits' | 'limitUserns' | 'guard'

/** What a user or group id reads as that the user namespace does not map: /proc/sys/kernel/overflowuid. */
const overflowId = 65534

export const hardeningCode: Code<Hardening> = {
  /** openat(2) and fchdir(2) begin at any directory that is open, wherever it lies. */
  refuseDirectories(c, step) {
    for (const fd of step.fds) refuseDirectory(c, { fd })
  },

  /** Only a caller who is root may; user_namespaces(7) takes it from every caller once the namespace is there. */
  dropGroups(c) {
    dropGroupsIfAllowed(c)
  },

  /** keyctl(2): a filter that blocks it here also blocks it for the payload, and without it no key can be read. */
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
    const file = b.temporary()
    const path = b.text(limitFileOf('user'))
    b.move(file, c.must('openat', AT.FDCWD, path, c.open.WRONLY | c.open.CLOEXEC, 0))
    c.must('write', file, b.text('0'), 1)
    c.attempt('close', file)
  },

  guard(c, step) {
    const { b } = c
    const top = topOf(b)
    const done = b.label()
    const coverParts = step.place.owned ? coverOwned : coverFound
    b.move(top, find(c, step.place))
    // Others may have moved the mount away, and what is there now has none of what is to be covered.
    if (!step.place.owned) requireFilesystem(c, top, Object.values(SUPER_MAGIC), 'ESTALE')
    // Each name behind what is to be done with it.
    const cover = (...parts: readonly string[]) => {
      if (parts.length === 0) return
      coverParts(c, { parts: b.bytes(new TextEncoder().encode(`${parts.join('\0')}\0\0`)) })
    }
    cover(...step.worldReadable.map((name) => `${masked}${name}`))
    for (const name of step.eachCpu) coverOfEachCpu(c, coverParts, name)
    if (step.when !== 'always') skipUnlessOwner(c, top, done)
    if (step.when === 'refuseOwner') {
      c.failWith('EPERM')
    }
    cover(...step.readonly.map((name) => `${readonly}${name}`), ...step.masked.map((name) => `${masked}${name}`))
    b.place(done)
    c.attempt('close', top)
  },
}

/** Processors are numbered from 0; one that is offline has its directory still. */
function coverOfEachCpu(c: LauncherContext, coverParts: typeof coverFound, name: string): void {
  const { b } = c
  const [cpu, cursor] = b.temporaries(2)
  // Zeros behind the name end the list of names.
  const part = b.reserve(128)
  const directory = b.temporary()
  b.move(cpu, 0)
  b.compute(directory, part, 'add', 1)
  b.loop(({ leave }) => {
    b.move(cursor, part)
    copyText(b, cursor, b.text(`${masked}devices/system/cpu/cpu`))
    decimal(b, cursor, cpu)
    c.attempt('faccessat', topOf(b), directory, 0)
    c.whenError('ENOENT', leave)
    c.orFail()
    copyText(b, cursor, b.text(`/${name}`))
    b.store(8, cursor, 1, 0)
    coverParts(c, { parts: part })
    b.compute(cpu, cpu, 'add', 1)
  })
}

/**
 * The owner of the kernel's own files is the host's uid 0. Where that reads as the overflow id, no process inside is root
 * outside, unless it is the very payload.
 */
function skipUnlessOwner(c: LauncherContext, top: Slot, done: Label): void {
  const { b } = c
  const status = statusBuffer(c)
  const uid = b.temporary()
  c.must('statx', top, b.text(''), AT.EMPTY_PATH, STATX.UID, status)
  b.load(uid, 32, status, structs.statx.fields.stx_uid.offset)
  b.when(uid, 'eq', overflowId, () => {
    c.attempt('geteuid')
    b.branch(c.result, 'ne', overflowId, done)
  })
}

const [readonly, masked] = ['r', 'm'] as const
const onto = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH

/** The top of the filesystem whose parts are covered. */
const topOf = variable()

const coverOwned = coverer('guard, owned', true)
const coverFound = coverer('guard', false)

/**
 * Covers each of `parts`, as far as this kernel has it: what is masked with an empty directory or /dev/null. No link is
 * followed: should the mount's place be moved away meanwhile, nothing else can be brought in instead. One that is `owned` cannot
 * be moved, so that it is the kernel's own, where none of these paths has a link.
 */
function coverer(name: string, owned: boolean) {
  return routine(name, { takes: ['parts'] }, (c: LauncherContext, { parts: next }) => {
    const { b } = c
    const top = topOf(b)
    const [file, tree, byte] = b.temporaries(3)
    const kind = b.temporary()
    b.loop(({ leave }) => {
      const [skip, cover] = [b.label(), b.label()]
      b.load(kind, 8, next)
      b.when(kind, 'eq', 0, leave)
      b.compute(next, next, 'add', 1)
      if (owned) c.attempt('openat', top, next, c.open.PATH | c.open.NOFOLLOW | c.open.CLOEXEC, 0)
      else openPath(c, { from: top, path: next, how: howOf(c, 'refused') })
      c.whenError('ENOENT', () => b.jump(skip))
      c.orFail()
      b.move(file, c.result)
      b.when(kind, 'eq', readonly.charCodeAt(0), () => {
        const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.RECURSIVE | AT.EMPTY_PATH
        b.move(tree, c.must('open_tree', file, b.text(''), flags))
        restrict(c, tree, { readonly: true }, true)
        b.jump(cover)
      })
      const covering = { readonly: true, nosuid: true, noexec: true }
      const type = fileKind(c, file)
      c.orFail()
      b.when(
        type,
        'eq',
        S_IF.DIR,
        () => b.move(tree, newMount(c, 'tmpfs', [['mode', '0555']], { ...covering, nodev: true })),
        () => {
          b.move(tree, c.must('open_tree', AT.FDCWD, b.text('/dev/null'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC))
          restrict(c, tree, covering, false)
        },
      )
      b.place(cover)
      c.must('move_mount', tree, b.text(''), file, b.text(''), onto)
      c.attempt('close', tree)
      c.attempt('close', file)
      b.place(skip)
      b.loop(({ leave }) => {
        b.load(byte, 8, next)
        b.compute(next, next, 'add', 1)
        b.when(byte, 'eq', 0, leave)
      })
    })
  })
}

const refuseDirectory = routine('refuseDirectory', { takes: ['fd'] }, (c: LauncherContext, { fd }) => {
  const { b } = c
  const kind = fileKind(c, fd)
  const fine = b.label()
  // Not open at all.
  c.whenFailed(() => b.jump(fine))
  b.branch(kind, 'ne', S_IF.DIR, fine)
  c.failWith('EISDIR')
  b.place(fine)
})
