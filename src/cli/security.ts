/** `vial explain --security`. */
import { security } from '../plan/security.js'
import { printable } from '../kernel/printable.js'
import { compile } from '../run/compile.js'
import { Limiter } from '../run/limiter.js'
import type { PolicyFlags } from './options.js'
import { speaking } from './policy.js'
import { trustedBy } from './trusted.js'
import { write, printJson } from './write.js'

export function explainSecurity(policy: string | undefined, flags: PolicyFlags & { readonly json?: true }): void {
  const { rows, missing } = speaking(flags, { named: policy }, (complete, names) => {
    // As a run has it, in a group that is made for it.
    const limiter = complete.limits === undefined ? undefined : new Limiter(complete)
    const { group, missing } = limiter?.explained(3) ?? {}
    const { plan } = compile(complete, {
      outputIsWatched: true,
      trusted: trustedBy(flags, policy),
      ...(group === undefined ? {} : { group }),
    })
    const rows = security(plan, limiter === undefined ? {} : { limits: limiter.held() })
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
