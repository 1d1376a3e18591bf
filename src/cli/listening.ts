/** Sockets that systemd listens on and hands over when it starts a service: sd_listen_fds(3). */
import { numbered } from '../plan/namedDescriptors.js'
import { entryFds } from '../policy/entries.js'
import type { Policy } from '../policy/schema.js'
import { UsageError } from './commandLine.js'

/** Above any LISTEN_FDS in use, and below the soft limit of descriptors that a process starts with, getrlimit(2). */
const most = 256

/**
 * The policy of a vial that keeps `count` sockets, with the variables that tell the payload of them. LISTEN_PID is the process that they
 * are meant for: in a pid namespace of its own this is the payload's number, which the one who starts the vial cannot know.
 */
export function listening(policy: Policy, count: number): Policy {
  const flag = `--listen-fds ${count}`
  if (count < 0 || count > most) throw new UsageError(`${flag}: must be a number from 0 to ${most}`)
  if ((policy.namespaces?.pid ?? 'new') !== 'new')
    throw new UsageError(`${flag}: needs namespaces.pid to be "new": LISTEN_PID cannot be known otherwise`)
  const sockets = numbered({ listening: count }).listening
  const read = entryFds(policy.filesystem).find((fd) => sockets.includes(fd))
  if (read !== undefined) throw new UsageError(`${flag}: the policy itself reads descriptor ${read}`)
  const { inherit = [], ...env } = policy.env ?? {}
  return {
    ...policy,
    env: {
      ...env,
      inherit: inherit === true ? true : [...new Set([...inherit, 'LISTEN_FDS', 'LISTEN_FDNAMES'])],
      set: { ...env.set, LISTEN_PID: policy.init === 'payload' ? '1' : '2' },
    },
  }
}
