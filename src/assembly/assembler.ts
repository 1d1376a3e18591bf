/** What the code of any program here begins with: a builder, the caller's stack, and system calls with their result. */
import type { Architecture } from '../kernel/architecture.js'
import { type ErrnoName, errno } from '../kernel/errno.js'
import { openFlags } from '../kernel/flags.js'
import type { SyscallName } from '../kernel/syscalls.js'
import { Builder } from '../machine/builder.js'
import { firstError, type Label, type Operand, type Slot } from '../machine/instruction.js'

export class Assembler {
  readonly b = new Builder()
  /** Of openat(2), whose numbers differ between architectures. */
  readonly open: ReturnType<typeof openFlags>
  /** What the last system call gave: from {@link firstError} on, it is -errno. */
  readonly result: Slot = this.b.variable()
  /** Points at argc: argv, the environment and what getauxval(3) gives follow. */
  readonly stack: Slot = this.b.variable()

  constructor(architecture: Architecture) {
    this.open = openFlags(architecture)
  }

  /** A system call whose failure is looked at by what follows. */
  attempt(name: SyscallName, ...args: Operand[]): Slot {
    this.b.syscall(this.result, name, ...args)
    return this.result
  }

  whenFailed(then: () => void, otherwise?: () => void): void {
    this.b.when(this.result, 'ge', firstError, then, otherwise)
  }

  whenError(name: ErrnoName, then: () => void, otherwise?: () => void): void {
    this.b.when(this.result, 'eq', -errno[name], then, otherwise)
  }

  onFailure(target: Label): void {
    this.b.branch(this.result, 'ge', firstError, target)
  }

  unlessFailed(target: Label): void {
    this.b.branch(this.result, 'lt', firstError, target)
  }

  exit(status: Operand): void {
    this.attempt('exit_group', status)
  }
}
