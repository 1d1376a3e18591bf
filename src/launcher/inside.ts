/** A process outside of a sandbox becomes what its payload is: it sees the same mounts, and may do no more there. */
import type { StrictAssembler } from '../assembly/strictAssembler.js'
import { CLONE, PR } from '../kernel/flags.js'
import type { Operand } from '../machine/instruction.js'
import { namespaceHandles } from '../plan/handles.js'
import type { Step } from '../plan/step.js'
import { openHandle } from './entering.js'
import { dropEverything, dropGroupsIfAllowed } from './privileges.js'

/** What it is to be in the sandbox. */
export interface InsideIdentity {
  /** The sandbox has a user namespace of its own. */
  readonly ownUser: boolean
  /** The payload's, where that is not the caller's. */
  readonly identity?: Pick<Step<'identity'>, 'uid' | 'gid' | 'groups'> | undefined
}

/** By what `monitor`, a directory of /proc, holds. It stays in the caller's pid namespace, so that no payload can see, signal or trace it. */
export function becomeInside(c: StrictAssembler, monitor: Operand, { ownUser, identity }: InsideIdentity): void {
  const { b } = c
  const [user, mounts] = b.temporaries(2)
  if (ownUser) openHandle(c, monitor, user, namespaceHandles.user)
  openHandle(c, monitor, mounts, namespaceHandles.mount)
  c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  if (ownUser) {
    // A caller who is root takes no group along.
    dropGroupsIfAllowed(c)
    c.must('setns', user, CLONE.NEWUSER)
  }
  c.must('setns', mounts, CLONE.NEWNS)
  if (identity !== undefined) {
    if (identity.groups === 'drop') c.must('setgroups', 0, 0)
    if (identity.groups === 'dropIfAllowed') dropGroupsIfAllowed(c)
    c.must('setresgid', identity.gid, identity.gid, identity.gid)
    c.must('setresuid', identity.uid, identity.uid, identity.uid)
    // Other ids make a process what the sysctl fs.suid_dumpable says: PR_SET_DUMPABLE(2const).
    c.must('prctl', PR.SET_DUMPABLE, 0, 0, 0, 0)
  }
  dropEverything(c)
  c.onFailure(c.fail)
  c.must('prctl', PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  for (const fd of [mounts, ...(ownUser ? [user] : [])]) c.attempt('close', fd)
}
