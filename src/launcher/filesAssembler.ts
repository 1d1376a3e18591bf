/** What each part of filer.ts shares: what is open for the request at work, and what it may not touch. */
import { routine } from '../assembly/routine.js'
import { StrictAssembler } from '../assembly/strictAssembler.js'
import { errno } from '../kernel/errno.js'
import { RESOLVE, SUPER_MAGIC } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import { statusBuffer } from './openFiles.js'

export class Filer extends StrictAssembler {
  /** Of the request at work; -1: none is open. */
  readonly directory = this.b.variable()
  readonly other = this.b.variable()
  readonly file = this.b.variable()
  /** 0 until the process is in the sandbox. */
  readonly serves = this.b.variable()
  readonly root = this.b.variable()

  /** A struct open_how of openat2(2). */
  how(flags: number, resolve: number): Address {
    return this.b.bytes(pack(structs.open_how, { flags: flags | this.open.CLOEXEC, resolve }), 8)
  }

  /** What every name is opened with. */
  get careful(): number {
    return this.open.NOFOLLOW | this.open.NONBLOCK | this.open.NOCTTY
  }

  /** Fails if this is -errno. */
  fails(status: Slot): void {
    this.b.move(this.result, status)
    this.onFailure(this.fail)
  }

  openBy(to: Slot, directory: Operand, name: Operand, how: Operand): void {
    this.b.move(to, this.must('openat2', directory, name, how, structs.open_how.size))
  }
}

/** No link, and nothing outside of the directory. */
export const ofName = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS

/** What a file of these holds is an order to the kernel. A payload that is root outside is kept from giving them by more than modes. */
const kernels = Object.values(SUPER_MAGIC)

export function refuseKernels(c: Filer, file: Operand): void {
  isKernels(c, { file })
  c.onFailure(c.fail)
}

/** The result is an error if it is, or cannot be looked at. */
export const isKernels = routine('isKernels', { takes: ['file'] }, (c: Filer, { file }) => {
  const { b } = c
  const [type, end] = [b.temporary(), b.label()]
  c.attempt('fstatfs', file, statusBuffer(c))
  c.onFailure(end)
  b.load(type, 64, statusBuffer(c), structs.statfs.fields.f_type.offset)
  for (const magic of kernels) b.when(type, 'eq', magic, () => b.move(c.result, -errno.EPERM))
  b.place(end)
})
