/** A request in bwrap's words as it grows, option by option. */

import type { Entry } from '../policy/schema.js'
import type { BwrapRequest } from './bwrapRequest.js'

/** What bwrap would say, without its name, and exit with status 1. */
export class BwrapError extends Error {}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }
export type FdKey = 'userns' | 'userns2' | 'pidns' | 'syncFd' | 'blockFd' | 'usernsBlockFd' | 'infoFd' | 'jsonStatusFd'

/** The request as it grows. */
export class State {
  readonly filesystem: Entry[] = []
  readonly unshare: Mutable<BwrapRequest['unshare']> = {
    user: 'no',
    cgroup: 'no',
    pid: false,
    net: false,
    ipc: false,
    uts: false,
  }
  readonly fds: Partial<Record<FdKey, number>> = {}
  readonly flags = {
    refuseLinks: false,
    disableUserns: false,
    assertUsernsDisabled: false,
    newSession: false,
    dieWithParent: false,
    asPid1: false,
    levelPrefix: false,
  }
  uid: number | undefined
  gid: number | undefined
  hostname: string | undefined
  chdir: string | undefined
  argv0: string | undefined
  clear = false
  readonly set = new Map<string, string>()
  readonly unset = new Set<string>()
  readonly capabilities: Mutable<BwrapRequest['capabilities'][number]>[] = []
  readonly lockFiles: string[] = []
  seccompFd: number | undefined
  readonly seccompFds: number[] = []
  /** What --perms, --size and --overlay-src say about the next operation. */
  perms: number | undefined
  size: number | undefined
  layers: string[] = []
  readonly warnings: string[] = []
  readonly seen = new Set<string>()
  inArgsFile = false
}
