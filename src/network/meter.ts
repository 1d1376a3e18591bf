/** Counts what a sandbox sends and gets, and holds it to its limits. */
import type { Meter } from './pump.js'
import { Tokens } from './tokens.js'

/** Of a rate, so much may come at once: a tenth of a second's. */
const burst = 0.1

export class NetworkMeter implements Meter {
  readonly #most: number
  readonly #rate: Tokens
  readonly #exceeded: () => void
  #bytes = 0

  /** @param exceeded is called once, behind the last of `bytes` */
  constructor(limits: { readonly bytes: number; readonly bytesPerSecond: number }, exceeded: () => void) {
    this.#most = limits.bytes
    this.#rate = new Tokens(limits.bytesPerSecond, burst * limits.bytesPerSecond)
    this.#exceeded = exceeded
  }

  /** Nothing new is let through. */
  get isOver(): boolean {
    return this.#bytes > this.#most
  }

  get reason(): string {
    return `${this.#most} bytes have gone through`
  }

  spend(bytes: number): number {
    const before = this.isOver
    this.#bytes += bytes
    if (!before && this.isOver) queueMicrotask(this.#exceeded)
    return this.#rate.spend(bytes)
  }
}

/** What is decided of all that comes then. */
export const overBy = ({ reason }: NetworkMeter) => ({ verdict: 'refused', reason }) as const
