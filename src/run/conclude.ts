/** From all that is known of a run to its result: the first that holds of a failed step, an abort, and how the command ended. */
import type { LaunchedStep } from '../plan/step.js'
import type { EarlyEnd } from './earlyEnd.js'
import type { RunLimiter } from './enforcement.js'
import { AbortError, type Ending, endingOf, type Result } from './result.js'
import { noUsage, type Outcome, type Usage } from './status.js'
import { type Evidence, verdictOf } from './verdict.js'

export interface EndedRun {
  /** What its records tell. */
  readonly outcome: Outcome
  /** How the process outside has ended that waited for it. */
  readonly monitor: Ending
  /** What its cgroup measured. */
  readonly measured?: Partial<Usage> | undefined
  readonly durationMs: number
  readonly early: EarlyEnd
  readonly limiter: RunLimiter | undefined
  readonly outputExceeded?: Evidence['output']
  /** What the run itself named. */
  readonly command: string
  readonly cwd: string | undefined
  readonly signal: AbortSignal | undefined
  /** What the numbers in its records stand for. */
  steps(): readonly LaunchedStep[] | Promise<readonly LaunchedStep[]>
  /** A fault of ours while it ran, which is no step's. */
  readonly fault?: unknown
}

/** @throws {SandboxError | CommandError | AbortError} */
export async function conclude(run: EndedRun): Promise<Result> {
  const { outcome, monitor, durationMs, early, limiter, signal } = run
  if (outcome.failure !== undefined) {
    const [{ failureError }, steps] = await Promise.all([import('./failure.js'), run.steps()])
    throw failureError(outcome.failure, steps, { execute: run.command, chdirNamed: run.cwd })
  }
  if (run.fault !== undefined) throw run.fault
  const usage = { ...(outcome.usage ?? noUsage), ...run.measured }
  if (signal?.aborted) throw new AbortError(signal.reason, { usage, durationMs })
  const how = endingOf(outcome, monitor)
  const verdict = verdictOf({
    ...how,
    usage,
    payloadEnded: outcome.payloadEnded ?? false,
    reached: outcome.reached,
    limits: limiter?.limits,
    output: run.outputExceeded,
    endedBy: early.endedBy,
  })
  return { ...how, verdict, usage, enforcement: limiter?.enforcement() ?? {}, durationMs, timedOut: early.timedOut }
}

/** Milliseconds. `performance` would have to be loaded first. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}
