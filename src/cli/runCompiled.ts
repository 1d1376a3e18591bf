/** `vial run` when its vial is not there yet. Apart from run.ts, for all the compiler comes with it. */
import type { Compiled } from '../run/compile.js'
import { rememberVial } from '../run/remember.js'
import { Sandbox } from '../run/sandbox.js'
import { openStored } from '../run/store.js'
import { attend, policyOf, type Run, type Started } from './attend.js'
import { type Request, requestOf } from './request.js'
import { requireSources } from './sources.js'
import { trustedBy } from './trusted.js'

// Errors are known by their class, and this is another bundle than run.ts, with another such class: it attends by itself.
export async function runCompiled(run: Run, request: Request | undefined): Promise<void> {
  await attend(run, () => startCompiled(run, request))
}

async function startCompiled(run: Run, request: Request | undefined): Promise<Started> {
  const { command, args, flags, options, texts, ignored } = run
  const policy = await policyOf(run)
  requireSources(flags)
  const { output, stdout, stderr } = policy.limits ?? {}
  const counted = [output, stdout, stderr].some((limit) => limit !== undefined)
  // Afterwards, what fill looks at may have been changed by the payload.
  let complete = policy
  const store = (compiled: Compiled) => {
    const { bytes } = compiled
    complete = compiled.policy
    // The host may have changed since it was looked at: then the vial is not that of the key.
    const isSame = request !== undefined && requestOf(flags, texts)?.key === request.key
    return (isSame ? rememberVial(request.key, bytes) : undefined) ?? openStored(bytes)
  }
  const child = new Sandbox(policy, process.cwd(), store, trustedBy(flags), ignored).spawn(command, args, {
    ...options,
    ...(counted ? { stdio: ['inherit', 'pipe', 'pipe'] } : {}),
  })
  return { child, sharesSession: policy.session === 'host', policy: () => complete }
}
