/** Checks a policy: every fault at once, each with its path. */
import * as v from 'valibot'
import { Fault, PolicyError } from '../text/error.js'
import { wrongValue } from '../text/shapes.js'
import { contradictions } from './contradictions.js'
import { below } from './path.js'
import { type CheckedPolicy, policySchema, type StrictPolicy } from './schema.js'

function pathOf(issue: v.BaseIssue<unknown>): string {
  const keys = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
  const path = keys.reduce<string>(below, '')
  return path === '' ? 'policy' : path
}

/**
 * Checks a policy from anywhere.
 * @throws {PolicyError} with every fault.
 */
export function checkPolicy(input: unknown): StrictPolicy {
  parsePolicy(input)
  // Strict, for the schema has refused a second kind.
  return input as StrictPolicy
}

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
