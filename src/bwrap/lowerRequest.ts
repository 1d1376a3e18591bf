/** A request in bwrap's words, by a caller with these ids → what is to be built, with the defaults of bwrap(1). */
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { oneToOne } from '../plan/ids.js'
import type { Environment } from '../plan/manner.js'
import type { CapabilityChoice, NamespaceChoice, Specification } from '../plan/specification.js'
import type { BwrapRequest, Unshare } from './bwrapRequest.js'
import { bwrapStyle } from './bwrapStyle.js'

export interface Ids {
  readonly uid: number
  readonly gid: number
}

/** What only the ids of the caller show to be impossible. */
export class BwrapContradiction extends Error {}

/** @throws {BwrapContradiction} in bwrap's words. */
export function lowerRequest(request: BwrapRequest, caller: Ids): Specification {
  const { unshare, infoFd, jsonStatusFd } = request
  // A caller other than root has no other way: bwrap(1), DESCRIPTION.
  const user = unshare.user === 'yes' || (caller.uid !== 0 && request.userns === undefined) ? 'yes' : unshare.user
  const ids = { uid: request.uid ?? caller.uid, gid: request.gid ?? caller.gid }
  const reaper = !request.asPid1 && (unshare.pid || request.lockFiles.length > 0 || request.syncFd !== undefined)
  requireUser(request, user !== 'no', caller, ids)
  const announced = infoFd !== undefined || jsonStatusFd !== undefined
  const joined = request.userns !== undefined
  return {
    namespaces: {
      user: made(user, request.userns),
      mount: made('yes'),
      pid: made(asked(unshare.pid), request.pidns),
      net: made(asked(unshare.net)),
      ipc: made(asked(unshare.ipc)),
      uts: made(asked(unshare.uts)),
      cgroup: made(unshare.cgroup),
      time: made('no'),
    },
    clocks: { boottime: 0, monotonic: 0 },
    lateNetwork: false,
    network: undefined,
    privateNetwork: undefined,
    ids: {
      ...ids,
      map: oneToOne(ids, caller),
      mappedBy: request.usernsBlockFd === undefined ? 'init' : 'others',
      dropsGroups: false,
      handsOver: false,
      change: joined && (ids.uid !== caller.uid || ids.gid !== caller.gid) ? { groups: 'keep' } : undefined,
    },
    hostname: request.hostname,
    domainname: undefined,
    filesystem: {
      root: { writable: true },
      entries: request.filesystem,
      kept: undefined,
      base: undefined,
      style: { ...bwrapStyle, followsLinks: !request.refuseLinks },
      disk: {},
      nests: true,
    },
    hardening: {
      keyring: 'no',
      secureBits: undefined,
      capabilities: capabilityChoice(request, caller, user !== 'no' || joined, announced && reaper),
      noMoreUsers: request.disableUserns ? 'inner' : undefined,
      assertNoMoreUsers: request.disableUserns || request.assertUsernsDisabled,
      innerUser: request.userns2,
      session: request.newSession ? 'new' : 'callers',
      landlock: undefined,
      umask: undefined,
      rlimits: [],
      filter: undefined,
      filterFds: request.seccompFds,
    },
    limits: { wallTime: undefined, cpuTime: undefined, memory: undefined, group: undefined },
    descriptors: { keep: undefined, streams: [], listening: [], passed: [] },
    start: {
      argv0: request.argv0,
      environment: environmentOf(request),
      directory: request.chdir === undefined ? 'callers' : { path: request.chdir },
      init: reaper ? 'reaper' : 'payload',
      dieWithParent: request.dieWithParent,
      processName: 'bwrap',
      // The front executes sealed memory at once; whatever else executes this has it made so.
      sealed: true,
      statusFd: undefined,
      pipes: [],
      announcement: announced ? { infoFd, statusFd: jsonStatusFd, blockFd: request.usernsBlockFd } : undefined,
      blockFd: request.blockFd,
      lockFiles: request.lockFiles,
      holdFds: request.syncFd === undefined ? [] : [request.syncFd],
      manner: {
        // syslog(3): 3 is LOG_ERR.
        prefix: `${request.levelPrefix ? '<3>' : ''}bwrap: `,
        exit: { sandbox: 1, cannotExecute: 1, notFound: 1 },
        monitor: 'listens',
        tied: request.dieWithParent,
        adopts: false,
        mountPointMode: 0o444,
        runsScripts: true,
      },
    },
  }
}

const asked = (flag: boolean): Unshare => (flag ? 'yes' : 'no')
const made = (unshare: Unshare, join?: number): NamespaceChoice => ({
  make: unshare === 'try' ? 'ifPossible' : unshare,
  ...(join === undefined ? {} : { join }),
})

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

/** @param initIsSeen by programs that are told its pid: they look at its namespaces */
function capabilityChoice(
  request: BwrapRequest,
  caller: Ids,
  ownUser: boolean,
  initIsSeen: boolean,
): CapabilityChoice | undefined {
  // Root that says nothing keeps its sets as they are.
  const keepsSets = caller.uid === 0 && request.capabilities.length === 0
  if (keepsSets && !ownUser) return undefined
  const keep = keptCapabilities(request, caller)
  const spares = initIsSeen && !keepsSets
  return {
    keep,
    bounding: keepsSets ? 'only' : ownUser ? 'yes' : 'no',
    spare: spares ? spareCapability(keep) : undefined,
    // Where the bounding set stays as it is, root would keep the spare one when it executes: capabilities(7).
    dropsSpare: spares && !ownUser,
  }
}

/** One that the payload lacks, and with which nothing can be done: effective it never is. None where the payload lacks none. */
function spareCapability(kept: CapabilityChoice['keep']): CapabilityName | undefined {
  const all = Object.keys(capabilities) as CapabilityName[]
  const lacking =
    'without' in kept
      ? kept.without.filter((name) => !kept.with.includes(name))
      : all.filter((name) => !kept.includes(name))
  return harmless.find((name) => lacking.includes(name)) ?? lacking[0]
}

const harmless: readonly CapabilityName[] = ['CAP_BLOCK_SUSPEND', 'CAP_WAKE_ALARM', 'CAP_AUDIT_READ', 'CAP_LEASE']

/** Root starts with all that it has, anyone else with nothing. */
function keptCapabilities(request: BwrapRequest, caller: Ids): CapabilityChoice['keep'] {
  const all = Object.keys(capabilities) as CapabilityName[]
  const added = new Map<CapabilityName, boolean>()
  for (const { change, name } of request.capabilities)
    for (const one of name === 'ALL' ? all : [name]) added.set(one, change === 'add')
  const chosen = all.filter((name) => added.get(name) === true)
  return caller.uid === 0 ? { without: all.filter((name) => added.get(name) === false), with: chosen } : chosen
}
