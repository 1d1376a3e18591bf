/** Ending a sandbox by its name: first politely. */
import { patience } from '../run/endSandbox.js'
import { HostError } from '../text/error.js'
import { awaitEnd } from './awaitEnd.js'
import type { FoundSandbox } from './findSandbox.js'
import type { RunningSandbox } from './runningSandbox.js'
import { stopSignalOf } from './recordFile.js'
import { endRunning, killRunning, signalSandbox } from './signalSandbox.js'

/** Milliseconds that a killed process may take to end: it may first write much to a slow disk. */
export const dying = 10_000

/**
 * Asks the payload to end by a signal, and ends all that is left after the grace.
 * @param grace milliseconds; 0: all is ended at once
 * @param signal default: what the start was told, else SIGTERM
 * @returns what it is in the end; undefined: it was removed meanwhile
 * @throws {HostError} when something of it does not end
 */
export async function stopSandbox(
  home: string,
  found: RunningSandbox,
  grace: number,
  signal = stopSignalOf(found.record),
): Promise<FoundSandbox | undefined> {
  const { name } = found
  const steps: readonly (readonly [does: () => void, waits: number])[] = [
    ...(grace > 0 ? [[() => signalSandbox(found, signal), grace] as const] : []),
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
