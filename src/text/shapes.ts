/**
 * Objects and unions of a schema. Of a union valibot says only that no member fits, and of an object it names one unknown
 * key. These tell by a value's type and keys which member is meant, and report what is wrong with that one, at its own key.
 */
import * as v from 'valibot'
import { closest, didYouMean } from './closest.js'

// biome-ignore lint/suspicious/noExplicitAny: what a schema takes and gives is inferred, and passed on
type Schema = v.GenericSchema<any, any>
/** Keeps the members' types themselves, and with them the texts of their keys. */
type OneOf<Schemas> = v.LazySchema<Extract<Schemas, Schema>>
type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A schema of which nothing is a value. */
const refused = (fault: string): Schema => v.custom(() => false, fault)

const noObject = (given: unknown) => refused(`must be an object, not ${described(given)}`)

/** An object with these keys and no others. A list is none. */
export function object<const Entries extends v.ObjectEntries>(entries: Entries): v.ObjectSchema<Entries, undefined> {
  const schema = v.object(entries)
  const known = Object.keys(entries)
  const run: (typeof schema)['~run'] = (dataset, config) => {
    const given = dataset.value
    if (!isFields(given)) return noObject(given)['~run'](dataset, config)
    const strange = Object.keys(given).filter((key) => !Object.hasOwn(entries, key))
    const checked = schema['~run'](dataset, config)
    if (strange.length === 0) return checked
    const words = strange.map((key) => [key, refused(`is not a known key${didYouMean(key, known)}`)] as const)
    const { issues } = v.object(Object.fromEntries(words))['~run']({ value: given }, config)
    // That key is not missing, it is misspelt.
    const meant = strange.map((key) => closest(key, known))
    const others = checked.issues?.filter(
      ({ path }) => !(path?.length === 1 && path[0].origin === 'key' && meant.includes(String(path[0].key))),
    )
    return { ...checked, issues: [...(others ?? []), ...issues!] } as typeof checked
  }
  return { ...schema, '~run': run }
}

/** An object that has any keys of this kind. A list is none. */
export function dictionary<
  const Key extends v.BaseSchema<string, string, v.BaseIssue<unknown>>,
  const Value extends Schema,
>(
  key: Key,
  value: Value,
): v.GenericSchema<
  v.InferInput<v.RecordSchema<Key, Value, undefined>>,
  v.InferOutput<v.RecordSchema<Key, Value, undefined>>
> {
  const ofKey = (name: string) => {
    const [fault] = v.safeParse(key, name).issues ?? []
    return [name, fault === undefined ? value : refused(fault.message)] as const
  }
  return v.lazy((given) =>
    isFields(given) ? v.object(Object.fromEntries(Object.keys(given).map(ofKey))) : noObject(given),
  )
}

/**
 * A list, an object, or else a word or number.
 * @param fault what is said of a value that is of another type
 */
export function either<const Members extends { readonly [Type in 'word' | 'list' | 'object']?: Schema }>(
  members: Members,
  fault: string,
): OneOf<Members[keyof Members]> {
  return v.lazy((given) => {
    const type = Array.isArray(given) ? 'list' : isFields(given) ? 'object' : 'word'
    return (members[type] ?? refused(fault)) as Extract<Members[keyof Members], Schema>
  })
}

type ObjectSchema = Schema & { readonly entries: v.ObjectEntries }

/**
 * An object of one of several kinds; each has a key of its own, which names it.
 * @param one what such an object is called, such as `an entry`
 * @param rest an object that names no kind, if there may be one
 */
export function oneKind<const Kinds extends Readonly<Record<string, ObjectSchema>>, Rest extends ObjectSchema = never>(
  one: string,
  kinds: Kinds,
  rest?: Rest,
): OneOf<Kinds[keyof Kinds] | Rest> {
  const names = Object.keys(kinds)
  const having = (keys: readonly string[]) =>
    names.filter((name) => keys.every((key) => Object.hasOwn(kinds[name]!.entries, key)))
  type Kind = Extract<Kinds[keyof Kinds] | Rest, Schema>
  const ofNone = (keys: readonly string[]): Schema => {
    for (const key of keys) {
      const meant = having([key]).length === 0 ? closest(key, names) : undefined
      if (meant !== undefined)
        return refused(`has ${described(key)}, which is not a key of ${one}; did you mean "${meant}"?`)
    }
    if (rest !== undefined) return rest
    const fitting = having(keys)
    return refused(
      keys.length > 0 && fitting.length === 1
        ? `needs "${fitting[0]}" beside ${keys.map(described).join(', ')}`
        : `needs one of the keys ${names.join(', ')}`,
    )
  }
  const named = new Map(
    Object.entries(kinds).map(([name, schema]) => {
      const elsewhere = (key: string) => {
        const owners = having([key])
        return owners.length === 0 ? undefined : `is a key of ${owners.join(', ')}, not of ${name}`
      }
      return [name, namingOwners(schema, elsewhere)]
    }),
  )
  const kindOf = (given: unknown): Schema => {
    if (!isFields(given)) return noObject(given)
    const keys = Object.keys(given)
    const [name, ...others] = keys.filter((key) => Object.hasOwn(kinds, key))
    if (name === undefined) return ofNone(keys)
    if (others.length > 0) return refused(`has "${[name, ...others].join('" and "')}": ${one} has only one of them`)
    return named.get(name)!
  }
  return v.lazy((given) => kindOf(given) as Kind)
}

/** TypeScript lets the members of a union lend each other their keys: of each, those of the others are forbidden. */
export type OfOneKind<Value, Key extends PropertyKey = KeyOf<Value>> = Value extends object
  ? Value & { readonly [Other in Exclude<Key, keyof Value>]?: never }
  : Value
export type KeyOf<Value> = Value extends object ? keyof Value : never

/** The same schema; of an unknown key it says where it belongs, if it belongs to another kind. */
function namingOwners(schema: ObjectSchema, owners: (key: string) => string | undefined): Schema {
  const run: Schema['~run'] = (dataset, config) => {
    const checked = schema['~run'](dataset, config)
    const issues = checked.issues?.map((issue) => {
      const key = String(issue.path?.[0]?.key)
      if (issue.path?.length !== 1 || Object.hasOwn(schema.entries, key)) return issue
      return { ...issue, message: owners(key) ?? issue.message }
    })
    return { ...checked, ...(issues === undefined ? {} : { issues }) } as typeof checked
  }
  return { ...schema, '~run': run }
}

/** By valibot's names of schemas and of checks, what a value has to be. */
const needs: Readonly<Record<string, (requirement: unknown) => string>> = {
  string: () => 'text',
  boolean: () => 'true or false',
  number: () => 'a number',
  array: () => 'a list',
  integer: () => 'a whole number',
  min_value: (least) => `at least ${least}`,
  max_value: (most) => `at most ${most}`,
}

/** What is said where a schema has no words of its own. */
export function wrongValue({ type, requirement, input }: v.BaseIssue<unknown>): string {
  if (input === undefined) return 'is missing'
  return `must be ${needs[type]?.(requirement) ?? 'something else'}, not ${described(input)}`
}

const longest = 40

/** A value in a few words. */
function described(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return JSON.stringify(value.length > longest ? `${value.slice(0, longest)}…` : value)
  return typeof value === 'object' && value !== null
    ? 'an object'
    : typeof value === 'function'
      ? 'a function'
      : String(value)
}
