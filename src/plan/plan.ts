/** Policy → plan: the ordered steps that make the sandbox, each with its reason. */
import { resolve } from 'node:path'
import { type NamespaceName, namespaceNames, namespaces } from '../kernel/namespaces.js'
import type { RlimitName } from '../kernel/rlimits.js'
import { identityOf } from '../policy/identity.js'
import { entryFds } from '../policy/entries.js'
import { usualPath } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import { modeOf, parseSize } from '../policy/units.js'
import { filesystemSteps } from './filesystemSteps.js'
import { compileFilter, filterSteps } from './filterSteps.js'
import { beforeCapabilities, beforeMounts, beforeUserns, defaultRlimits, streams } from './hardeningSteps.js'
import { hints } from './hints.js'
import type { Host } from './host.js'
import { idMap, type Subids } from './ids.js'
import { landlockStep } from './landlockStep.js'
import { type GroupOption, limitSteps } from './limitSteps.js'
import { nests } from './nesting.js'
import { type DescriptorCounts, numbered } from './namedDescriptors.js'
import type { FilesystemContext } from './planner.js'
import type { Manner, PayloadPipe, Plan, Step } from './step.js'
import { vialStyle } from './style.js'

export interface PlanOptions {
  /** Descriptors above 2 that the payload keeps. */
  readonly passFds?: readonly number[]
  /**
   * What the vial is started with besides. With `status` it reports there instead of on standard error.
   * @internal
   */
  readonly descriptors?: DescriptorCounts
  /**
   * Pipes that the monitor makes, which the caller then takes; only with a descriptor for `status`.
   * @internal
   */
  readonly pipes?: readonly PayloadPipe[]
  /**
   * The cgroup that the payload gets; without one, limits that need it are an error unless the policy does without.
   * @internal
   */
  readonly group?: GroupOption
  /**
   * Whether the caller counts the output; default false.
   * @internal
   */
  readonly outputIsWatched?: boolean
  /**
   * The caller's subordinate ids, for `ranges: 'subids'`.
   * @internal
   */
  readonly subids?: Subids
  /**
   * Whether each run has a working directory and an environment of its own: {@link Plan.perRun}.
   * @internal
   */
  readonly perRun?: true
  /** What is laid over writable entries of the policy. Default: nothing. */
  readonly kept?: FilesystemContext['kept']
}

/** Exit statuses as docker run(1) and sh(1) have them. */
const vialManner: Manner = {
  prefix: 'vial: cannot ',
  hints: 'added',
  exit: { sandbox: 125, cannotExecute: 126, notFound: 127 },
  forwardsSignals: true,
  tied: true,
  lingers: false,
  mountPointMode: 0o644,
  runsScripts: false,
}

