/** A sandbox that has to run for what is asked of it. */
import { HostError } from '../text/error.js'
import type { SandboxState } from './findSandbox.js'
import { type NamedSandbox, sandboxNamed } from './namedSandboxes.js'

export type RunningSandbox = NamedSandbox & { readonly state: 'running' }

const reasons: Readonly<
  Record<Exclude<SandboxState['state'], 'running' | 'lost'>, (found: NamedSandbox) => [string, string]>
> = {
  starting: ({ name }) => ['is still being started', `try again, or see "vial ps" for the state of ${name}`],
  ended: ({ name }) => ['has ended', `see "vial logs ${name}"; "vial rm ${name}" removes it`],
  elsewhere: () => [
    'was started in another container or pid namespace, and cannot be reached from here',
    'call vial there',
  ],
  unreadable: (found) => [
    `cannot be used: ${(found as { readonly fault: string }).fault}`,
    `"vial rm -f ${found.name}" removes what is there`,
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

export function notRunning(found: Exclude<NamedSandbox, { state: 'running' }>): HostError {
  const [why, hint] = reasons[found.state](found)
  return new HostError(`the sandbox "${found.name}" ${why}`, { hint })
}
