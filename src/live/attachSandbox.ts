/** A box of a sandbox that another program has started. */

import { acceptedLater } from '../policy/check.js'
import { HostError } from '../text/error.js'
import { awaitEnd } from './awaitEnd.js'
import { Box, type BoxLife, type BoxWork } from './box.js'
import { recordedMounts } from './mountRecords.js'
import { namedNetwork } from './namedNetwork.js'
import { noEnd } from './namedSandboxes.js'
import { reachGroup } from './reachGroup.js'
import { groupOf } from './recordedGroup.js'
import { runningSandbox } from './runningSandbox.js'
import { endOf } from './sandboxEnd.js'
import { signalNamed, signalSandbox } from './signalSandbox.js'
import type { RecordWithWork } from './recordFile.js'
import type { Finished } from './workJournal.js'

/**
 * @param tells hears of a commit of its work tree that was killed, and is finished
 * @throws {VialError} when none of this name runs
 */
export function attach(name: string, tells?: (finished: Finished) => void): Box {
  const { home, found } = runningSandbox(name)
  const { record } = found
  reachGroup(record)
  let ended: BoxLife['ended'] | undefined
  const waitForEnd = async (): Promise<Awaited<BoxLife['ended']>> => {
    // It outlives this process, which need not wait for it: Box.wait does.
    const end = await awaitEnd(home, name, Number.POSITIVE_INFINITY, false)
    if (end?.state !== 'ended') throw noEnd(name, end)
    return endOf(end)
  }
  const life: BoxLife = {
    sandbox: record,
    mounts: recordedMounts(found.directory, record.monitor),
    signal: (signal) => signalSandbox(found, signalNamed(signal)),
    get ended() {
      ended ??= waitForEnd()
      return ended
    },
    network: typeof record.policy.network === 'object' ? namedNetwork(found.directory, name) : undefined,
    work: record.work && workOf({ ...record, work: record.work }, found.directory, tells),
  }
  return new Box(acceptedLater(record.policy), record.base, life, () => groupOf(record), record.trusted, name)
}

/** Its layers are looked at when they are asked for: without them all else goes on. */
function workOf(record: RecordWithWork, directory: string, tells?: (finished: Finished) => void): BoxWork {
  return {
    tree: async () => (await import('./namedWork.js')).namedWork(record, directory, tells),
    openAnother: () => Promise.reject(new HostError('a sandbox that has a name is not forked')),
    ended: () => {},
  }
}
