/** A request in bwrap's words → plan, with bwrap(1)'s manner: what it inherits, how it fails, when it ends. */
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { limitFileOf, type NamespaceName } from '../kernel/namespaces.js'
import { filesystemSteps } from '../plan/filesystemSteps.js'
import type { Environment, IdMap, Manner, Plan, Step } from '../plan/step.js'
import type { BwrapRequest } from './bwrapRequest.js'
import { bwrapStyle } from './bwrapStyle.js'

export interface Ids {
  readonly uid: number
  readonly gid: number
}

/** What only the ids of the caller show to be impossible. */
export class BwrapContradiction extends Error {}

/**
 * The plan of a request by a caller with these ids.
 * @throws {BwrapContradiction} in bwrap's words.
 */
export function bwrapPlan(request: BwrapRequest, caller: Ids): Plan {
  const { unshare } = request
  // A caller other than root has no other way: bwrap(1), DESCRIPTION.
  const user = unshare.user === 'yes' || (caller.uid !== 0 && request.userns === undefined) ? 'yes' : unshare.user
  const ids = { uid: request.uid ?? caller.uid, gid: request.gid ?? caller.gid }
  const reaper = !request.asPid1 && (unshare.pid || request.lockFiles.length > 0 || request.syncFd !== undefined)
  requireUser(request, user !== 'no', caller, ids)

  const clone: NamespaceName[] = ['mount']
  for (const name of ['pid', 'net', 'ipc', 'uts'] as const) if (unshare[name]) clone.push(name)
  if (unshare.cgroup !== 'no') clone.push('cgroup')
  if (user !== 'no') clone.unshift('user')
  const cloneIfPossible = [
    ...(user === 'try' ? (['user'] as const) : []),
    ...(unshare.cgroup === 'try' ? (['cgroup'] as const) : []),
  ]
  const announced = request.infoFd !== undefined || request.jsonStatusFd !== undefined
  const dropping = droppingSteps(request, caller, user !== 'no', announced && reaper)
  return {
    monitor: [
      processName,
      ...(caller.uid === 0 ? [callersCapabilities] : []),
      ...joins(request),
      ...(request.dieWithParent ? [dieWithParent] : []),
    ],
    clone,
    cloneIfPossible,
    init: initSteps(request, caller, ids, user !== 'no', dropping),
    payload: [...dropping.payload, ...payloadSteps(request)],
    environment: environmentOf(request),
    argv0: request.argv0,
    // The front executes sealed memory at once; whatever else executes this has it made so.
    sealed: true,
    initIs: reaper ? 'reaper' : 'payload',
    newPid: unshare.pid,
    sharesSession: !request.newSession,
    statusFd: undefined,
    manner: mannerOf(request),
    announcement: announced
      ? { infoFd: request.infoFd, statusFd: request.jsonStatusFd, blockFd: request.usernsBlockFd }
      : undefined,
    holdFds: request.syncFd === undefined ? [] : [request.syncFd],
  }
}

function requireUser(request: BwrapRequest, ownUser: boolean, caller: Ids, ids: Ids): void {
  const mapped = ownUser || request.userns !== undefined
  if (!mapped && ids.uid !== caller.uid)
    throw new BwrapContradiction('Specifying --uid requires --unshare-user or --userns')
  if (!mapped && ids.gid !== caller.gid)
    throw new BwrapContradiction('Specifying --gid requires --unshare-user or --userns')
  if (request.hostname !== undefined && !request.unshare.uts)
    throw new BwrapContradiction('Specifying --hostname requires --unshare-uts')
  if (request.asPid1 && !request.unshare.pid)
    throw new BwrapContradiction('Specifying --as-pid-1 requires --unshare-pid')
  if (request.asPid1 && request.lockFiles.length > 0)
    throw new BwrapContradiction('Specifying --as-pid-1 and --lock-file is not permitted')
}

function mannerOf(request: BwrapRequest): Manner {
  return {
    // syslog(3): 3 is LOG_ERR.
    prefix: `${request.levelPrefix ? '<3>' : ''}bwrap: `,
    hints: 'instead',
    exit: { sandbox: 1, cannotExecute: 1, notFound: 1 },
    forwardsSignals: false,
    tied: request.dieWithParent,
    lingers: true,
    mountPointMode: 0o444,
    runsScripts: true,
  }
}

const callersCapabilities: Step = {
  do: 'callersCapabilities',
  what: 'look which capabilities the caller has',
  why: 'root gives no more inside',
  complaint: 'capget failed',
}

const processName: Step = {
  do: 'processName',
  name: 'bwrap',
  what: 'be named bwrap',
  why: 'a vial is executed by descriptor, and would be named after a number',
  complaint: 'prctl(PR_SET_NAME)',
}

