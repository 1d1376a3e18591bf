/** `vial run`. */
import { findRemembered } from '../cache/rememberedVials.js'
import { isAsSeen } from '../fill/look.js'
import type { SpawnOptions } from '../run/runOptions.js'
import { type Startable, spawnVial } from '../run/spawn.js'
import { attend, type Started } from './attend.js'
import { ignoredSignals } from './ignored.js'
import { atTerminal } from './ownTerminal.js'
import { requireSources } from './pathFlags.js'
import type { RunFlags } from './policyFlags.js'
import { type PolicyRun, policyOf, policyRun } from './policyRun.js'
import { type Request, type Requester, requesterOf, stdioOf } from './request.js'
import { Texts } from './texts.js'
import { trustedBy } from './trusted.js'

export async function run(command: string, args: readonly string[], given: RunFlags): Promise<void> {
  const flags = await atTerminal(given)
  const options: SpawnOptions = flags.timeout === undefined ? {} : { timeout: flags.timeout }
  const texts = new Texts()
  const requester = await requesterOf(flags, texts)
  const request = requester()
  const reportFile = flags.report === undefined ? undefined : (await import('./report.js')).openReport(flags.report)
  const one = policyRun({ command, args, flags, options, texts, reportFile, ignored: ignoredSignals() })
  if (request !== undefined && (await attend(one, () => startRemembered(one, request, requester)))) return
  await (await import('./runCompiled.js')).runCompiled(one, request, requester)
}

/** Without the schema and the compiler, if the vial of the last time is there. */
function startRemembered(
  run: PolicyRun,
  { key, limiter, sharesSession }: Request,
  requester: Requester,
): Started | undefined {
  const { command, args, flags, options, ignored } = run
  let seen = ''
  const isCurrent = (text: string) => {
    seen = text
    return isAsSeen(text)
  }
  const find = () => findRemembered(key, isCurrent)
  let found = find()
  if (found === undefined) return undefined
  requireSources(flags)
  const stdio = stdioOf(limiter)
  const removed = new Error('the cache was emptied since')
  const vial: Startable = {
    ownPids: true,
    limiter,
    ignored,
    open() {
      const vial = found ?? find()
      found = undefined
      if (vial === undefined) throw removed
      return vial
    },
    async steps() {
      const policy = await policyOf(run)
      const { compileAccepted } = await import('../compile/compile.js')
      const { compiledFor } = await import('../run/stdio.js')
      const trusted = trustedBy(flags)
      // Steps of another vial would tell something else.
      return requester()?.key === key && isAsSeen(seen)
        ? compileAccepted(policy, { ...compiledFor(stdio, limiter?.option()), trusted, terminal: flags.tty }).steps
        : []
    },
  }
  try {
    const policy = async () => (await import('../fill/complete.js')).completePolicy((await policyOf(run)).given)
    const child = spawnVial(vial, command, args, { ...options, stdio })
    return { child, sharesSession, ownTerminal: flags.tty, policy }
  } catch (error) {
    if (error === removed) return undefined
    throw error
  }
}
