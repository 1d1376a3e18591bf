/** What completion in a shell offers as the value of a flag, or as a word of a command. */
import type { presetNames } from '../policy/schema.js'
import type { ProfileName } from '../seccomp/profileSchema.js'

/**
 * What the shell itself, or vial, finds when asked. `sides`: PATH[:INSIDE]; `program`: a name that is looked up in PATH, or a file;
 * `sandbox`: the name of one; `variable`: a name of the environment.
 */
export type Source = 'file' | 'sides' | 'program' | 'sandbox' | 'variable'

/** Both may be given; where neither is, nothing is offered. */
export interface Offer {
  /** Of letters, digits, `-`, `_` and `+` alone: a script has them as they are. */
  readonly words?: readonly string[]
  readonly from?: Source
}

/** Of a flag or a command that takes one of these words, or what else `other` stands for: as help shows it, and what is offered. */
export const oneOf = (words: readonly string[], other?: { readonly value: string; readonly from: Source }) => ({
  value: [...words, ...(other === undefined ? [] : [other.value])].join('|'),
  offers: { words, ...(other === undefined ? {} : { from: other.from }) } as Offer,
})

// The schemas, which have these names too, take long to load.
const presets: Readonly<Record<(typeof presetNames)[number], true>> = { system: true, empty: true }
export const presetWords: readonly string[] = Object.keys(presets)
const profiles: Readonly<Record<ProfileName, true>> = { default: true, strict: true, nested: true, none: true }
/** Values of --seccomp that are no files. */
export const profileWords: readonly string[] = Object.keys(profiles)
