/** A complete policy (presets and fill already turned into `filesystem`) → what is to be built, with the defaults of vial. */
import { resolve } from 'node:path'
import type { CapabilityName } from '../kernel/capabilities.js'
import { SECBIT } from '../kernel/flags.js'
import { type NamespaceName, namespaceNames, namespaces } from '../kernel/namespaces.js'
import type { RlimitName } from '../kernel/rlimits.js'
import { entryFds } from '../policy/entries.js'
import { identityOf } from '../policy/identity.js'
import type { Own } from '../policy/ownOptions.js'
import type { CheckedPolicy, Entry } from '../policy/schema.js'
import { exitStatuses, PolicyError } from '../text/error.js'
import { faultAt } from '../policy/keys.js'
import type { Host } from './host.js'
import { idMap, type Subids } from './ids.js'
import { type GroupOption, lowerLimits } from './lowerLimits.js'
import { isShared } from './making.js'
import type { Living, Manner } from './manner.js'
import { type DescriptorCounts, type DescriptorNumbers, numbered } from './namedDescriptors.js'
import { nests } from './nesting.js'
import { dnsAddresses } from '../policy/networkAddresses.js'
import { ownAddresses, socketsOf } from '../policy/networkSockets.js'
import { payloadEnvironment } from './payloadEnvironment.js'
import { compileFilter } from './policyFilter.js'
import type {
  Filesystem,
  Hardening,
  NamespaceChoice,
  RlimitChoice,
  SocketAt,
  Specification,
  StartChoice,
} from './specification.js'
import type { PayloadPipe } from './step.js'
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
   * Whether each run has a working directory and an environment of its own, as a plan says it.
   * @internal
   */
  readonly perRun?: true
  /**
   * Others may enter the sandbox while it runs; default: it is closed.
   * @internal
   */
  readonly living?: Pick<Living, 'holds'>
  /**
   * How many bytes of the log are kept, of what has a descriptor for one.
   * @internal
   */
  readonly logSize?: number
  /**
   * Of what enters a living sandbox: it stays for many commands. It has a descriptor for `status`, and one for `control`.
   * @internal
   */
  readonly serves?: true
  /**
   * It makes sandboxes that wait, each for one command. It has a descriptor for `status`, and one for `control`.
   * @internal
   */
  readonly houses?: true
  /**
   * Of what enters a living sandbox: what it has of its own.
   * @internal
   */
  readonly own?: Own | undefined
  /**
   * The payload gets a terminal of its own; only with a descriptor for `status`. Default: the streams that the vial was started with.
   * @internal
   */
  readonly terminal?: true | undefined
  /** What is laid over writable entries of the policy. Default: nothing. */
  readonly kept?: Filesystem['kept']
}

/** Bytes. */
const defaultLogSize = 2 * 2 ** 20

const manner: Manner = {
  prefix: 'vial: cannot ',
  exit: exitStatuses,
  monitor: 'relays',
  tied: true,
  adopts: true,
  mountPointMode: 0o644,
  runsScripts: false,
}

/** @throws {PolicyError} for what only the host's facts, or the descriptors of a group, show to be impossible. */
export function lowerPolicy(policy: CheckedPolicy, host: Host, options: PlanOptions): Specification {
  const { group } = options
  const chosen = namespacesOf(policy, host.base)
  const identity = identityOf(policy)
  const descriptors = numbered({ ...options.descriptors, ...group?.descriptors })
  const passed = [...descriptors.payload.slice(3), ...(options.passFds ?? []), ...descriptors.listening]
  const limits = lowerLimits(policy, { group, descriptors, outputIsWatched: options.outputIsWatched ?? false })
  const keep = [...Object.values(descriptors).flat(), ...passed, ...entryFds(policy.filesystem)]
  const ownIds = chosen.user.make !== 'no'
  const network = networkOf(policy, descriptors)
  return {
    namespaces: chosen,
    clocks: clocksOf(policy),
    lateNetwork: networkMayBeLate(policy),
    ids: {
      ...identity,
      map: idMap(policy, identity, options.subids),
      mappedBy: 'monitor',
      dropsGroups: ownIds,
      handsOver: !ownIds,
      change:
        ownIds && policy.identity?.ranges === undefined
          ? undefined
          : { groups: ownIds || chosen.user.join === undefined ? 'drop' : 'dropIfAllowed' },
    },
    network,
    privateNetwork: privateNetworkOf(policy, host, options.houses === true, isShared(chosen.user)),
    hostname: chosen.uts.make === 'no' ? undefined : (policy.hostname ?? 'vial'),
    domainname: chosen.uts.make === 'no' ? undefined : policy.domainname,
    filesystem:
      chosen.mount.make === 'no'
        ? undefined
        : {
            root: { writable: policy.root?.writable ?? false, size: policy.root?.size },
            entries: (policy.filesystem ?? []).map((entry) => withAuthorities(entry, descriptors.authorities)),
            sockets: pathSockets(policy, network),
            kept: options.kept,
            base: host.base,
            style: vialStyle,
            disk: limits.disk,
            nests: nests(policy),
          },
    hardening: hardeningOf(policy, host, limits.rlimits, options.terminal),
    limits,
    descriptors: {
      keep: [...new Set(keep)].sort((a, b) => a - b),
      streams: descriptors.payload.slice(0, 3),
      listening: descriptors.listening,
      passed,
    },
    start: startOf(policy, options, { ownMounts: chosen.mount.make !== 'no', descriptors }),
  }
}

