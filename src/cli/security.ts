/** `vial explain --security`. */
import { security } from '../plan/security.js'
import { compile } from '../run/compile.js'
import { type PolicyFlags, policyFromFlags } from './policy.js'

export function explainSecurity(policy: string | undefined, flags: PolicyFlags & { json?: boolean }): void {
  const rows = security(compile(policyFromFlags(policy === undefined ? flags : { ...flags, policy })).plan)
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ rows }, null, 2)}\n`)
    return
  }
  for (const { attack, stands, open } of rows) {
    process.stdout.write(`${attack}\n`)
    for (const line of stands) process.stdout.write(`  +  ${printable(line)}\n`)
    for (const line of open) process.stdout.write(`  -  ${printable(line)}\n`)
  }
  process.stdout.write('\n+ stands between the payload and the host; - nothing does. See SECURITY.md.\n')
}

/** Paths may hold what a terminal obeys. */
const printable = (line: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  line.replace(/[\0-\x1f\x7f-\x9f]/g, '?')
