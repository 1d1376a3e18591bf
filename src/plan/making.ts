/** How the tables of phases are written. */
import type { NamespaceChoice, Specification } from './specification.js'
import type { Step } from './step.js'

/** What a specification asks for on one matter, in our own words. `init`: the steps by which init makes the world, where these come before. */
export type Making = (specification: Specification, init: readonly Step[]) => readonly Step[]

/** A step if it is asked for. */
export const when = (asked: boolean, step: () => Step): Step[] => (asked ? [step()] : [])

/** Whether a namespace is the caller's. */
export const isShared = ({ make, join }: NamespaceChoice): boolean => make === 'no' && join === undefined
