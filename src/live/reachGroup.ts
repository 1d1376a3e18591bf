/**
 * Whether a command may come into the cgroup of a sandbox from where its caller is. A caller that may write to a group of version 2 may not yet move
 * a process there: its user also has to own the group in which both lie, cgroups(7), "Cgroups delegation containment". That is
 * so of two shells of one login, and not of two logins, which systemd keeps in scopes of its own.
 */
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import { hierarchies } from '../cgroup/hierarchies.js'
import { requestScope } from '../cgroup/systemd.js'
import { isWithin } from '../policy/path.js'
import { mayAccess } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import type { SandboxRecord } from './recordFile.js'

/**
 * Moves this process, where it has to, to where it may enter from: to a scope of the user's systemd.
 * @throws {HostError} when there is none
 */
export function reachGroup({ name, group }: SandboxRecord): void {
  const directory = group?.version === 2 ? group.paths[0] : undefined
  if (directory === undefined) return
  const top = topmostOwn(directory)
  const reaches = () => isWithin(ownGroup() ?? top, top)
  if (reaches()) return
  requestScope()
  if (reaches()) return
  throw new HostError(
    `the sandbox "${name}" cannot be entered from here: it has limits, and no process of this user comes from ${ownGroup()} into its cgroup`,
    {
      hint: `enter it from a process below ${top}; one that the user's own systemd starts (systemctl --user) can be entered from each login`,
    },
  )
}

/** The group of this process; undefined where its mount does not show it. */
const ownGroup = () => hierarchies().find(({ version, own }) => version === 2 && own !== undefined)?.own

/** The highest group above it, and it included, into which this user may move processes. */
function topmostOwn(directory: string): string {
  let top = directory
  for (let at = directory; mayAccess(join(at, 'cgroup.procs'), constants.W_OK); at = dirname(at)) top = at
  return top
}
