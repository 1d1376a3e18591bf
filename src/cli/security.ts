/** `vial explain --security`. */
import { security } from '../plan/security.js'
import { printable } from '../kernel/printable.js'
import { compile } from '../run/compile.js'
import type { PolicyFlags } from './options.js'
import { policyFromFlags } from './policy.js'
import { print, printJson } from './print.js'

export function explainSecurity(policy: string | undefined, flags: PolicyFlags & { readonly json?: true }): void {
  const rows = security(compile(policyFromFlags(flags, policy)).plan)
  if (flags.json) {
    printJson({ rows })
    return
  }
  const lines = rows.flatMap(({ attack, stands, open }) => [
    attack,
    ...stands.map((line) => `  +  ${line}`),
    ...open.map((line) => `  -  ${line}`),
  ])
  lines.push('', '+ stands between the payload and the host; - nothing does. See SECURITY.md.')
  print(`${lines.map(printable).join('\n')}\n`)
}
