/** `vial run` when its vial is not there yet. Apart from runCommand.ts, for all the compiler comes with it. */
import { openStored } from '../cache/contentVials.js'
import { rememberVial } from '../cache/rememberedVials.js'
import type { Compiled } from '../compile/compile.js'
import { Looks, noting } from '../fill/look.js'
import { faultAt } from '../policy/keys.js'
import type { Policy } from '../policy/schema.js'
import { Sandbox } from '../run/sandbox.js'
import { PolicyError } from '../text/error.js'
import type { BesideOf } from '../run/beside.js'
import { attend, type Started } from './attend.js'
import { UsageError } from './commandLine.js'
import { logIsAboutNames, NetworkReport } from './networkReport.js'
import { requireSources } from './pathFlags.js'
import { type PolicyRun, policyOf } from './policyRun.js'
import { type Request, type Requester, sharesSession, stdioOf } from './request.js'
import { trustedBy } from './trusted.js'

// Errors are known by their class, and this is another bundle than runCommand.ts, with another such class: it attends by itself.
export async function runCompiled(run: PolicyRun, request: Request | undefined, requester: Requester): Promise<void> {
  const network = new NetworkReport(run.flags['network-log'])
  await attend(run, () => startCompiled(run, request, requester, network.beside))
  await network.end()
}

async function startCompiled(
  run: PolicyRun,
  request: Request | undefined,
  requester: Requester,
  beside: BesideOf,
): Promise<Started> {
  const { command, args, flags, options, ignored } = run
  const accepted = await policyOf(run)
  const { given: policy } = accepted
  requireSources(flags)
  if (flags['network-log'] !== undefined && typeof policy.network !== 'object') throw new UsageError(logIsAboutNames)
  refuseDescriptors(policy)
  const { output, stdout, stderr } = policy.limits ?? {}
  const limitsOutput = [output, stdout, stderr].some((limit) => limit !== undefined)
  const looks = new Looks()
  // Afterwards, what fill looks at may have been changed by the payload.
  let complete = policy
  const store = (compiled: Compiled) => {
    const { bytes } = compiled
    complete = compiled.policy
    // The host may have changed since it was looked at: then the vial is not that of the key.
    const seen = looks.written()
    const isSame = request !== undefined && seen !== undefined && requester()?.key === request.key
    return (isSame ? rememberVial(request.key, bytes, seen) : undefined) ?? openStored(bytes)
  }
  const sandbox = new Sandbox(() => accepted, process.cwd(), {
    store,
    trusted: trustedBy(flags),
    ignored,
    found: request?.limiter?.found,
    terminal: flags.tty,
    beside,
  })
  const start = () => sandbox.spawn(command, args, { ...options, stdio: stdioOf({ limitsOutput }) })
  const child = policy.fill === undefined ? start() : noting(looks, start)
  return { child, sharesSession: sharesSession(flags, policy), ownTerminal: flags.tty, policy: () => complete }
}

/** @throws {PolicyError} where an entry is of a descriptor that the command has not */
function refuseDescriptors({ filesystem = [] }: Policy): void {
  const faults = filesystem.flatMap((entry, index) =>
    'fd' in entry && entry.fd !== undefined && entry.fd > 2
      ? [faultAt(`filesystem[${index}].fd`, '"vial run" hands on standard input, output and error only: 0 to 2')]
      : [],
  )
  if (faults.length > 0) throw new PolicyError(faults)
}
