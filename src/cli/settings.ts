/** Flags that set one key of a policy each. */
import { type Option, runOptions } from './policyFlags.js'

export interface Setting {
  readonly flag: string
  readonly path: NonNullable<Option['sets']>
  readonly value: unknown
  /** As it was typed. */
  readonly typed: string
}

/** Those that are given, in the order of the table. */
export function settingsOf(flags: object, options: readonly Option[]): Setting[] {
  return options.flatMap(({ name, sets, to, many, list }) => {
    const given = (flags as Readonly<Record<string, unknown>>)[name]
    if (sets === undefined || given === undefined || many || list) return []
    return [
      { flag: name, path: sets, value: to ?? given, typed: to === undefined ? `--${name} ${given}` : `--${name}` },
    ]
  })
}

/** A copy of a policy, or of a part of one, with a value at this path. */
export const put = (policy: object, path: string, value: unknown): object => putAt(policy, path.split('.'), value)

function putAt(policy: object, [first = '', ...rest]: readonly string[], value: unknown): object {
  const inner = (policy as Readonly<Record<string, object | undefined>>)[first]
  return { ...policy, [first]: rest.length === 0 ? value : putAt(inner ?? {}, rest, value) }
}

/** Flags that set a limit. */
export const limitOptions: readonly Option[] = runOptions.filter((one: Option) => one.sets?.startsWith('limits.'))
