/** Named sandboxes with a work tree: how they are started, and a box of one that runs or has ended. */
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { attach } from './attachSandbox.js'
import type { Box } from './box.js'
import { sandboxNamed } from './namedSandboxes.js'
import { newNamedWork, namedWork } from './namedWork.js'
import { openSandbox } from './openSandbox.js'
import type { SandboxRecord } from './recordFile.js'
import { notRunning } from './runningSandbox.js'
import { type NamedStart, startSandbox } from './startSandbox.js'
import type { Finished } from './workJournal.js'
import type { WorkOptions } from './workOptions.js'

/** @throws {VialError} when it cannot be started; nothing is left then. */
export async function startNamed(start: NamedStart, options?: WorkOptions): Promise<SandboxRecord> {
  if (options === undefined) return startSandbox(start)
  const work = newNamedWork(start.name, options, start.base)
  try {
    const record = await startSandbox({ ...start, policy: work.shownIn(start.policy), layers: work.layers })
    // Its record names them already.
    attempt(() => work.heldBy({ ...record.monitor, boot: record.boot, view: record.view }))
    return record
  } catch (error) {
    work.remove()
    throw error
  }
}

/**
 * A box whose work tree is compared and committed: of a sandbox that has ended, one in which no command runs, of this process.
 * @param tells hears of a commit that was killed, and is finished
 * @throws {VialError} when there is no sandbox of the name, or it has no work tree
 */
export async function workBox(name: string, tells: (finished: Finished) => void): Promise<Box> {
  const { found } = sandboxNamed(name)
  if (found.state === 'running') return attach(name, tells)
  if (found.state !== 'ended') throw notRunning(found)
  const { record } = found
  if (record.work === undefined) throw new HostError(`the sandbox "${name}" has ended, and had no work tree`)
  const tree = namedWork({ ...record, work: record.work }, found.directory, tells)
  await tree.settle()
  return openSandbox(tree.alone(record.policy.identity), record.base, {
    tree: () => tree,
    openAnother: () => Promise.reject(new HostError(`the sandbox "${name}" has ended`)),
    ended: () => {},
  })
}
