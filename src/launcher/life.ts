/** What monitor and init do besides their steps, which differs by how the monitor lives: see `monitor` of plan/manner.ts. */
import type { Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'

/** In the order in which it happens. */
export interface Life {
  /** In the monitor, before its steps: which signals it takes. */
  begin(c: LauncherContext): void
  /** In the monitor, behind them: by what init will tell it something. */
  makeChannel(c: LauncherContext): void
  /** In the monitor, before there is a process inside that could look at it. */
  hide(c: LauncherContext): void
  /** In init, before its steps. */
  beginInit(c: LauncherContext): void
  /** In the payload, or in init that becomes it, before its steps. */
  beginPayload(c: LauncherContext): void
  /** In init, beside the payload, until the end. */
  attend(c: LauncherContext, payload: Slot): void
  /** In the monitor, until the end. */
  wait(c: LauncherContext, init: Slot): void
}
