/** `vial exec`. */
import { entrantOf } from '../live/enterSandbox.js'
import { runningSandbox } from '../live/runningSandbox.js'
import type { SpawnOptions } from '../run/runOptions.js'
import { spawnVial } from '../run/spawn.js'
import { attend, type Run } from './attend.js'
import { UsageError } from './commandLine.js'
import { withVariables } from './environmentFlags.js'
import { ignoredSignals } from './ignored.js'
import type { execOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'
import { Texts } from './texts.js'

export async function exec(
  [name = '', ...words]: readonly string[],
  { env, ...flags }: FlagsOf<typeof execOptions>,
): Promise<void> {
  const [command, ...args] = words[0] === '--' ? words.slice(1) : words
  if (command === undefined)
    throw new UsageError(`no command to run was given: vial exec [FLAG…] ${name} COMMAND [ARGUMENT…]`)
  const { record } = runningSandbox(name).found
  const policy = { ...record.policy, env: withVariables(record.policy.env ?? {}, env) }
  const { timeout, cwd } = flags
  const options: SpawnOptions = {
    ...(timeout === undefined ? {} : { timeout }),
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['inherit', 'inherit', 'inherit'],
  }
  const reportFile = flags.report === undefined ? undefined : (await import('./report.js')).openReport(flags.report)
  const ignored = ignoredSignals()
  const run: Run = { command, args, flags, options, texts: new Texts(), reportFile, ignored }
  await attend(run, () => ({
    child: spawnVial(entrantOf({ ...record, policy }, ignored), command, args, options),
    sharesSession: policy.session === 'host',
    policy: async () => (await import('../fill/complete.js')).completePolicy(policy, record.base),
    lacks: 'it was started without',
  }))
}
