/** Waiting until a sandbox that was started can be entered. */
import { within } from '../text/within.js'

/** Milliseconds between two looks. */
const pause = 1

/** Returns as soon as it runs, or has ended before. Rejects as `ended` does. */
export async function untilRunning(isRunning: () => boolean, ended: Promise<unknown>): Promise<void> {
  while (!isRunning() && !(await within(pause, ended)));
}
