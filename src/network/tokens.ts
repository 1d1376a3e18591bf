/** How often something may be done: so many times a second, and as many at once as were not done before. */
export class Tokens {
  #left: number
  #filled: number

  /**
   * @param perSecond may be Infinity
   * @param burst the most at once
   * @param now milliseconds
   */
  constructor(
    readonly perSecond: number,
    readonly burst: number,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#left = burst
    this.#filled = now()
  }

  #fill(): void {
    const now = this.now()
    this.#left = Math.min(this.burst, this.#left + ((now - this.#filled) * this.perSecond) / 1000)
    this.#filled = now
  }

  /** Whether it may be done now, once. */
  take(): boolean {
    this.#fill()
    if (this.#left < 1) return false
    this.#left--
    return true
  }

  /** Takes what has been used already. Gives the milliseconds after which there is something left again. */
  spend(amount: number): number {
    if (this.perSecond === Number.POSITIVE_INFINITY) return 0
    this.#fill()
    this.#left -= amount
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1000) / this.perSecond)
  }
}
