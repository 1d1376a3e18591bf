/** `vial run`. */
import { parseDuration } from '../policy/units.js'
import { findVial } from '../run/remember.js'
import { type SpawnOptions, type Startable, spawnVial } from '../run/spawn.js'
import { attend, policyOf, type Run, type RunFlags, type Started } from './attend.js'
import { type Request, requestOf } from './request.js'
import { ignoredSignals } from './ignored.js'
import { requireSources } from './sources.js'
import { Texts } from './texts.js'
import { trustedBy } from './trusted.js'

export async function run(command: string, args: readonly string[], flags: RunFlags): Promise<void> {
  const options: SpawnOptions = {
    stdio: ['inherit', 'inherit', 'inherit'],
    ...(flags.timeout === undefined ? {} : { timeout: parseDuration(flags.timeout)! }),
  }
  const texts = new Texts()
  const request = requestOf(flags, texts)
  const reportFile = flags.report === undefined ? undefined : (await import('./report.js')).openReport(flags.report)
  const one: Run = { command, args, flags, options, texts, reportFile, ignored: ignoredSignals() }
  if (request !== undefined && (await attend(one, () => startRemembered(one, request)))) return
  await (await import('./runCompiled.js')).runCompiled(one, request)
}

/** Without the schema and the compiler, if the vial of the last time is there. */
function startRemembered(run: Run, { key, sharesSession }: Request): Started | undefined {
  const { command, args, flags, options, texts, ignored } = run
  let found = findVial(key)
  if (found === undefined) return undefined
  requireSources(flags)
  const removed = new Error('the cache was emptied since')
  const vial: Startable = {
    ownPids: true,
    limiter: undefined,
    ignored,
    open() {
      const vial = found ?? findVial(key)
      found = undefined
      if (vial === undefined) throw removed
      return vial
    },
    async steps() {
      const policy = await policyOf(run)
      const { compile } = await import('../run/compile.js')
      const { optionsFor } = await import('../run/sandbox.js')
      // Steps of another vial would tell something else.
      return requestOf(flags, texts)?.key === key
        ? compile(policy, { ...optionsFor(['inherit', 'inherit', 'inherit']), trusted: trustedBy(flags) }).steps
        : []
    },
  }
  try {
    const policy = async () => (await import('../policy/complete.js')).completePolicy(await policyOf(run))
    return { child: spawnVial(vial, command, args, options), sharesSession, policy }
  } catch (error) {
    if (error === removed) return undefined
    throw error
  }
}
