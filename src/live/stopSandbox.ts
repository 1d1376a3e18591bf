/** Ending a sandbox by its name: first politely. */
import { signals } from '../kernel/signals.js'
import { patience } from '../run/endSandbox.js'
import { HostError } from '../text/error.js'
import { awaitEnd } from './awaitEnd.js'
import type { FoundSandbox } from './findSandbox.js'
import type { RunningSandbox } from './runningSandbox.js'
import { endRunning, killRunning, signalSandbox } from './signalSandbox.js'

/** Milliseconds that a killed process may take to end: it may first write much to a slow disk. */
const dying = 10_000

/**
 * Sends SIGTERM to the payload, and ends all that is left after the grace.
 * @param grace milliseconds; 0: all is ended at once
 * @returns what it is in the end; undefined: it was removed meanwhile
 * @throws {HostError} when something of it does not end
 */
export async function stopSandbox(
  home: string,
  found: RunningSandbox,
  grace: number,
): Promise<FoundSandbox | undefined> {
  const { name } = found
  const steps: readonly (readonly [does: () => void, waits: number])[] = [
    ...(grace > 0 ? [[() => signalSandbox(found, signals.SIGTERM), grace] as const] : []),
    [() => endRunning(found), patience],
    [() => killRunning(found.record), dying],
  ]
  for (const [does, waits] of steps) {
    does()
    const now = await awaitEnd(home, name, waits)
    if (now?.state !== 'running') return now
  }
  throw new HostError(`the sandbox "${name}" does not end: SIGKILL waits for what its processes do in the kernel`, {
    hint: `try again later: vial rm -f ${name}`,
  })
}
