/**
 * Code that executes a vial such that nothing inside can change what is executed next: from sealed memory, or, where a host
 * forbids memory to be executed (vm.memfd_noexec), from a file that has no name.
 */
import { copyFile, copySealed, executeDescriptor } from '../assembly/sealed.js'
import { descriptorPath } from '../assembly/text.js'
import { AT } from '../kernel/flags.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import type { FrontContext } from './frontContext.js'

/** Leaves in `to` the descriptor of a copy of `source`; the file without a name is in `directory`. */
export function copyForExecution(
  c: FrontContext,
  { source, size, directory, to }: { source: Operand; size: Operand; directory: Operand; to: Slot },
  failed: Label,
): void {
  const { b } = c
  const [nameless, done] = [b.label(), b.label()]
  const writer = b.temporary()
  copySealed(c, { source, size, to }, nameless)
  b.jump(done)
  b.place(nameless)
  const { CLOEXEC, RDONLY, RDWR, TMPFILE } = c.open
  b.move(writer, c.attempt('openat', directory, b.text('.'), TMPFILE | RDWR | CLOEXEC, 0o500))
  c.onFailure(failed)
  copyFile(c, { source, size, to: writer }, failed)
  // Execution is refused while anything has it open for writing: ETXTBSY of execve(2).
  b.move(to, c.attempt('openat', AT.FDCWD, descriptorPath(c, writer), RDONLY | CLOEXEC, 0))
  c.onFailure(failed)
  c.attempt('close', writer)
  b.place(done)
}

/** Replaces us by the vial; its words are our own name, COMMAND and what follows it. Comes back when it cannot be executed. */
export function execute(c: FrontContext, file: Operand): void {
  const { b } = c
  const [argv, name, kept] = [b.temporary(), b.temporary(), b.temporary()]
  b.compute(argv, c.command, 'sub', 8)
  b.load(name, 64, c.stack, 8)
  b.load(kept, 64, argv)
  b.store(64, argv, 0, name)
  executeDescriptor(c, file, argv, c.envp)
  b.store(64, argv, 0, kept)
}
