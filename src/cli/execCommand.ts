/** `vial exec`. */
import { entrantOf } from '../live/enterSandbox.js'
import { runningSandbox } from '../live/runningSandbox.js'
import type { OwnOptions } from '../policy/ownOptions.js'
import { checkCommand, type SpawnOptions, spawnOptions } from '../run/runOptions.js'
import { spawnVial } from '../run/spawn.js'
import { attend, type Run } from './attend.js'
import { UsageError } from './commandLine.js'
import { withVariables } from './environmentFlags.js'
import { ignoredSignals } from './ignored.js'
import { execOptions } from './liveFlags.js'
import { atTerminal } from './ownTerminal.js'
import type { FlagsOf } from './policyFlags.js'
import { put, settingsOf } from './settings.js'

/** What flags set, by the names of the library's options. */
type Asked = OwnOptions & Pick<SpawnOptions, 'cwd'>

export async function exec(
  [name = '', ...words]: readonly string[],
  given: FlagsOf<typeof execOptions>,
): Promise<void> {
  const { env, timeout, ...flags } = await atTerminal(given)
  const [command, ...args] = words[0] === '--' ? words.slice(1) : words
  if (command === undefined)
    throw new UsageError(`no command to run was given: vial exec [FLAG…] ${name} COMMAND [ARGUMENT…]`)
  const { record } = runningSandbox(name).found
  const settings = settingsOf(flags, execOptions)
  const { cwd, ...own }: Asked = settings.reduce<object>((asked, { path, value }) => put(asked, path, value), {})
  const policy = { ...record.policy, env: withVariables(record.policy.env ?? {}, env) }
  const options: SpawnOptions = {
    ...(timeout === undefined ? {} : { timeout }),
    ...(cwd === undefined ? {} : { cwd }),
  }
  const reportFile = flags.report === undefined ? undefined : (await import('./report.js')).openReport(flags.report)
  const ignored = ignoredSignals()
  const origins = new Map(settings.map(({ flag, path, typed }) => [path as string, { typed, name: `--${flag}` }]))
  const names = async () => new (await import('./names.js')).TypedNames(execOptions, origins, undefined)
  const run: Run = { command, args, flags, options, names, reportFile, ignored }
  const limits = { ...policy.limits, ...own.limits }
  await attend(run, async () => {
    checkCommand(command, args, options, spawnOptions)
    const entering = { ...record, policy }
    const { vial, stdio } =
      Object.keys(own).length === 0 && policy.limits === undefined && !flags.tty
        ? { vial: entrantOf(entering, ignored), stdio: ['inherit', 'inherit', 'inherit'] as const }
        : await (await import('../live/ownEntrant.js')).ownEntrant(entering, own, ignored, flags.tty)
    return {
      child: spawnVial(vial, command, args, { ...options, stdio }),
      sharesSession: policy.session === 'host' && !flags.tty,
      ownTerminal: flags.tty,
      policy: async () => ({
        ...(await import('../fill/complete.js')).completePolicy(policy, record.base),
        ...(Object.keys(limits).length === 0 ? {} : { limits }),
      }),
      lacks: 'it was started without',
    }
  })
}
