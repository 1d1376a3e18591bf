/**
 * What is to be built, in neutral terms. A policy, a command line of bwrap(1), and anything else that describes a sandbox becomes one of
 * these, and one planner turns it into a plan (plan.ts). All of it is checked, and what was written as text is a number.
 * Each kind of source brings a lowering to this, an order and words: see face.ts.
 */
import type { CapabilityName } from '../kernel/capabilities.js'
import type { Scope } from '../kernel/landlock.js'
import type { NamespaceName } from '../kernel/namespaces.js'
import type { RlimitName } from '../kernel/rlimits.js'
import type { KeyPath } from '../policy/keys.js'
import type { Entry, FilesystemEntry } from '../policy/schema.js'
import type { Announcement, Environment, Living, Manner, Serving } from './manner.js'
import type { Action, GroupEntry, Handle, IdMap, KeptAs, PayloadPipe } from './step.js'
import type { Style } from './style.js'

export interface Specification {
  readonly namespaces: Readonly<Record<NamespaceName, NamespaceChoice>>
  readonly ids: Ids
  /** What a new time namespace adds to its clocks, in seconds. */
  readonly clocks: { readonly boottime: number; readonly monotonic: number }
  /** The monitor makes the network namespace while init builds the rest, and init enters it later. */
  readonly lateNetwork: boolean
  /** Sockets of the sandbox's network by which Node.js, at the other end of `channel`, is asked for names. */
  readonly network: Omit<Action<'listen'>, 'do'> | undefined
  /** What connects the sandbox's network to what the host reaches. */
  readonly privateNetwork: Omit<Action<'privateNetwork'>, 'do'> | undefined
  readonly hostname: string | undefined
  readonly domainname: string | undefined
  /** Undefined: the mounts are not the sandbox's own. */
  readonly filesystem: Filesystem | undefined
  readonly hardening: Hardening
  readonly limits: LimitChoice
  readonly descriptors: Descriptors
  readonly start: StartChoice
}

export interface NamespaceChoice {
  /** `ifPossible`: where it cannot be made, go on without one. */
  readonly make: 'no' | 'yes' | 'ifPossible'
  /** One that is there, by a path or a descriptor. With `make`, the new one lies below it. */
  readonly join?: string | number
}

export interface Ids {
  /** The payload's, inside. */
  readonly uid: number
  readonly gid: number
  /** Of a new user namespace. */
  readonly map: IdMap
  /**
   * Who writes it: the monitor, which then makes the namespace before it clones init; init, which is cloned into it; or a process
   * outside, for which init waits.
   */
  readonly mappedBy: 'monitor' | 'init' | 'others'
  /** The monitor gives up supplementary groups where it may. */
  readonly dropsGroups: boolean
  /** Ids are the host's: what init makes is given to the payload by hand. */
  readonly handsOver: boolean
  /** Init changes its ids to the payload's, and gives up its groups. */
  readonly change: { readonly groups: 'drop' | 'dropIfAllowed' | 'keep' } | undefined
}

export interface Filesystem {
  readonly root: { readonly writable: boolean; readonly size?: number | undefined }
  /** Later entries lie over earlier ones. */
  readonly entries: readonly Entry[]
  /** Over all entries. */
  readonly sockets?: readonly SocketAt[] | undefined
  /** What is laid over writable entries: compile/writableEntries.ts. */
  readonly kept: ReadonlyMap<FilesystemEntry, readonly Kept[]> | undefined
  /** Where relative host paths start; undefined: the directory that the vial is started in. */
  readonly base: string | undefined
  readonly style: Style
  /** Of each tmpfs that says nothing else: bytes and inodes. */
  readonly disk: { readonly size?: number | undefined; readonly inodes?: number | undefined }
  /** Whether sandboxes are to be made inside: see nesting.ts. */
  readonly nests: boolean
}

/** A unix socket at which Node.js accepts. `key`: what asks for it. */
export interface SocketAt extends Pick<Action<'socket'>, 'number' | 'channel'> {
  readonly path: string
  readonly key: KeyPath
}

export interface Kept {
  readonly path: string
  readonly as: KeptAs
  readonly made?: true
}

