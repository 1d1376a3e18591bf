/** One line of `vial doctor`. */
export interface Finding {
  readonly name: string
  readonly works: boolean
  /** What was found, or the error in words. */
  readonly detail?: string
  /** What cannot be had without it. */
  readonly without?: string
  /** A command, or what else to do. */
  readonly repair?: string
}
