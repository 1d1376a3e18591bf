/** What this process is to a sandbox while that lives. */
import type { ChildProcess } from 'node:child_process'
import type { Opened } from '../plan/namedDescriptors.js'
import type { Plan } from '../plan/plan.js'
import type { CheckedPolicy } from '../policy/schema.js'

export interface Beside {
  /** What the vial is started with for it. */
  readonly descriptors: Opened<'ipc' | 'pipe'>
  /**
   * Serves the sandbox whose vial this is, by the channel that Node.js has to it.
   * @param fail ends the sandbox: its result rejects with this error
   */
  attach(child: ChildProcess, fail: (error: Error) => void): void
  /** All of the sandbox has ended: what it gave this process to do is done, as far as that does not take long. Never rejects. */
  drained(): Promise<void>
  /** The sandbox has ended, or was not made. Never throws. */
  close(): void
}

/** For each start of a sandbox, what is beside it; undefined: it needs nothing. */
export type MakeBeside = (() => Beside) | undefined

/** Of a policy that was compiled to this plan. */
export type BesideOf = (policy: CheckedPolicy, plan: Plan) => MakeBeside
