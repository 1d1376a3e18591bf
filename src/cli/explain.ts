/** `vial explain`. */
import { sandbox } from '../run/sandbox.js'
import { type PolicyFlags, policyFromFlags } from './policy.js'

export function explain(policy: string | undefined, flags: PolicyFlags & { json?: boolean }): void {
  const explanation = sandbox(policyFromFlags(policy === undefined ? flags : { ...flags, policy })).explain()
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`)
    return
  }
  let last = ''
  for (const step of explanation.steps) {
    if (step.process !== last) process.stdout.write(`${last === '' ? '' : '\n'}${step.process}\n`)
    last = step.process
    process.stdout.write(`  ${step.what} — ${step.why}\n      ${step.syscalls.join(', ')}\n`)
  }
}