export interface Hardening {
  /** A session keyring of its own; `ifQuota`: unless the caller's quota of keys is used up. */
  readonly keyring: 'no' | 'yes' | 'ifQuota'
  /** Bits of SECBIT. */
  readonly secureBits: number | undefined
  /** Undefined: the sets stay as they are. */
  readonly capabilities: CapabilityChoice | undefined
  /** How it is made sure that no user namespace can be made: by a limit, or in a second namespace that uses up the limit of the first. */
  readonly noMoreUsers: 'limit' | 'inner' | undefined
  /** Fail where one can be made all the same. */
  readonly assertNoMoreUsers: boolean
  /** A user namespace that is entered once the world is made. */
  readonly innerUser: number | undefined
  readonly session: 'new' | 'callers'
  readonly landlock: 'on' | 'required' | undefined
  /** What Landlock looks at besides files; default: all. */
  readonly scopes?: readonly Scope[]
  readonly umask: number | undefined
  readonly rlimits: readonly RlimitChoice[]
  /** An array of struct sock_filter, flags of seccomp(2), and what it is called. */
  readonly filter: { readonly name: string; readonly program: Uint8Array; readonly flags: number } | undefined
  /** Filters that are read from descriptors, in the order in which they are put in force. */
  readonly filterFds: readonly number[]
}

export interface CapabilityChoice {
  /** A set; or the caller's own effective set, less `without` and more `with`, as far as the caller has them. */
  readonly keep:
    | readonly CapabilityName[]
    | { readonly without: readonly CapabilityName[]; readonly with: readonly CapabilityName[] }
  /** Also drop the rest from the bounding set; `only`: from no other. */
  readonly bounding: 'no' | 'yes' | 'only'
  /** Stays permitted to init: as of the step. */
  readonly spare: CapabilityName | undefined
  /** The payload would keep the spare one when it executes, and drops it itself. */
  readonly dropsSpare: boolean
}

export interface RlimitChoice {
  readonly name: RlimitName
  readonly soft: bigint
  readonly hard: bigint
  readonly why: string
  /** A caller whose own hard limit is lower keeps that. */
  readonly ifAllowed?: true
}

/** Limits of the sandbox as a whole that the vial itself has to do with. */
export interface LimitChoice {
  /** Milliseconds. */
  readonly wallTime: number | undefined
  readonly cpuTime:
    | {
        readonly milliseconds: number
        /** A file that begins with the CPU time used, and the nanoseconds that 1 stands for there. */
        readonly fd: number
        readonly unit: number
        /** CPUs of this machine: so fast may CPU time go by. */
        readonly cpus: number
      }
    | undefined
  /** A v1 group's directory, and its limit in bytes. */
  readonly memory: { readonly fd: number; readonly limit: number } | undefined
  /** The cgroup that init enters. */
  readonly group: GroupEntry | undefined
}

export interface Descriptors {
  /** All others are closed; undefined: none is. */
  readonly keep: readonly number[] | undefined
  /** None of these may be a directory. */
  readonly streams: readonly number[]
  /** Nor of these, which the caller of the vial did not choose: sockets that a supervisor hands over. */
  readonly listening: readonly number[]
  /** What the payload gets besides the streams. */
  readonly passed: readonly number[]
}

export interface StartChoice {
  readonly argv0: string | undefined
  readonly environment: Environment
  /** As of the plan. */
  readonly perRun?: true | undefined
  /** A path inside; that which the caller names for this run; the caller's own where it is visible; or wherever it was started. */
  readonly directory: { readonly path: string } | 'named' | 'callers' | 'unchanged'
  /** Whether init stays as a reaper, or becomes the payload. */
  readonly init: 'reaper' | 'payload'
  readonly dieWithParent: boolean
  /** What ps(1) and pkill(1) know monitor and init by; undefined: the name of the vial's file. */
  readonly processName: string | undefined
  readonly sealed: boolean
  readonly statusFd: number | undefined
  readonly pipes: readonly PayloadPipe[]
  readonly announcement: Announcement | undefined
  /** What init waits for before it starts the payload. */
  readonly blockFd: number | undefined
  /** Files that init holds a lock on as long as it lives. */
  readonly lockFiles: readonly string[]
  /** Descriptors that init holds open as long as it lives. */
  readonly holdFds: readonly number[]
  readonly manner: Manner
  /** Standard output and error go to files in the directory of this descriptor, of which the last so many bytes are kept. */
  readonly log?: { readonly directory: number; readonly most: number } | undefined
  readonly living?: Living | undefined
  readonly enters?: readonly Handle[] | undefined
  readonly serves?: Serving | undefined
  /** As of the plan. */
  readonly terminal?: true | undefined
}
