/** Checks a policy: every fault at once, each with its path. */
import * as v from 'valibot'
import { Fault, OptionError, PolicyError } from '../text/error.js'
import { wrongValue } from '../text/shapes.js'
import { contradictions } from './contradictions.js'
import { below } from './path.js'
import { type CheckedPolicy, policySchema, type StrictPolicy } from './schema.js'

/** The path of what an issue is about. */
export function pathOf(issue: v.BaseIssue<unknown>): string {
  const keys = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
  const path = keys.reduce<string>(below, '')
  return path === '' ? 'policy' : path
}

/** A policy that has no faults: as it was given, for people and records, and as the check parsed it, for the compiler. */
export interface AcceptedPolicy {
  readonly given: StrictPolicy
  readonly checked: CheckedPolicy
}

/**
 * Checks a policy, once: what has been accepted is handed on, and not checked again.
 * @throws {PolicyError} with every fault.
 */
export function acceptPolicy(input: unknown): AcceptedPolicy {
  const checked = parsePolicy(input)
  // Strict, for the schema has refused a second kind.
  return { given: input as StrictPolicy, checked }
}

/** The same, when it is first asked for. */
export function acceptedLater(input: StrictPolicy): () => AcceptedPolicy {
  let accepted: AcceptedPolicy | undefined
  return () => {
    accepted ??= acceptPolicy(input)
    return accepted
  }
}

/**
 * Checks a policy from anywhere.
 * @throws {PolicyError} with every fault.
 */
export const checkPolicy = (input: unknown): StrictPolicy => acceptPolicy(input).given

/**
 * Checks a policy, and parses what is in it.
 * @throws {PolicyError} with every fault.
 */
export function parsePolicy(input: unknown): CheckedPolicy {
  const { issues = [], typed, output } = v.safeParse(policySchema, input, { message: wrongValue })
  const faults = [
    ...issues.map((issue) => new Fault(pathOf(issue), issue.message)),
    ...(typed ? contradictions(output) : []),
  ]
  const distinct = new Map(faults.map((fault) => [String(fault), fault]))
  if (distinct.size > 0) throw new PolicyError([...distinct.values()])
  return output as CheckedPolicy
}

/**
 * Checks options that are no policy, and parses what is in them.
 * @throws {OptionError} that names the first fault
 */
export function parseOptions<const Schema extends v.GenericSchema>(
  schema: Schema,
  given: unknown,
): v.InferOutput<Schema> {
  const { issues, output } = v.safeParse(schema, given, { message: wrongValue })
  const [issue] = issues ?? []
  if (issue !== undefined) throw OptionError.at(new Fault(pathOf(issue), issue.message))
  return output as v.InferOutput<Schema>
}
