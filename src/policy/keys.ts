/** Keys of a policy by their paths, for sentences: a path that no policy can have does not compile. */
import { Fault } from '../text/error.js'
import type { Named, Said } from '../text/words.js'
import type { FilesystemEntry, Policy } from './schema.js'

/** What may follow the path of a value of this type. */
type Below<Value> = Value extends string | number | boolean | Uint8Array
  ? never
  : Value extends readonly (infer Item)[]
    ? `[${number}]${'' | Below<Item>}`
    : Value extends object
      ? { [Key in keyof Value & string]: `.${Key}${'' | Below<Value[Key]>}` }[keyof Value & string]
      : never

type Plain = Omit<Policy, 'seccomp'>

/** Such as `limits.memory` or `filesystem[3].bind`. */
export type KeyPath =
  | { [Key in keyof Plain & string]: Key | `${Key}${Below<Plain[Key]>}` }[keyof Plain & string]
  // Profiles in two formats: too many.
  | 'seccomp'

/** A fault of a key. */
export const faultAt = (path: KeyPath, said: Said) => new Fault(path, said)

/** A key. */
export const key = (path: KeyPath): Named => ({ key: path })

/** A key that has a value, or is to have it. */
export const setting = (path: KeyPath, value: unknown): Named => ({ key: path, value })

/** An entry to write, and what follows `--ro` to the same effect. */
export const readOnlyEntry = (entry: Extract<FilesystemEntry, { bind: string }>, flag: string): Named => ({
  entry,
  flag: `--ro ${flag}`,
})
