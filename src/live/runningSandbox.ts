/** A sandbox that has to run for what is asked of it. */
import { HostError } from '../text/error.js'
import { type ByState, byState, type FoundSandbox } from './findSandbox.js'
import { sandboxNamed } from './namedSandboxes.js'

export type RunningSandbox = FoundSandbox<'running'>

type NotRunning = 'starting' | 'ended' | 'elsewhere' | 'unreadable'

const reasons: ByState<NotRunning, [string, string]> = {
  starting: ({ name }) => ['is still being started', `try again, or see "vial ps" for the state of ${name}`],
  ended: ({ name }) => ['has ended', `see "vial logs ${name}"; "vial rm ${name}" removes it`],
  elsewhere: () => [
    'was started in another container or pid namespace, and cannot be reached from here',
    'call vial there',
  ],
  unreadable: ({ name, fault }) => [
    `cannot be used: ${fault}`,
    `"vial rm -f ${name}" ends what runs, and removes what is there`,
  ],
}

/**
 * The sandbox of this name, which runs.
 * @throws {HostError} when it does not
 */
export function runningSandbox(name: string): { readonly home: string; readonly found: RunningSandbox } {
  const { home, found } = sandboxNamed(name)
  if (found.state === 'running') return { home, found }
  throw notRunning(found)
}

export function notRunning(found: FoundSandbox<NotRunning>): HostError {
  const [why, hint] = byState(reasons, found)
  return new HostError(`the sandbox "${found.name}" ${why}`, { hint })
}