const dieWithParent: Step = {
  do: 'dieWithParent',
  what: 'tie the sandbox to the life of its parent',
  why: '--die-with-parent',
  complaint: 'prctl',
}

function joins(request: BwrapRequest): Step[] {
  const steps: Step[] = []
  if (request.userns !== undefined)
    steps.push({
      do: 'join',
      namespace: 'user',
      from: request.userns,
      what: 'join the user namespace',
      why: '--userns',
      complaint: 'Joining specified user namespace failed',
      hints: {
        EINVAL:
          'Joining the specified user namespace failed, it might not be a descendant of the current user namespace.',
      },
    })
  if (request.pidns !== undefined)
    steps.push({
      do: 'join',
      namespace: 'pid',
      from: request.pidns,
      what: 'join the pid namespace',
      why: '--pidns',
      complaint: 'Setting pidns failed',
    })
  return steps
}

function initSteps(request: BwrapRequest, caller: Ids, ids: Ids, ownUser: boolean, dropping: Dropping): Step[] {
  const { unshare } = request
  const steps: Step[] = []
  const says = (fds: readonly (number | undefined)[]) => fds.filter((fd) => fd !== undefined)
  const announced = says([request.infoFd, request.jsonStatusFd])
  if (announced.length > 0) {
    steps.push(
      { do: 'closeThese', fds: announced, what: 'close what the monitor writes to', why: 'it is not for the sandbox' },
      { do: 'awaitRelease', what: 'wait for the monitor', why: 'it tells others about the sandbox first' },
    )
  }
  if (ownUser && request.usernsBlockFd === undefined)
    steps.push({
      do: 'mapUser',
      map: oneToOne(ids, caller),
      what: `map ${caller.uid}:${caller.gid} to ${ids.uid}:${ids.gid}`,
      why: 'the payload has no privilege outside',
      complaint: 'setting up uid map',
    })
  if (request.userns !== undefined && (ids.uid !== caller.uid || ids.gid !== caller.gid))
    steps.push({
      do: 'identity',
      uid: ids.uid,
      gid: ids.gid,
      dropGroups: false,
      what: `become ${ids.uid}:${ids.gid}`,
      why: '--uid and --gid',
      complaint: `unable to switch to uid ${ids.uid}`,
    })
  if (unshare.net)
    steps.push({
      do: 'loopback',
      enter: false,
      what: 'bring the loopback device up',
      why: '--unshare-net',
      complaint: 'loopback: Failed RTM_NEWLINK',
    })
  const nested = request.disableUserns
  if (nested)
    steps.push({
      do: 'beforeInner',
      last: true,
      what: "open the host's /proc",
      why: 'the limit of user namespaces is written there',
      complaint: `cannot open ${limitFileOf('user')}`,
    })
  steps.push(
    ...filesystemSteps(
      { filesystem: [...request.filesystem], root: { writable: true } },
      {
        base: undefined,
        style: { ...bwrapStyle, followsLinks: !request.refuseLinks },
        identity: ids,
        hostIds: false,
        pids: unshare.pid ? (request.asPid1 ? 'payload' : 'reaper') : request.pidns === undefined ? 'host' : 'joined',
        ownIpc: unshare.ipc,
        ownNet: unshare.net,
        ownSession: request.newSession,
        nests: true,
      },
    ),
  )
  if (request.hostname !== undefined)
    steps.push({
      do: 'hostname',
      name: request.hostname,
      what: `set the host name ${request.hostname}`,
      why: '--hostname',
      complaint: `Can't set hostname to ${request.hostname}`,
    })
  if (request.userns2 !== undefined)
    steps.push({
      do: 'join',
      namespace: 'user',
      from: request.userns2,
      what: 'join the second user namespace',
      why: '--userns2',
      complaint: 'Setting userns2 failed',
    })
  if (nested)
    steps.push({
      do: 'innerUser',
      map: oneToOne(ids, ids),
      last: true,
      what: 'enter a user namespace in which no other can be made',
      why: '--disable-userns',
      complaint: 'unshare user ns',
    })
  if (request.disableUserns || request.assertUsernsDisabled)
    steps.push({
      do: 'assertNoUser',
      what: 'see that no user namespace can be made',
      why: request.disableUserns ? '--disable-userns' : '--assert-userns-disabled',
      hints: { EPERM: 'creation of new user namespaces was not disabled as requested' },
    })
  steps.push({
    do: 'noNewPrivs',
    what: 'set no_new_privs',
    why: 'no setuid program or file capability gives anything back',
    complaint: 'prctl(PR_SET_NO_NEW_PRIVS) failed',
  })
  steps.push(...dropping.init)
  if (request.blockFd !== undefined)
    steps.push({ do: 'block', fd: request.blockFd, what: 'wait for a descriptor', why: '--block-fd' })
  if (request.seccompFds.length > 0)
    steps.push({
      do: 'readSeccomp',
      fds: request.seccompFds,
      what: 'read the filters',
      why: '--seccomp',
      complaint: "Can't read seccomp data",
      hints: { EINVAL: 'Invalid seccomp data, must be multiple of 8' },
    })
  for (const path of request.lockFiles)
    steps.push({
      do: 'lockFile',
      path,
      what: `lock ${path}`,
      why: '--lock-file',
      complaint: [`Unable to open lock file ${path}`, `Unable to lock file ${path}`],
    })
  if (request.chdir === undefined)
    steps.push({ do: 'chdirBack', what: "enter the caller's directory, or HOME", why: 'the caller is there' })
  else
    steps.push({
      do: 'chdir',
      path: request.chdir,
      what: `enter ${request.chdir}`,
      why: '--chdir',
      complaint: `Can't chdir to ${request.chdir}`,
    })
  if (request.newSession)
    steps.push({ do: 'session', what: 'start a new session', why: '--new-session', complaint: 'setsid' })
  return steps
}

