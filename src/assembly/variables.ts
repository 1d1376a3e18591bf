/**
 * Variables, each declared in the file that it belongs to: a misspelt one does not type-check, and two pieces of code share one only
 * where one imports it from the other.
 */
import type { Builder } from '../machine/builder.js'
import type { Slot } from '../machine/instruction.js'

export type Variables<Name extends string> = Readonly<Record<Name, Slot>>

/** What each program, or each context of one, has one of: it is made when it is first asked for. */
export function own<Owner extends object, Value>(make: (owner: Owner) => Value): (owner: Owner) => Value {
  const known = new WeakMap<Owner, { readonly value: Value }>()
  return (owner) => {
    const held = known.get(owner)
    if (held !== undefined) return held.value
    const value = make(owner)
    known.set(owner, { value })
    return value
  }
}

export const variable = (): ((b: Builder) => Slot) => own((b) => b.variable())

/** Several: `const place = variables('path', 'name')`, and then `place(b).path`. */
export function variables<const Name extends string>(...names: readonly Name[]): (b: Builder) => Variables<Name> {
  return own((b) => Object.fromEntries(names.map((name) => [name, b.variable()])) as Record<Name, Slot>)
}

/** One for each descriptor, path or the like. */
export function variableOf<Key>(): (b: Builder, key: Key) => Slot {
  const known = own((_: Builder) => new Map<Key, Slot>())
  return (b, key) => {
    const slot = known(b).get(key) ?? b.variable()
    known(b).set(key, slot)
    return slot
  }
}
