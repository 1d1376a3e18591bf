/** How a command ended: what a run gives, and what it throws when the caller ended it. */
import { signalName, signalNumber } from '../kernel/signals.js'
import { declareKind, exitStatuses, VialError } from '../text/error.js'
import type { EnforcementOf } from './enforcement.js'
import { noUsage, type Outcome, type Usage } from './status.js'
import type { SignalName, Verdict } from './verdict.js'

/** How a command ended. */
export interface Result {
  /** Exit status of the payload; null when a signal ended it. */
  readonly exitCode: number | null
  /** The signal that ended it, or null. Real-time signals are `SIGRTMIN`, `SIGRTMIN+1`, …. */
  readonly signal: SignalName | null
  /** How it ended, and which limit it met. */
  readonly verdict: Verdict
  /** What it used, vial's own work included. */
  readonly usage: Usage
  /** Who held it to each of its limits. */
  readonly enforcement: EnforcementOf
  /** Wall time from the spawn to the end, in milliseconds. */
  readonly durationMs: number
  /** Whether `timeout` ended it. */
  readonly timedOut: boolean
}

/** By exit status or signal. */
export type Ending = Pick<Result, 'exitCode' | 'signal'>

/** How the payload ended, as the records tell; where they do not, it ended with the monitor. */
export function endingOf({ payload }: Outcome, monitor: Ending): Ending {
  if (payload === undefined) return { ...monitor, exitCode: monitor.signal === null ? monitor.exitCode : null }
  const bySignal = payload & 0x7f
  return bySignal === 0
    ? { exitCode: (payload >> 8) & 0xff, signal: null }
    : { exitCode: null, signal: signalName(bySignal) }
}

/** The same as a shell has it: the exit status, or 128 + the signal. */
export const shellStatus = ({ exitCode, signal }: Ending): number =>
  signal === null ? (exitCode ?? exitStatuses.sandbox) : 128 + signalNumber(signal)

/** What is known of a run that was aborted. */
export interface Aborted {
  /** What it used until then; all zero where it had not begun. */
  readonly usage: Usage
  /** Milliseconds from the spawn to the end; 0 where it had not begun. */
  readonly durationMs: number
  /** What `run` had collected of standard output, of the kind that `encoding` says; undefined after `spawn`, whose streams have it. */
  readonly stdout?: string | Buffer | undefined
  /** Standard error, alike. */
  readonly stderr?: string | Buffer | undefined
}

/** The command was ended because `signal` was aborted: `cause` is the signal's reason, `code` is `ABORT_ERR`. */
export class AbortError extends VialError implements Aborted {
  readonly stage = 'abort'
  readonly usage: Usage
  readonly durationMs: number
  readonly stdout?: string | Buffer | undefined
  readonly stderr?: string | Buffer | undefined

  constructor(reason: unknown, { usage, durationMs, stdout, stderr }: Aborted) {
    super(`the command was aborted${reason instanceof Error ? `: ${reason.message}` : ''}`, {
      code: 'ABORT_ERR',
      cause: reason,
    })
    this.usage = usage
    this.durationMs = durationMs
    this.stdout = stdout
    this.stderr = stderr
  }
}

declareKind(AbortError, 'AbortError', 'abort')

/** Of what is aborted before it begins. @throws {AbortError} */
export function refuseAborted({ signal }: { readonly signal?: AbortSignal | undefined }): void {
  if (signal?.aborted) throw new AbortError(signal.reason, { usage: noUsage, durationMs: 0 })
}
