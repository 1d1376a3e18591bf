/**
 * What stands between the payload and the host, read off a plan: each line is there because a step is. What a plan does
 * not do is said as plainly, in `open`.
 */
import type { Plan } from './plan.js'
import { inside } from './securityInside.js'
import { outside } from './securityOutside.js'
import { type Beside, View } from './securityView.js'

export type { Beside, HeldLimit } from './securityView.js'

/** One kind of attack, and what stands against it. */
export interface SecurityRow {
  /** What an attacker wants. */
  readonly attack: string
  /** Walls, one sentence each. */
  readonly stands: readonly string[]
  /** Where nothing stands. */
  readonly open: readonly string[]
}

/** One row for each kind of attack. */
export function security(plan: Plan, beside: Beside = {}): SecurityRow[] {
  const view = new View(plan)
  return [...outside, ...inside].map(([attack, judge]) => {
    const stands: string[] = []
    const open: string[] = []
    judge(
      view,
      (condition, wall, gap) => {
        if (condition) stands.push(wall)
        else if (gap !== undefined) open.push(gap)
      },
      beside,
    )
    return { attack, stands, open }
  })
}
