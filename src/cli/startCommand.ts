/** `vial start`. */
import { replaceFile } from '../cache/wholeFile.js'
import { findSandbox } from '../live/findSandbox.js'
import { awaitEnd } from '../live/awaitEnd.js'
import { existingHome } from '../live/home.js'
import { serveNetwork } from '../live/networkKeeper.js'
import { sandboxNamed } from '../live/namedSandboxes.js'
import { orEnd } from '../live/orEnd.js'
import { endOf } from '../live/sandboxEnd.js'
import { signalNamed } from '../live/signalSandbox.js'
import type { NamedStart } from '../live/startSandbox.js'
import { startNamed } from '../live/workBox.js'
import { attendNamed } from './attendNamed.js'
import { policyFromFlags, namesFor } from './flagsToPolicy.js'
import { parseSize } from '../policy/units.js'
import { exitStatusOf, HostError, VialError } from '../text/error.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { fileFault } from './obstacle.js'
import { ignoredSignals } from './ignored.js'
import { isKeeper, letStarterGo, startKeeper } from './keeper.js'
import { startOptions } from './liveFlags.js'
import { logIsAboutNames, NetworkReport } from './networkReport.js'
import { requireSources } from './pathFlags.js'
import type { FlagsOf } from './policyFlags.js'
import { say } from './say.js'
import { trustedBy } from './trusted.js'
import { standingIn, workOfFlags } from './workFlags.js'

type StartFlags = FlagsOf<typeof startOptions>

export async function start(given: StartFlags, [first, ...rest]: readonly string[]): Promise<void> {
  const { name, foreground } = given
  const work = given.work === undefined ? undefined : workOfFlags(given.work, given)
  if (work === undefined && (given.protect !== undefined || given['no-protect']))
    throw new UsageError('--protect and --no-protect are about a directory: name it by --work')
  const flags = work === undefined ? given : standingIn(given, work)
  const sources = { options: startOptions }
  const policy = policyFromFlags(flags, sources)
  requireSources(flags)
  const log = flags['network-log']
  const isByName = typeof policy.checked.network === 'object'
  if (log !== undefined && !isByName) throw new UsageError(logIsAboutNames)
  if (isByName && !foreground) {
    if (log === '-') throw new UsageError('--network-log - needs --foreground: name a file')
    if (!isKeeper()) {
      if (await startKeeper()) tellStarted(name, work !== undefined)
      return
    }
  }
  const report = new NetworkReport(log)
  const how: NamedStart = {
    name,
    policy,
    base: process.cwd(),
    trusted: trustedBy(flags),
    ignored: ignoredSignals(),
    network: report.beside,
    ...(first === undefined ? {} : { command: [first, ...rest] }),
    ...(flags['stop-signal'] === undefined ? {} : { stopSignal: signalNamed(flags['stop-signal']) }),
    ...(flags['log-size'] === undefined ? {} : { logSize: bytesOf(flags['log-size']) }),
  }
  try {
    const { monitor } = await startNamed(how, work)
    await orEnd(name, async () => {
      if (report.network !== undefined) await serveNetwork(sandboxNamed(name).found.directory, report.network)
      if (flags['pid-file'] !== undefined) writePid(flags['pid-file'], monitor.pid)
    })
  } catch (error) {
    if (!(error instanceof VialError)) throw error
    say(error.speak(namesFor(flags, sources)).message)
    process.exitCode = exitStatusOf(error)
    return
  }
  if (foreground) await attendNamed(name)
  else if (isByName) {
    letStarterGo()
    await awaitEnd(existingHome()!, name)
  } else tellStarted(name, work !== undefined)
  await report.end(foreground === true)
}

const tellStarted = (name: string, hasWork: boolean) =>
  write(2, `${whatBecame(name)}${hasWork ? whatIsKept(name) : ''}\n`)

function whatBecame(name: string): string {
  const found = findSandbox(existingHome()!, name)
  if (found?.state !== 'ended')
    return `${name} runs: enter it with "vial exec ${name} COMMAND", end it with "vial stop ${name}"`
  return `${name} has ended already, with status ${endOf(found).status}: "vial logs ${name}" prints what its command wrote`
}

const whatIsKept = (name: string) =>
  `\nwhat it changes is kept: "vial diff ${name}" shows it, "vial commit ${name}" writes it`

/** Checked when it was read: flagValues.ts. */
const bytesOf = (size: string) => parseSize(size)!

function writePid(file: string, pid: number): void {
  try {
    replaceFile(file, Buffer.from(`${pid}\n`), 0o644)
  } catch (error) {
    throw new HostError(`--pid-file ${file}: ${fileFault(error, file, 'write')}`, { cause: error })
  }
}
