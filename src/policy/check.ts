/** Checks a policy: every fault at once, each with its path. */
import * as v from 'valibot'
import { contradictions } from './contradictions.js'
import { PolicyError } from '../text/error.js'
import { wrongValue } from '../text/shapes.js'
import { policySchema, type StrictPolicy } from './schema.js'

function pathOf(issue: v.BaseIssue<unknown>): string {
  let path = ''
  for (const { key } of issue.path ?? []) {
    if (typeof key === 'number') path += `[${key}]`
    else if (/^[\w-]+$/.test(String(key))) path += `${path === '' ? '' : '.'}${String(key)}`
    else path += `[${JSON.stringify(String(key))}]`
  }
  return path === '' ? 'policy' : path
}

/**
 * Checks a policy from anywhere.
 * @throws {PolicyError} with every fault.
 */
export function checkPolicy(input: unknown): StrictPolicy {
  const { issues = [], typed, output } = v.safeParse(policySchema, input, { message: wrongValue })
  const faults = issues.map((issue) => `${pathOf(issue)}: ${issue.message}`)
  if (typed) faults.push(...contradictions(output))
  if (faults.length > 0) throw new PolicyError([...new Set(faults)])
  // Strict, for the schema has refused a second kind.
  return output as StrictPolicy
}