function namespacesOf(policy: CheckedPolicy, base: string): Record<NamespaceName, NamespaceChoice> {
  const settings = { ...policy.namespaces, ...(policy.network === 'host' ? { net: 'host' as const } : {}) }
  const choose = (name: NamespaceName): NamespaceChoice => {
    const setting = settings[name] ?? 'new'
    if (setting === 'host') return { make: 'no' }
    if (typeof setting === 'object' && 'pid' in setting)
      return { make: 'no', join: `/proc/${setting.pid}/ns/${namespaces[name].file}` }
    if (typeof setting === 'object' && 'path' in setting) return { make: 'no', join: resolve(base, setting.path) }
    return { make: 'yes' }
  }
  return Object.fromEntries(namespaceNames.map((name) => [name, choose(name)])) as Record<
    NamespaceName,
    NamespaceChoice
  >
}

/** @throws {PolicyError} for a vial that no process of Node.js is beside */
function networkOf({ network }: CheckedPolicy, { network: [channel] }: DescriptorNumbers): Specification['network'] {
  if (typeof network !== 'object') return undefined
  if (channel === undefined)
    throw new PolicyError([
      faultAt(
        'network',
        'names are reached through a process beside the sandbox: "vial run", "vial start", or run, spawn, pty and open of the library; a compiled vial and a pool have none',
      ),
    ])
  return { own: ownAddresses, sockets: socketsOf(network), channel }
}

/** Where none is read there is nothing in it: of what enters, and of what is only looked at. */
function withAuthorities(entry: Entry, [fd]: readonly number[]): Entry {
  if (!('file' in entry) || entry.authorities === undefined) return entry
  const { authorities, ...rest } = entry
  return fd === undefined ? { ...rest, content: '' } : { ...rest, fd }
}

/**
 * No port is handed on, either way, and no gateway stands for the host.
 * @param isRoots pasta(1) would become the user nobody, who may not enter a namespace of the host's root
 * @throws {PolicyError} for what is made ahead: it would outlive the process that pasta is tied to
 */
function privateNetworkOf(
  { network }: CheckedPolicy,
  { pasta = '/usr/bin/pasta' }: Host,
  isAhead: boolean,
  isRoots: boolean,
): Specification['privateNetwork'] {
  if (network !== 'private') return undefined
  if (isAhead)
    throw new PolicyError([
      faultAt('network', '"private" is for a sandbox that is started with its command, or opened: a pool has none'),
    ])
  const ports = ['-t', '-u', '-T', '-U'].flatMap((way) => [way, 'none'])
  const inside = [
    ...['--quiet', '--config-net', '--no-map-gw', '--no-netns-quit', ...ports],
    ...(isRoots ? ['--runas', '0:0'] : []),
  ]
  const resolvers = [dnsAddresses.v4, dnsAddresses.v6].flatMap((address) => ['--dns-forward', address])
  return { program: pasta, outside: [...inside, ...resolvers], inside }
}

/** Those of them that are made at a path. */
function pathSockets({ network: policy }: CheckedPolicy, network: Specification['network']): readonly SocketAt[] {
  if (network === undefined || typeof policy !== 'object') return []
  const { sockets, channel } = network
  return sockets.flatMap((socket, number) => {
    if (socket.protocol !== 'unix') return []
    const { path } = socket
    const index = policy.allow!.findIndex(({ host }) => host.kind === 'path' && host.inside === path)
    return [{ path, number, channel, key: `network.allow[${index}]` as const }]
  })
}

function clocksOf({ namespaces: { time } = {} }: CheckedPolicy): Specification['clocks'] {
  const offsets = typeof time === 'object' && !('pid' in time || 'path' in time) ? time : {}
  const { boottime = 0, monotonic = 0 } = offsets as { boottime?: number; monotonic?: number }
  return { boottime, monotonic }
}

/** Limits of each process where the policy names none. A caller whose own is lower keeps that. */
const defaultRlimits = {
  /**
   * No dump is so small, and that one byte also means to the kernel that no handler is called, while 0 means nothing for
   * a /proc/sys/kernel/core_pattern that pipes (coredump_pipe() in fs/coredump.c). The filter keeps the payload from
   * setting it to 0.
   */
  core: { value: 1n, why: 'a crash leaves no file, and calls no handler of the host' },
  /** Each queued signal and each timer of the user's counts here and in the user namespaces above: getrlimit(2), kernel/ucount.c. */
  sigpending: { value: 1024n, why: "queued signals do not use up the caller's, whose timers could then not be made" },
} as const satisfies { readonly [Name in RlimitName]?: { readonly value: bigint; readonly why: string } }

