/** What belongs to the start of a named sandbox, and is done when it runs. */
import { sandboxNamed } from './namedSandboxes.js'
import { removeSandbox } from './removeSandbox.js'
import { stopSandbox } from './stopSandbox.js'

/** Does it. Where that fails the sandbox ends: nothing may go on running that its starter, or a supervisor, could not reach. */
export async function orEnd(name: string, action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    const { home, found } = sandboxNamed(name)
    const end = found.state === 'running' ? await stopSandbox(home, found, 0) : found
    if (end !== undefined) removeSandbox(home, end)
    throw error
  }
}