/** The plan of a complete policy (presets and fill already turned into `filesystem`). */
export function makePlan(policy: Policy, host: Host, options: PlanOptions = {}): Plan {
  const { base } = host
  const settings = { ...policy.namespaces }
  if (policy.network === 'host') settings.net = 'host'
  const setting = (name: NamespaceName) => settings[name] ?? 'new'
  const isNew = (name: NamespaceName) => setting(name) === 'new'
  const identity = identityOf(policy)
  const ownIds = isNew('user')
  const { group } = options
  const descriptors = numbered({ ...options.descriptors, ...group?.descriptors })
  const [, , , ...behindStreams] = descriptors.payload
  const passFds = [...behindStreams, ...(options.passFds ?? []), ...descriptors.listening]
  const limits = limitSteps(policy, { group, descriptors, outputIsWatched: options.outputIsWatched ?? false })
  const keep = [...Object.values(descriptors).flat(), ...passFds, ...entryFds(policy.filesystem)]
  const monitor: Step[] = [
    {
      do: 'closeFds',
      keep: [...new Set(keep)].sort((a, b) => a - b),
      what: 'close inherited file descriptors',
      why: 'an open descriptor is a way out',
    },
    ...pipeSteps(options.pipes ?? [], !ownIds),
    ...streams(descriptors.listening),
  ]
  const joined = namespaceNames.flatMap((name) => {
    const from = setting(name)
    if (typeof from !== 'object' || !('pid' in from || 'path' in from)) return []
    const path = 'pid' in from ? `/proc/${from.pid}/ns/${namespaces[name].file}` : resolve(base, from.path)
    return [
      {
        do: 'join',
        namespace: name,
        from: path,
        what: `join the ${name} namespace ${path}`,
        why: 'the policy names it',
        hints: {
          EPERM: 'joining needs to be root in the user namespace that owns it',
          ENOENT: 'no such process or file',
          EINVAL: `it is no ${name} namespace, or the caller is in it already`,
        },
      } satisfies Step,
    ]
  })
  monitor.push(...joined.filter((step) => step.namespace === 'user'))
  if (ownIds) {
    monitor.push(...beforeUserns())
    const map = idMap(policy, identity, options.subids)
    monitor.push({
      do: 'newUser',
      map,
      optional: false,
      what: 'make a user namespace',
      why: `the payload is ${identity.uid}:${identity.gid} inside, and has no privilege outside`,
      hints: map.byHelper ? hints.helper : hints.userNamespace,
    })
  }
  const offsets = setting('time')
  const newTime = typeof offsets === 'object' && !('pid' in offsets || 'path' in offsets)
  if (newTime || offsets === 'new') {
    const { boottime = 0, monotonic = 0 } = newTime ? (offsets as { boottime?: number; monotonic?: number }) : {}
    monitor.push({
      do: 'newTime',
      boottime,
      monotonic,
      what: 'make a time namespace',
      why: "uptime and the monotonic clock are the sandbox's own",
      hints: {
        ...(setting('user') === 'host' ? hints.rootMode : {}),
        ERANGE: 'an offset may not take a clock below zero, nor beyond 146 years: time_namespaces(7)',
      },
    })
  }
  // The mount namespace last: the paths of the others are looked up in the caller's.
  monitor.push(...joined.filter((step) => step.namespace !== 'user' && step.namespace !== 'mount'))
  monitor.push(...joined.filter((step) => step.namespace === 'mount'))
  // Last: a change of credentials clears it, PR_SET_PDEATHSIG(2const).
  if (policy.dieWithParent ?? true)
    monitor.push({
      do: 'dieWithParent',
      what: 'tie the sandbox to the life of its parent',
      why: 'nothing is left running when the caller is gone',
    })

  monitor.push(...limits.monitor)

  // The cgroup namespace of one that enters a group is made there: its root is the group that its maker is in.
  const later: readonly NamespaceName[] = ['user', 'time', ...(group === undefined ? [] : (['cgroup'] as const))]
  const clone = namespaceNames.filter((name) => !later.includes(name) && isNew(name))
  const init: Step[] = [...limits.init, ...beforeMounts(policy)]
  const newMount = isNew('mount')
  if (newMount)
    init.push(
      ...filesystemSteps(policy, {
        base,
        style: vialStyle,
        kept: options.kept,
        identity,
        hostIds: !ownIds,
        pids: isNew('pid') ? (policy.init ?? 'reaper') : setting('pid') === 'host' ? 'host' : 'joined',
        ownIpc: isNew('ipc'),
        ownNet: isNew('net'),
        ownSession: policy.session !== 'host',
        nests: nests(policy),
      }),
    )
  if (isNew('net'))
    init.push({
      do: 'loopback',
      enter: netMayBeLate(policy),
      what: 'bring the loopback device up',
      why: 'programs expect 127.0.0.1',
    })
  if (isNew('uts')) {
    const hostname = policy.hostname ?? 'vial'
    init.push({
      do: 'hostname',
      name: hostname,
      what: `set the host name ${hostname}`,
      why: "the host's own name is not shown",
    })
    if (policy.domainname !== undefined)
      init.push({
        do: 'domainname',
        name: policy.domainname,
        what: `set the domain name ${policy.domainname}`,
        why: 'the policy names it',
      })
  }
  const kept = policy.capabilities ?? []
  if (!ownIds || policy.identity?.ranges !== undefined) {
    init.push({
      do: 'identity',
      uid: identity.uid,
      gid: identity.gid,
      dropGroups: ownIds || setting('user') === 'host' ? true : 'ifAllowed',
      what: `become ${identity.uid}:${identity.gid}`,
      why: 'the payload is not the caller',
      hints: setting('user') === 'host' ? hints.rootMode : hints.identity,
    })
  }
  init.push(
    ...beforeCapabilities(kept, compileFilter(policy, host)?.refusesKeys ?? false),
    { do: 'noNewPrivs', what: 'set no_new_privs', why: 'no setuid program or file capability gives anything back' },
    {
      do: 'capabilities',
      keep: kept,
      bounding: true,
      what: kept.length === 0 ? 'drop all capabilities' : `drop all capabilities but ${kept.join(', ')}`,
      why: 'deny by default',
    },
  )
  const cwd = policy.cwd ?? '/'
  if (options.perRun)
    init.push({
      do: 'chdirNamed',
      what: 'enter the working directory',
      why: 'the run has one of its own',
      hints: hints.cwdOfRun,
    })
  else if (newMount || policy.cwd !== undefined)
    init.push({
      do: 'chdir',
      path: cwd,
      what: `enter the working directory ${cwd}`,
      why: "the caller's own is not visible",
      hints: hints.cwd,
    })

  const payload: Step[] = []
  const session = policy.session ?? 'new'
  if (session === 'new')
    payload.push({
      do: 'session',
      what: 'start a new session',
      why: "the payload cannot push input into the caller's terminal",
    })
  payload.push(...landlockStep(policy, init, { newMount, passFds }))
  if (policy.umask !== undefined)
    payload.push({
      do: 'umask',
      mask: modeOf(policy.umask, 0o022),
      what: `set the umask ${policy.umask.toString(8)}`,
      why: 'the policy names it',
    })
  // What stands in for a limit, where the policy names no lower one.
  const standing = limits.payload.filter(({ name, soft }) => {
    const value = policy.rlimits?.[name]
    return value === undefined || rlimitValue(typeof value === 'object' ? value.soft : value) > soft
  })
  const limited = standing.map(({ name }) => name as string)
  const rlimit = (name: string, soft: number | string, hard: number | string) => ({
    do: 'rlimit' as const,
    name: name as RlimitName,
    soft: rlimitValue(soft),
    hard: rlimitValue(hard),
    what: `limit ${name} to ${soft}`,
  })
  for (const [name, { value, why }] of Object.entries(defaultRlimits))
    if (!limited.includes(name) && policy.rlimits?.[name as RlimitName] === undefined)
      payload.push({ ...rlimit(name, value, value), why, ifAllowed: true })
  for (const [name, value] of Object.entries(policy.rlimits ?? {})) {
    if (limited.includes(name)) continue
    const { soft, hard } = typeof value === 'object' ? value : { soft: value, hard: value }
    const hints = { EPERM: "a hard limit cannot be raised: the caller's own is lower" }
    payload.push({ ...rlimit(name, soft, hard), why: 'the policy names it', hints })
  }
  payload.push(...standing, ...filterSteps(policy, host))
  payload.push({ do: 'execute', what: 'run', why: 'this is what the sandbox is for', hints: hints.execute })

  const inherit = policy.env?.inherit ?? []
  const set = Object.entries({
    ...(inherit === true || inherit.includes('PATH') ? {} : { PATH: usualPath }),
    ...policy.env?.set,
  })
  return {
    monitor,
    clone,
    cloneIfPossible: [],
    init,
    payload,
    environment: { set, inherit, unset: [], pwd: false },
    ...(options.perRun ? { perRun: true } : {}),
    argv0: policy.argv0,
    sealed: mayBeSeen(policy),
    initIs: policy.init ?? 'reaper',
    newPid: isNew('pid'),
    sharesSession: session === 'host',
    statusFd: descriptors.status[0],
    manner: vialManner,
    announcement: undefined,
    holdFds: [],
  }
}

