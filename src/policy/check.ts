/** Checks a policy: every fault at once, each with its path. */
import * as v from 'valibot'
import { didYouMean } from './closest.js'
import { contradictions } from './contradictions.js'
import { PolicyError } from '../text/error.js'
import { mountKindNames } from './kinds.js'
import { mountKinds, type Policy, policySchema } from './schema.js'

function pathOf(issue: v.BaseIssue<unknown>): string {
  let path = ''
  for (const { key } of issue.path ?? []) {
    if (typeof key === 'number') path += `[${key}]`
    else if (/^[\w-]+$/.test(String(key))) path += `${path === '' ? '' : '.'}${String(key)}`
    else path += `[${JSON.stringify(String(key))}]`
  }
  return path === '' ? 'policy' : path
}

/** The keys that the object of an unknown key may have; none where that is not plain to see. */
function keysBeside(issue: v.BaseIssue<unknown>): string[] {
  let schema: unknown = policySchema
  for (const { key, value } of issue.path?.slice(0, -1) ?? []) {
    const kind = mountKindNames.find(
      (kind) => typeof value === 'object' && value !== null && Object.hasOwn(value, kind),
    )
    schema = typeof key === 'number' && kind !== undefined ? mountKinds[kind] : entriesOf(schema)?.[String(key)]
  }
  return Object.keys(entriesOf(schema) ?? {})
}

/** The keys of an object schema, through `optional` and `pipe`. */
function entriesOf(schema: unknown): Record<string, unknown> | undefined {
  const { wrapped, entries } = (schema ?? {}) as { wrapped?: unknown; entries?: Record<string, unknown> }
  return entries ?? (wrapped === undefined ? undefined : entriesOf(wrapped))
}

/** What is said where the schema has no words of its own. */
const wrongKind = ({ expected, received }: v.BaseIssue<unknown>) =>
  `must be ${expected ?? 'something else'}, not ${received}`

function faultOf(issue: v.BaseIssue<unknown>): string {
  if (isUnknownKey(issue)) {
    const key = String(issue.path?.at(-1)?.key)
    return `${pathOf(issue)}: is no known key${didYouMean(key, keysBeside(issue))}`
  }
  return `${pathOf(issue)}: ${issue.message}`
}

/**
 * Checks a policy from anywhere.
 * @throws {PolicyError} with every fault.
 */
export function checkPolicy(input: unknown): Policy {
  if (Array.isArray(input)) throw new PolicyError(['policy: must be an object, not a list'])
  const faults: string[] = []
  let rest = input
  for (;;) {
    const { issues = [], typed, output } = v.safeParse(policySchema, rest, { message: wrongKind })
    faults.push(...issues.map(faultOf))
    // The validator stops at the first unknown key of an object; the others are found without it.
    const unknown = issues.filter(isUnknownKey)
    if (unknown.length === 0) {
      if (typed) faults.push(...contradictions(output))
      if (faults.length > 0) throw new PolicyError([...new Set(faults)])
      return output as Policy
    }
    for (const { path } of unknown) rest = without(rest, path!)
  }
}

const isUnknownKey = (issue: v.BaseIssue<unknown>) => issue.type === 'strict_object' && issue.expected === 'never'

/** A copy of `value` that lacks what the path leads to. */
function without(value: unknown, [first, ...rest]: readonly { readonly key: unknown }[]): unknown {
  // slice keeps the holes of a list, which would be keys again.
  const copy: Record<string, unknown> = Array.isArray(value) ? value.slice() : Object.assign({}, value)
  const key = first!.key as string
  if (rest.length === 0) delete copy[key]
  else copy[key] = without(copy[key], rest)
  return copy
}
