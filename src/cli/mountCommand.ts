/** `vial mount` and `vial umount`. */
import { SandboxMounts } from '../live/mountInto.js'
import { recordedMounts } from '../live/mountRecords.js'
import { runningSandbox } from '../live/runningSandbox.js'
import { UsageError } from './commandLine.js'
import type { mountOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'

export async function mount(
  [name, path, inside]: readonly string[],
  { rw }: FlagsOf<typeof mountOptions>,
): Promise<void> {
  if (name === undefined || path === undefined || inside === undefined)
    throw new UsageError('a name, a path and a place inside are needed: vial mount [--rw] NAME PATH INSIDE')
  await mountsOf(name).mount(path, inside, { writable: rw === true })
}

export async function unmount([name, inside]: readonly string[]): Promise<void> {
  if (name === undefined || inside === undefined)
    throw new UsageError('a name and a place inside are needed: vial umount NAME INSIDE')
  await mountsOf(name).unmount(inside)
}

function mountsOf(name: string): SandboxMounts {
  const { record, directory } = runningSandbox(name).found
  return new SandboxMounts({
    sandbox: record,
    mounts: recordedMounts(directory, record.monitor),
    trusted: record.trusted ?? [],
  })
}