/** @param standing rlimits that stand in for limits of the sandbox as a whole */
function hardeningOf(
  policy: CheckedPolicy,
  host: Host,
  standing: readonly RlimitChoice[],
  terminal: boolean | undefined,
): Hardening {
  const { capabilities = [], landlock = 'on', session = 'new' } = policy
  const filter = compileFilter(policy, host)
  return {
    keyring: filter?.refusesKeys ? 'ifQuota' : 'yes',
    secureBits: secureBits(capabilities),
    capabilities: { keep: capabilities, bounding: 'yes', spare: undefined, dropsSpare: false },
    noMoreUsers: policy.disableUserns ? 'limit' : undefined,
    assertNoMoreUsers: false,
    innerUser: undefined,
    // A terminal controls one session: credentials(7).
    session: session === 'new' || terminal ? 'new' : 'callers',
    // A payload that is to mount cannot be restricted: landlock(7).
    landlock: landlock === 'required' ? 'required' : landlock === 'off' || nests(policy) ? undefined : 'on',
    umask: policy.umask,
    rlimits: rlimitsOf(policy.rlimits ?? {}, standing),
    filter,
    filterFds: [],
  }
}

/**
 * With no capability left, an empty bounding set and no_new_privs, nothing gives one back; the bits say so once more,
 * and for programs that look. With some kept, a uid that is 0 inside still gains no others by execve(2).
 */
function secureBits(kept: readonly CapabilityName[]): number {
  const none = kept.length === 0 ? SECBIT.NO_CAP_AMBIENT_RAISE | SECBIT.NO_CAP_AMBIENT_RAISE_LOCKED : 0
  return SECBIT.NOROOT | SECBIT.NOROOT_LOCKED | SECBIT.KEEP_CAPS_LOCKED | none
}

/** The defaults, then what the policy names, then what stands in for a limit where the policy names no lower one. */
function rlimitsOf(named: NonNullable<CheckedPolicy['rlimits']>, standing: readonly RlimitChoice[]): RlimitChoice[] {
  const all = Object.entries(named) as [RlimitName, NonNullable<(typeof named)[RlimitName]>][]
  const own = all.map(([name, { soft, hard }]): RlimitChoice => ({ name, soft, hard, why: 'the policy names it' }))
  const holding = standing.filter(({ name, soft }) => !own.some((one) => one.name === name && one.soft <= soft))
  const isHeld = (name: string) => holding.some((one) => one.name === name)
  const defaults = (Object.keys(defaultRlimits) as (keyof typeof defaultRlimits)[]).flatMap((name) => {
    const { value, why } = defaultRlimits[name]
    return isHeld(name) || named[name] !== undefined
      ? []
      : [{ name, soft: value, hard: value, why, ifAllowed: true as const }]
  })
  return [...defaults, ...own.filter(({ name }) => !isHeld(name)), ...holding]
}

function startOf(
  policy: CheckedPolicy,
  options: PlanOptions,
  { ownMounts, descriptors }: { readonly ownMounts: boolean; readonly descriptors: DescriptorNumbers },
): StartChoice {
  const [[statusFd], [directory]] = [descriptors.status, descriptors.log]
  const path = policy.cwd ?? (ownMounts ? '/' : undefined)
  return {
    argv0: policy.argv0,
    environment: payloadEnvironment(policy),
    perRun: options.perRun,
    directory: options.perRun ? 'named' : path === undefined ? 'unchanged' : { path },
    init: policy.init ?? 'reaper',
    dieWithParent: policy.dieWithParent ?? true,
    processName: undefined,
    sealed: mayBeSeen(policy),
    statusFd,
    pipes: options.pipes ?? [],
    log: directory === undefined ? undefined : { directory, most: options.logSize ?? defaultLogSize },
    announcement: undefined,
    blockFd: undefined,
    lockFiles: [],
    holdFds: [],
    manner,
    terminal: options.terminal,
  }
}

/**
 * Whether the payload might look at a process that executes the vial. In a pid namespace of its own there is only init, which is
 * not dumpable and whose memory belongs to the user namespace of the host; but a payload with capabilities, without a filter,
 * or one that makes sandboxes itself can do more than that was thought out for.
 */
function mayBeSeen(policy: CheckedPolicy): boolean {
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
function networkMayBeLate({ namespaces = {}, filesystem = [] }: CheckedPolicy): boolean {
  const monitorIsOutside = (namespaces.pid ?? 'new') === 'new'
  return monitorIsOutside && !filesystem.some((entry) => 'sysfs' in entry)
}
