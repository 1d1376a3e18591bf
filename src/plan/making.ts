/** How the tables of phases are written. */
import type { NamespaceChoice, Specification } from './specification.js'
import type { Step } from './step.js'

/** What a specification asks for on one matter, in our own words. `init`: the steps by which init makes the world, where these come before. */
export type Making = (specification: Specification, init: readonly Step[]) => readonly Step[]

/** A step if it is asked for: by what is true, or by a value, of which it is made. */
export const when = <Asked>(asked: Asked | undefined, step: (value: Asked) => Step): Step[] =>
  asked === undefined || asked === false ? [] : [step(asked)]

/** Whether a namespace is the caller's. */
export const isShared = ({ make, join }: NamespaceChoice): boolean => make === 'no' && join === undefined
