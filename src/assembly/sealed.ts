/**
 * An executable that none of its processes can change: a copy in memory whose seals the kernel keeps, memfd_create(2).
 *
 * A process can be looked at as /proc/PID/exe by others of its user. Were that the file in the caller's cache, a payload with
 * the same ids could change its mode, write to it, and so choose what the caller runs next.
 */
import { errno } from '../kernel/errno.js'
import { AT, F, MFD } from '../kernel/flags.js'
import { firstError, type Label, type Operand, type Slot } from '../machine/instruction.js'
import type { Assembler } from './assembler.js'
import { descriptorPath } from './text.js'

const unchangeable = F.SEAL_WRITE | F.SEAL_GROW | F.SEAL_SHRINK | F.SEAL_SEAL

/**
 * The two ways to have one. Linux 6.3 brought MFD_EXEC, without which the sysctl vm.memfd_noexec makes a file that cannot be
 * executed, and F_SEAL_EXEC, which keeps its mode; a kernel knows both or neither.
 */
const ways = [
  { flags: MFD.EXEC, seals: unchangeable | F.SEAL_EXEC },
  { flags: 0, seals: unchangeable },
] as const

/** Of so many bytes, from one descriptor to another. */
export interface FileCopy {
  readonly source: Operand
  readonly size: Operand
  readonly to: Operand
}

/** Copies `size` bytes of `source` into sealed memory, and leaves its descriptor in `to`; else jumps with the error in `result`. */
export function copySealed(c: Assembler, copy: FileCopy & { readonly to: Slot }, failed: Label): void {
  makeSealed(c, { to: copy.to, fill: () => copyFile(c, copy, failed) }, failed)
}

/**
 * The same of what `fill` writes into it; with `mode`, see chmod(2), in place of one in which all may do all.
 */
export function makeSealed(
  c: Assembler,
  { to, fill, mode }: { readonly to: Slot; readonly fill: () => void; readonly mode?: number },
  failed: Label,
): void {
  const { b } = c
  const sealed = b.label()
  for (const [index, { flags, seals }] of ways.entries()) {
    const older = b.label()
    c.attempt('memfd_create', b.text('vial'), flags | MFD.CLOEXEC | MFD.ALLOW_SEALING)
    if (index + 1 < ways.length) b.branch(c.result, 'eq', -errno.EINVAL, older)
    b.branch(c.result, 'ge', firstError, failed)
    b.move(to, c.result)
    fill()
    if (mode !== undefined) {
      c.attempt('fchmod', to, mode)
      b.branch(c.result, 'ge', firstError, failed)
    }
    c.attempt('fcntl', to, F.ADD_SEALS, seals)
    b.branch(c.result, 'ge', firstError, failed)
    b.jump(sealed)
    b.place(older)
  }
  b.place(sealed)
}

/** sendfile(2), from the beginning. A source that ends too early is EIO. */
export function copyFile(c: Assembler, { source, size, to }: FileCopy, failed: Label): void {
  const { b } = c
  const [offset, at] = [b.reserve(8), b.temporary()]
  const left = b.temporary()
  b.store(64, offset, 0, 0)
  b.loop(({ leave }) => {
    b.load(at, 64, offset)
    b.compute(left, size, 'sub', at)
    b.when(left, 'eq', 0, leave)
    c.attempt('sendfile', to, source, offset, left)
    b.branch(c.result, 'ge', firstError, failed)
    b.when(c.result, 'eq', 0, () => {
      b.move(c.result, -errno.EIO)
      b.jump(failed)
    })
  })
}

/** Replaces this process by the file of a descriptor; comes back with the error in `result`. */
export function executeDescriptor(c: Assembler, file: Operand, argv: Operand, envp: Operand): void {
  const { b } = c
  c.attempt('execveat', file, b.text(''), argv, envp, AT.EMPTY_PATH)
  // An emulator may not know it. The name of a descriptor in /proc is the very file.
  c.whenError('ENOSYS', () => c.attempt('execve', descriptorPath(c, file), argv, envp))
}

/** Jumps to `fine` when the file cannot be written. */
export function whenSealed(c: Assembler, file: Operand, fine: Label): void {
  const { b } = c
  const held = b.temporary()
  // EINVAL, which has these bits too, is from a file of another kind.
  b.move(held, c.attempt('fcntl', file, F.GET_SEALS, 0))
  b.when(held, 'lt', firstError, () => {
    b.compute(held, held, 'and', F.SEAL_WRITE)
    b.branch(held, 'ne', 0, fine)
  })
}
