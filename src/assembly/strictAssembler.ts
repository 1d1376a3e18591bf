/** System calls that must succeed: whatever fails goes to one place, with the error in `result`. */
import { type ErrnoName, errno } from '../kernel/errno.js'
import type { SyscallName } from '../kernel/syscalls.js'
import { firstError, type Label, type Operand, type Slot } from '../machine/instruction.js'
import { Assembler } from './assembler.js'
import { routine } from './routine.js'

export class StrictAssembler extends Assembler {
  /** The program says there what failed, and ends. */
  readonly fail: Label = this.b.label()

  /** A system call that must succeed; the result is in `result`. */
  must(name: SyscallName, ...args: Operand[]): Slot {
    if (name !== 'clone') this.b.emit({ op: 'syscall', name, args, to: this.result, failing: this.fail })
    else {
      // A child in our memory shares the stack: no return address may lie there that the parent comes back to.
      this.attempt(name, ...args)
      this.orFail()
    }
    return this.result
  }

  /** Fails if the last system call did. */
  orFail(): void {
    check(this, {})
  }

  /** Fails with an error that no system call gave. */
  failWith(name: ErrnoName): void {
    this.b.move(this.result, -errno[name])
    this.b.jump(this.fail)
  }

  /** A system call that may fail with `tolerated`, and with nothing else. */
  mustUnless(tolerated: ErrnoName, name: SyscallName, ...args: Operand[]): void {
    this.attempt(name, ...args)
    const tolerable = this.b.label()
    this.b.branch(this.result, 'eq', -errno[tolerated], tolerable)
    this.orFail()
    this.b.place(tolerable)
  }
}

const check = routine('check', {}, ({ b, result, fail }: StrictAssembler) => b.branch(result, 'ge', firstError, fail))