function payloadSteps(request: BwrapRequest): Step[] {
  const steps: Step[] = []
  if (request.syncFd !== undefined && !request.asPid1)
    steps.push({
      do: 'closeThese',
      fds: [request.syncFd],
      what: 'close what init holds open',
      why: 'it lasts as long as the sandbox, not as the payload',
    })
  if (request.seccompFds.length > 0)
    steps.push({
      do: 'seccomp',
      fds: request.seccompFds,
      what: 'put the filters in force',
      why: '--seccomp',
      complaint: 'prctl(PR_SET_SECCOMP)',
      hints: {
        EINVAL:
          'Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)',
      },
    })
  steps.push({ do: 'execute', what: 'run', why: 'this is what the sandbox is for', complaint: 'execvp' })
  return steps
}

const oneToOne = (inside: Ids, outside: Ids): IdMap => ({
  uids: [{ inside: inside.uid, outside: outside.uid, count: 1 }],
  gids: [{ inside: inside.gid, outside: outside.gid, count: 1 }],
  byHelper: false,
})

function environmentOf(request: BwrapRequest): Environment {
  const { clear, set, unset } = request.environment
  const pwd = request.chdir === undefined
  const own = [...set].filter(([name]) => name !== 'PWD')
  return {
    set: pwd ? own : [...own, ['PWD', request.chdir]],
    inherit: clear ? [] : true,
    unset: [...unset],
    pwd,
  }
}

interface Dropping {
  readonly init: readonly Step[]
  readonly payload: readonly Step[]
}

function droppingSteps(request: BwrapRequest, caller: Ids, ownUser: boolean, initIsSeen: boolean): Dropping {
  const bounding = ownUser || request.userns !== undefined
  // Root that says nothing keeps its sets as they are.
  const boundingOnly = caller.uid === 0 && request.capabilities.length === 0
  if (boundingOnly && !bounding) return { init: [], payload: [] }
  const keep = keptCapabilities(request, caller)
  const drop: Step = {
    do: 'capabilities',
    keep,
    bounding,
    boundingOnly,
    what: 'drop capabilities',
    why: 'only what is asked for stays',
    complaint: 'capset failed',
  }
  if (!initIsSeen || boundingOnly) return { init: [drop], payload: [] }
  // Where the bounding set stays as it is, root would keep the spare one when it executes: capabilities(7).
  return { init: [{ ...drop, spare: spareCapability(keep) }], payload: bounding ? [] : [drop] }
}

/** One that the payload lacks, and with which nothing can be done: effective it never is. None where the payload lacks none. */
function spareCapability(kept: ReturnType<typeof keptCapabilities>): CapabilityName | undefined {
  const all = Object.keys(capabilities) as CapabilityName[]
  const lacking =
    'without' in kept
      ? kept.without.filter((name) => !kept.with.includes(name))
      : all.filter((name) => !kept.includes(name))
  return harmless.find((name) => lacking.includes(name)) ?? lacking[0]
}

const harmless: readonly CapabilityName[] = ['CAP_BLOCK_SUSPEND', 'CAP_WAKE_ALARM', 'CAP_AUDIT_READ', 'CAP_LEASE']

/** Root starts with all that it has, anyone else with nothing. */
function keptCapabilities(request: BwrapRequest, caller: Ids): Step<'capabilities'>['keep'] {
  const all = Object.keys(capabilities) as CapabilityName[]
  const added = new Map<CapabilityName, boolean>()
  for (const { change, name } of request.capabilities)
    for (const one of name === 'ALL' ? all : [name]) added.set(one, change === 'add')
  const chosen = all.filter((name) => added.get(name) === true)
  return caller.uid === 0 ? { without: all.filter((name) => added.get(name) === false), with: chosen } : chosen
}
