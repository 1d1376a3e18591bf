/** A box of a sandbox that another program has started. */

import { acceptedLater } from '../policy/check.js'
import { awaitEnd } from './awaitEnd.js'
import { Box, type BoxLife } from './box.js'
import { recordedMounts } from './mountRecords.js'
import { noEnd } from './namedSandboxes.js'
import { reachGroup } from './reachGroup.js'
import { groupOf } from './recordedGroup.js'
import { runningSandbox } from './runningSandbox.js'
import { endOf } from './sandboxEnd.js'
import { signalNamed, signalSandbox } from './signalSandbox.js'

/** @throws {VialError} when none of this name runs */
export function attach(name: string): Box {
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
  }
  return new Box(acceptedLater(record.policy), record.base, life, () => groupOf(record), record.trusted, name)
}
