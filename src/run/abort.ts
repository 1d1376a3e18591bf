/** A run that its caller ended: what it had written and used until then. */
import { declareKind, VialError } from '../text/error.js'
import type { Usage } from './status.js'

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
