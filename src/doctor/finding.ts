import type { Repair } from '../text/repair.js'

/** One line of `vial doctor`. */
export interface Finding extends Partial<Repair> {
  readonly name: string
  readonly works: boolean
  /** What was found, or the error in words. */
  readonly detail?: string
  /** What needs it; where it works, what of it is not available. */
  readonly without?: string
}
