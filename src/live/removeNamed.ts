/** What is kept of a named sandbox is removed, and its name is free: one that runs is ended first, if that is asked for. */
import { HostError } from '../text/error.js'
import { awaitStart } from './awaitEnd.js'
import { endUnreadable } from './endUnreadable.js'
import type { FoundSandbox } from './findSandbox.js'
import { anySandbox } from './namedSandboxes.js'
import { removeSandbox } from './removeSandbox.js'
import { notRunning } from './runningSandbox.js'
import { stopSandbox } from './stopSandbox.js'

/** Milliseconds that a start may take before it is not waited for any more. */
const starting = 10_000

/**
 * @param force also one that runs, is being started, or cannot be read: all in it is ended first
 * @throws {VialError} when there is none of the name, it runs, or something of it cannot be ended or removed
 */
export async function removeNamed(name: string, force: boolean): Promise<void> {
  const { home, found } = anySandbox(name)
  if (found.state === 'running' && !force)
    throw new HostError(`the sandbox "${name}" runs`, {
      hint: `end it first: vial stop ${name}; or: vial rm -f ${name}`,
    })
  const begun = force && found.state === 'starting' ? await awaitStart(home, name, starting) : found
  const end = begun?.state === 'running' ? await stopSandbox(home, begun, 0) : begun
  if (end === undefined) return
  // Its starter would go on to make a sandbox that no command finds.
  if (!force || end.state === 'starting') requireOver(end)
  // Nothing would lead to it any more.
  if (end.state === 'unreadable') await endUnreadable(end)
  removeSandbox(home, end)
}

/** @throws {HostError} for what can neither be ended from here nor has ended */
export function requireOver(found: FoundSandbox): void {
  if (found.state === 'starting' || found.state === 'elsewhere' || found.state === 'unreadable') throw notRunning(found)
}
