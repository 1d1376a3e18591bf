/** `vial bwrap --to-policy …`: the policy that comes closest to a command line, and what has no equivalent in one. */
import { capabilities } from '../kernel/capabilities.js'
import { hiddenEntries, kindOf } from '../policy/hidden.js'
import { normal } from '../policy/path.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import { write } from '../text/write.js'
import type { BwrapRequest } from './bwrapRequest.js'
import { parse } from './parseRequest.js'
import { BwrapError } from './state.js'

/** Prints the policy as JSON on standard output, and the notes on standard error. */
export function printPolicy(args: readonly string[]): void {
  // A policy needs no command to be run.
  const parsed = parse([...args, 'true'])
  if (parsed.kind !== 'run') throw new BwrapError('--to-policy takes the options of a sandbox')
  const { policy, notes } = policyOf(parsed.request)
  write(1, `${JSON.stringify(policy, null, 2)}\n`)
  for (const note of notes) write(2, `note: ${note}\n`)
}

export interface ClosestPolicy {
  readonly policy: Policy
  /** What the policy does not say, or says otherwise. */
  readonly notes: readonly string[]
}

export function policyOf(request: BwrapRequest): ClosestPolicy {
  const notes: string[] = []
  const { unshare, environment } = request
  const share = (kept: boolean) => (kept ? 'new' : 'host')
  const filesystem = entries(request.filesystem, notes)
  const named = new Set(request.capabilities.flatMap(({ change, name }) => (change === 'add' ? [name] : [])))
  const policy: Policy = {
    root: { writable: true },
    filesystem,
    namespaces: {
      pid: share(unshare.pid),
      ipc: share(unshare.ipc),
      uts: share(unshare.uts),
      cgroup: share(unshare.cgroup !== 'no'),
      time: 'host',
    },
    network: unshare.net ? 'none' : 'host',
    ...(request.uid === undefined && request.gid === undefined
      ? {}
      : { identity: { ...defined('uid', request.uid), ...defined('gid', request.gid) } }),
    ...defined('hostname', request.hostname),
    ...defined('cwd', request.chdir === undefined ? undefined : normal(request.chdir)),
    ...defined('argv0', request.argv0),
    env: { set: Object.fromEntries(environment.set), inherit: environment.clear ? [] : true },
    ...(named.size === 0
      ? {}
      : { capabilities: named.has('ALL') ? (Object.keys(capabilities) as never[]) : ([...named] as never[]) }),
    session: request.newSession ? 'new' : 'host',
    dieWithParent: request.dieWithParent,
    ...(request.asPid1 ? { init: 'payload' } : {}),
    ...(request.disableUserns ? { disableUserns: true } : {}),
  }
  if (request.disableUserns && policy.capabilities?.includes('CAP_SYS_RESOURCE')) {
    policy.capabilities = policy.capabilities.filter((name) => name !== 'CAP_SYS_RESOURCE')
    notes.push('CAP_SYS_RESOURCE is left out: with it the limit that --disable-userns sets could be raised again')
  }
  if (request.uid === undefined)
    notes.push("bwrap keeps the caller's uid; a policy's payload is 1000:1000 unless identity says otherwise")
  if (request.hostname === undefined && unshare.uts)
    notes.push('bwrap keeps the host\'s name; a policy\'s is "vial" unless hostname says otherwise')
  if (request.chdir === undefined)
    notes.push("bwrap starts in the caller's directory if it is visible; a policy in cwd, by default /")
  if (environment.unset.size > 0)
    notes.push(`--unsetenv ${[...environment.unset].join(', ')}: list in env.inherit what is to be handed on instead`)
  if (!environment.clear)
    notes.push('the whole environment is handed on (env.inherit: true), as bwrap does: better list what is needed')
  if (!request.newSession)
    notes.push('without --new-session the payload can push input into the terminal (session: "host")')
  if (request.capabilities.some(({ change }) => change === 'drop'))
    notes.push('--cap-drop: a policy starts with no capability, and names those to keep')
  for (const [option, given, instead] of without(request))
    if (given) notes.push(`${option} has no equivalent in a policy: ${instead}`)
  return { policy, notes }
}

/** Options that a policy does not have, whether they are given, and what to do. */
function without(request: BwrapRequest): (readonly [string, boolean, string])[] {
  const inherited = 'pass the descriptor by the stdio of spawn()'
  return [
    ['--userns', request.userns !== undefined, 'use namespaces.user: { path: "/proc/PID/ns/user" }'],
    ['--userns2', request.userns2 !== undefined, 'a policy has one user namespace'],
    ['--pidns', request.pidns !== undefined, 'use namespaces.pid: { path: "/proc/PID/ns/pid" }'],
    ['--assert-userns-disabled', request.assertUsernsDisabled, 'ask "vial doctor"'],
    ['--lock-file', request.lockFiles.length > 0, 'hold the lock in the program that starts the sandbox'],
    ['--sync-fd', request.syncFd !== undefined, inherited],
    ['--block-fd', request.blockFd !== undefined, 'spawn() when it is time'],
    ['--userns-block-fd', request.usernsBlockFd !== undefined, 'use identity.ranges'],
    ['--info-fd', request.infoFd !== undefined, 'spawn() answers the pid'],
    ['--json-status-fd', request.jsonStatusFd !== undefined, 'the result of spawn() has the exit status'],
    ['--seccomp', request.seccompFds.length > 0, "a filter is read from a descriptor only by bwrap's command line"],
    ['--level-prefix', request.levelPrefix, 'errors are values of the library'],
  ]
}

/** Entries as a policy may have them: absolute, and "/" only as the first. */
function entries(list: readonly FilesystemEntry[], notes: string[]): FilesystemEntry[] {
  const made = list.map((entry) => {
    const [kind, place] = Object.entries(entry)[0] as [string, string]
    return { ...entry, [kind]: normal(place) } as FilesystemEntry
  })
  const placeOf = (entry: FilesystemEntry) => kindOf(entry).place
  const said = (index: number) => `${kindOf(made[index]!).kind} ${placeOf(made[index]!)}`
  const hidden = new Set<number>()
  const leaveOut = (index: number, by: number) => {
    if (hidden.has(index)) return
    hidden.add(index)
    notes.push(`${said(index)} is hidden whole by ${said(by)}, which comes later, and is left out`)
  }
  const covers = (entry: FilesystemEntry) => placeOf(entry) === '/' && !('readonly' in entry || 'chmod' in entry)
  const last = made.findLastIndex(covers)
  for (let before = 0; before < last; before++) leaveOut(before, last)
  for (const { index, by } of hiddenEntries(made)) leaveOut(index, by)
  const kept = made.filter((_, index) => !hidden.has(index))
  if (kept.some((entry) => covers(entry) && 'tmpfs' in entry))
    notes.push('--tmpfs /: the root of a policy is a tmpfs already (root.size)')
  if (kept.some((entry) => 'readonly' in entry && placeOf(entry) === '/'))
    notes.push('--remount-ro /: leave root.writable out')
  if (kept.some((entry) => 'bind' in entry && entry.fd !== undefined))
    notes.push('binds by descriptor: better name the path in "from"')
  return kept.filter(
    (entry) => !(placeOf(entry) === '/' && ('tmpfs' in entry || 'chmod' in entry || 'directory' in entry)),
  )
}

const defined = <Key extends string, Value>(key: Key, value: Value | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [Name in Key]?: Value }
