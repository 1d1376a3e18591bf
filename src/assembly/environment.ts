/** The environment: words `NAME=value`, one behind the other, and 0 at the end. */
import type { Builder } from '../machine/builder.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import type { Assembler } from './assembler.js'

/** Where the caller's environment begins: behind argv and its 0. */
export function findEnvironment({ b, stack }: Assembler, to: Slot, argc: Slot): void {
  b.compute(to, argc, 'shl', 3)
  b.compute(to, to, 'add', stack)
  b.compute(to, to, 'add', 16)
}

/** Jumps to `other` unless `variable` is one of this name. */
export function branchUnlessNamed(b: Builder, variable: Slot, name: string, other: Label): void {
  const byte = b.temporary()
  for (const [index, wanted] of [...Buffer.from(`${name}=`)].entries()) {
    b.load(byte, 8, variable, index)
    b.branch(byte, 'ne', wanted, other)
  }
}

/** As getenv(3): the value of the first variable of this name, or `fallback`. */
export function findVariable(b: Builder, value: Slot, name: string, environment: Operand, fallback = ''): void {
  const [at, variable] = b.temporaries(2)
  b.move(value, b.text(fallback))
  b.move(at, environment)
  b.loop(({ leave }) => {
    b.load(variable, 64, at)
    b.when(variable, 'eq', 0, leave)
    b.compute(at, at, 'add', 8)
    const next = b.label()
    branchUnlessNamed(b, variable, name, next)
    b.compute(value, variable, 'add', name.length + 1)
    leave()
    b.place(next)
  })
}
