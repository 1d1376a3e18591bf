/** What `vial run` does once a sandbox was started: signals, output, and what is told at the end. */
import type { Readable } from 'node:stream'
import type { Policy } from '../policy/schema.js'
import { forwardSignals } from '../run/forwardSignals.js'
import { type Result, shellStatus } from '../run/result.js'
import type { SpawnOptions } from '../run/runOptions.js'
import type { SandboxProcess } from '../run/spawn.js'
import { exitStatusOf, VialError } from '../text/error.js'
import type { Names } from '../text/words.js'
import type { Lacks } from './hint.js'
import type { RunFlags } from './policyFlags.js'
import type { ReportFile } from './report.js'
import { say } from './say.js'

/** A command that is to be run. */
export interface Run {
  readonly command: string
  readonly args: readonly string[]
  readonly flags: Pick<RunFlags, 'verdict' | 'report'>
  readonly options: SpawnOptions
  /** How messages name what was asked for. */
  names(): Names | Promise<Names>
  /** Of --report, opened before the payload could put something else in its place. */
  readonly reportFile: ReportFile | undefined
  /** See {@link ignoredSignals}. */
  readonly ignored: bigint
}

export interface Started {
  readonly child: SandboxProcess
  /** The complete policy, of what was read before the start. */
  policy(): Policy | Promise<Policy>
  readonly sharesSession: boolean
  /** The command has a terminal of its own, at that of the caller. */
  readonly ownTerminal?: boolean | undefined
  /** What is said before the flags that would show the command what it lacks; default: add. */
  readonly lacks?: Lacks
}

/**
 * A terminal's signal reaches Node.js and the payload at once, but may be told here after the payload's end: the kernel gives it to any
 * thread, complete_signal() in kernel/signal.c, and that has to be run by a busy machine. Milliseconds.
 */
const signalDelay = 100

/** Returns false when `start` did not start it. */
export async function attend(run: Run, start: () => Started | undefined | Promise<Started>): Promise<boolean> {
  const { options } = run
  let started: Started | undefined
  try {
    started = await start()
    if (started === undefined) return false
    const { child, sharesSession, ownTerminal } = started
    const forwarding = forwardSignals(child, sharesSession)
    const passed = [passOn(child.stdout, 1), passOn(child.stderr, 2)]
    let isInterrupted = false
    const result = await child.result
      .then(async (result) => {
        if (result.signal === 'SIGINT') isInterrupted = await forwarding.had('SIGINT', sharesSession ? signalDelay : 0)
        return result
      })
      .finally(() => forwarding.end())
    await Promise.all(passed)
    const { exitCode, timedOut, verdict } = result
    if (timedOut) say(`killed after ${options.timeout! / 1000} s`)
    // What is beyond a limit may have been written just before the end.
    const signal = verdict.kind === 'output-limit' || verdict.kind === 'time-limit' ? 'SIGKILL' : result.signal
    process.exitCode = shellStatus({ exitCode, signal })
    await report(result, run)
    if (verdict.kind === 'signal' && byProcessLimit.includes(verdict.signal))
      await tellProcessLimit(result, run, started)
    if (exitCode !== null && exitCode !== 0) await explainFailure(run, started, true)
    // A shell ends its loop only when the command died of ^C as well. A key of another terminal was for nothing else of the job.
    if (signal === 'SIGINT' && ownTerminal) process.kill(0, 'SIGINT')
    else if (signal === 'SIGINT' && isInterrupted) process.kill(process.pid, 'SIGINT')
  } catch (error) {
    if (!(error instanceof VialError)) throw error
    say(error.speak(await run.names()).message)
    process.exitCode = exitStatusOf(error)
    await report(error, run)
    if (error.stage === 'command') await explainFailure(run, started, false)
  }
  return true
}

async function passOn(from: Readable | null, fd: 1 | 2): Promise<void> {
  if (from !== null) await (await import('./passOn.js')).passOn(from, fd)
}

async function report(ended: Result | VialError, run: Run): Promise<void> {
  const { flags, reportFile } = run
  const asked = flags.verdict || flags.report !== undefined
  const limited = 'verdict' in ended && ended.verdict.kind.endsWith('-limit')
  if (!asked && !limited) return
  // Only a table names the limits.
  const names = flags.report === 'table' ? await run.names() : undefined
  ;(await import('./report.js')).tell(ended, flags, { file: reportFile, names })
}

/** What a limit of a process ends it by, getrlimit(2); and what ends one that is refused memory: a page that is not there, abort(3), V8's own trap. */
const byProcessLimit: readonly string[] = [
  ...['SIGXFSZ', 'SIGXCPU', 'SIGKILL'],
  ...['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGTRAP', 'SIGILL'],
]

async function tellProcessLimit(result: Result, run: Run, started: Started): Promise<void> {
  try {
    const limit = (await import('./report.js')).processLimitMet(result, await started.policy(), await run.names())
    if (limit !== undefined) say(limit)
  } catch {}
}

/** Advice. Whatever the payload did to the files that it looks at, the status stays the command's. */
async function explainFailure({ command, args }: Run, started: Started | undefined, ran: boolean): Promise<void> {
  if (started === undefined) return
  try {
    for (const hint of (await import('./hint.js')).hints(
      await started.policy(),
      command,
      args,
      ran,
      started.lacks ?? 'add',
    ))
      say(hint)
  } catch {}
}
