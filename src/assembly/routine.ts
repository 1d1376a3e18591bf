/** Subroutines: emitted once, and only in a program that calls them. What they take and give is declared, and every call gives it all. */
import type { Builder } from '../machine/builder.js'
import type { Operand } from '../machine/instruction.js'
import { type Variables, variables } from './variables.js'

const names = new Set<string>()

/**
 * Declares a routine. What it takes and gives are variables of its own, which `body` may change; an error is left in the context's
 * `result`, as by a system call.
 */
export function routine<
  Context extends { readonly b: Builder },
  const Taken extends string = never,
  const Given extends string = never,
>(
  name: string,
  { takes = [], gives = [] }: { readonly takes?: readonly Taken[]; readonly gives?: readonly Given[] },
  body: (c: Context, own: Variables<Taken | Given>) => void,
): (c: Context, values: Readonly<Record<Taken, Operand>>) => Variables<Given> {
  if (names.has(name)) throw new Error(`two routines are called ${name}`)
  names.add(name)
  const slotsOf = variables<Taken | Given>(...takes, ...gives)
  return (c, values) => {
    const { b } = c
    const slots = slotsOf(b)
    for (const taken of takes) if (values[taken] !== slots[taken]) b.move(slots[taken], values[taken])
    b.call(b.routine(name, () => body(c, slots)))
    return slots
  }
}
