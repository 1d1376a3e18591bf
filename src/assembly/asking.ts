/** A program that asks the kernel: it makes system calls, and writes what each gave, as 64 bits, to standard output. */
import type { Architecture } from '../kernel/architecture.js'
import { assemble } from '../machine/assemble.js'
import type { Builder } from '../machine/builder.js'
import { firstError } from '../machine/instruction.js'
import { Assembler } from './assembler.js'

export type Ask = (...call: Parameters<Assembler['attempt']>) => void

/** The executable. `stops`: it makes no further call once one has failed. */
export function asking(
  architecture: Architecture,
  { stops }: { readonly stops: boolean },
  calls: (ask: Ask, b: Builder) => void,
): Uint8Array {
  const c = new Assembler(architecture)
  const { b } = c
  const answer = b.reserve(8)
  const end = b.label()
  b.entry(c.stack)
  const given = b.temporary()
  calls((...call) => {
    b.move(given, c.attempt(...call))
    b.store(64, answer, 0, given)
    c.attempt('write', 1, answer, 8)
    if (stops) b.branch(given, 'ge', firstError, end)
  }, b)
  b.place(end)
  c.exit(0)
  return assemble(b.finish(), architecture)
}
