/** Ending a sandbox whose record does not tell who runs it: its monitor has the status file open, whatever the record says. */
import { lstatSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { killAndRemove } from '../cgroup/garbage.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { type FoundSandbox, inOwnDirectory, statusName } from './findSandbox.js'
import { readGroup } from './recordFile.js'
import { dying } from './stopSandbox.js'

/** Milliseconds between two looks. */
const pause = 20

/**
 * Kills its monitor, with which all others end, and waits for that; then what is in its cgroup. Of what is no directory of the caller's, such
 * as a link to one, nothing is ended.
 * @throws {HostError} when something of it does not end
 */
export async function endUnreadable({ name, directory }: FoundSandbox<'unreadable'>): Promise<void> {
  const known = inOwnDirectory(directory, (at) => ({
    status: attempt(() => lstatSync(join(at, statusName))),
    ...readGroup(at),
  }))
  const left = () => (known?.status === undefined ? [] : writersOf(known.status))
  for (let waited = 0; left().length > 0; waited += pause) {
    if (waited > dying)
      throw new HostError(`the sandbox "${name}" does not end: SIGKILL waits for what its processes do in the kernel`, {
        hint: `try again later: vial rm -f ${name}`,
      })
    for (const pid of left()) attempt(() => process.kill(pid, 'SIGKILL'))
    await sleep(pause)
  }
  if (known?.group !== undefined) killAndRemove(known.group.paths)
}

/** Other processes that may write to this file, of those that the caller may look into: proc_pid_fd(5), proc_pid_fdinfo(5). */
function writersOf({ dev, ino, uid }: Stats): number[] {
  if (uid !== process.geteuid!()) return []
  const writes = (place: string, fd: string) => {
    const file = statSync(`${place}/fd/${fd}`)
    if (file.ino !== ino || file.dev !== dev) return false
    const [, flags = '0'] = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`${place}/fdinfo/${fd}`, 'latin1')) ?? []
    // O_RDONLY is 0; commands that ask how it ended have it open so.
    return (Number.parseInt(flags, 8) & 3) !== 0
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) =>
      (attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []).some((fd) => attempt(() => writes(`/proc/${pid}`, fd))),
    )
    .map(Number)
}
