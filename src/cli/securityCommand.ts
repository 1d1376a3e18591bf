/** `vial explain --security`. */
import { compileAccepted } from '../compile/compile.js'
import { printable } from '../text/printable.js'
import { security } from '../plan/security.js'
import { Limiter } from '../run/limiter.js'
import { printJson, write } from '../text/write.js'
import { speaking } from './flagsToPolicy.js'
import type { PolicyFlags } from './policyFlags.js'
import { trustedBy } from './trusted.js'

export function explainSecurity(file: string | undefined, flags: PolicyFlags & { readonly json?: true }): void {
  const { rows, missing } = speaking(flags, { named: file }, (policy, names) => {
    // As a run has it, in a group that is made for it.
    const { limits } = policy.given
    const limiter = limits === undefined ? undefined : new Limiter(policy.checked)
    const { group, missing } = limiter?.explained() ?? {}
    const { plan } = compileAccepted(policy, {
      outputIsWatched: true,
      trusted: trustedBy(flags, file),
      ...(group === undefined ? {} : { group }),
    })
    const rows = security(plan, limiter === undefined ? {} : { limits: limiter.held(limits!) })
    return { rows, missing: missing?.speak(names).message }
  })
  if (flags.json) {
    printJson({ rows, ...(missing === undefined ? {} : { limits: missing }) })
    return
  }
  const lines = rows.flatMap(({ attack, stands, open }) => [
    attack,
    ...stands.map((line) => `  +  ${line}`),
    ...open.map((line) => `  -  ${line}`),
  ])
  if (missing !== undefined) lines.push('', `vial run would fail here: ${missing.split('\n')[0]}`)
  lines.push('', '+ stands between the payload and the host; - nothing does. See SECURITY.md.')
  write(1, `${lines.map(printable).join('\n')}\n`)
}