function pipeSteps(pipes: readonly PayloadPipe[], foreign: boolean): Step[] {
  if (pipes.length === 0) return []
  const numbers = pipes.map(({ fd }) => fd).join(', ')
  return [
    {
      do: 'pipes',
      pipes,
      foreign,
      what: `make pipes to the caller for ${numbers}`,
      why: "Node's own are sockets of the host's network namespace, whose ioctls reach the host's interfaces",
      hints: { ENFILE: 'this host has too many files open: see sysctl fs.file-max' },
    },
  ]
}

/**
 * Whether the payload might look at a process that executes the vial. In a pid namespace of its own there is only init, which is
 * not dumpable and whose memory belongs to the user namespace of the host; but a payload with capabilities, without a filter,
 * or one that makes sandboxes itself can do more than that was thought out for.
 */
function mayBeSeen(policy: Policy): boolean {
  const { namespaces = {}, capabilities = [], seccomp } = policy
  return (
    (namespaces.pid ?? 'new') !== 'new' ||
    (namespaces.user ?? 'new') !== 'new' ||
    capabilities.length > 0 ||
    seccomp === 'none' ||
    nests(policy)
  )
}

/**
 * Whether the monitor may make the network namespace, for init to enter after the mounts. But what /sys shows is the
 * network of the process that mounts it; and a monitor that the payload could find in /proc is closed to init too.
 */
function netMayBeLate({ namespaces = {}, filesystem = [] }: Policy): boolean {
  const monitorIsOutside = (namespaces.pid ?? 'new') === 'new'
  return monitorIsOutside && !filesystem.some((entry) => 'sysfs' in entry)
}

const unlimited = 2n ** 64n - 1n
function rlimitValue(value: number | string): bigint {
  return value === 'unlimited' ? unlimited : BigInt(parseSize(value) ?? 0)
}
