/** What ends a run before its command does: its timeout, its caller, or a signal that is aborted. The first of them is told. */
import type { CommandOptions } from './runOptions.js'
import type { Evidence } from './verdict.js'

export class EarlyEnd {
  readonly #end: () => boolean
  readonly #abort: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout | undefined
  endedBy: Evidence['endedBy']
  timedOut = false

  /** @param end ends the run; false: it is over */
  constructor({ timeout, signal }: CommandOptions, end: () => boolean) {
    this.#end = end
    this.#abort = signal
    // Beyond this a timer would fire at once.
    if (timeout !== undefined && timeout < 2 ** 31) this.#timer = setTimeout(() => this.#endAfterTimeout(), timeout)
    signal?.addEventListener('abort', end, { once: true })
  }

  /** @returns false: it is over */
  byCaller(): boolean {
    this.endedBy ??= 'caller'
    return this.#end()
  }

  /** It is over: nothing ends it any more. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#abort?.removeEventListener('abort', this.#end)
  }

  #endAfterTimeout(): void {
    this.timedOut = true
    this.endedBy ??= 'timeout'
    this.#end()
  }
}
