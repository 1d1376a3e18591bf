/**
 * The steps of a plan. A step is data: what to do, in words (`what`, which completes both "will …" and "cannot …"),
 * and why. The launcher turns each kind into code; nothing here knows how.
 */
import type { CapabilityName } from '../kernel/capabilities.js'
import type { ErrnoName } from '../kernel/errno.js'
import type { Grant, Scope } from '../kernel/landlock.js'
import type { NamespaceName } from '../kernel/namespaces.js'
import type { RlimitName } from '../kernel/rlimits.js'
import type { MountKind } from '../policy/entries.js'
import type { IpAddress } from '../policy/ipAddress.js'
import type { Said } from '../text/words.js'
import type { NetworkSocket } from '../policy/networkSockets.js'

/** A place in the new root; `path` is relative to it. */
export type Place =
  /** Every directory on the way was made by this plan, on our own tmpfs: the kernel may walk it as it is. */
  | { readonly path: string; readonly owned: true }
  | {
      readonly path: string
      readonly owned: false
      /**
       * The mount, as a path in the new root, below which nothing is made through a symbolic link. Without one, links are
       * followed as bwrap(1) does, but never out of the new root.
       */
      readonly mount?: string
      /** A payload may write below the mount: what is there is not found through a link either. */
      readonly planted: boolean
    }

/** A directory of the host. */
export interface Layer {
  readonly path: string
  /** As of a `bind`. */
  readonly within?: string
}

/** As fsopen(2) has it: a kind of entry that is a filesystem is called by its type. */
export type FilesystemType = MountKind | 'devpts'

export interface MountFlags {
  readonly readonly?: boolean
  readonly nosuid?: boolean
  readonly nodev?: boolean
  readonly noexec?: boolean
}

export interface IdMap {
  /** Lines of user_namespaces(7); `outside: 'caller'` is the user who starts the vial. */
  readonly uids: readonly MapLine[]
  readonly gids: readonly MapLine[]
  /** Written by newuidmap(1) and newgidmap(1), which may map more than the caller's own id. */
  readonly byHelper: boolean
}
export interface MapLine {
  readonly inside: number | 'caller'
  readonly outside: number | 'caller'
  readonly count: number
}

/** What each kind of step holds: every table of steps has a row for each of these names, or does not type-check. */
export interface Steps {
  // the monitor
  closeFds: { readonly keep: readonly number[] }
  /** Makes pipes to the process that started the vial. `foreign`: the payload may be another user than that. */
  pipes: { readonly pipes: readonly PayloadPipe[]; readonly foreign: boolean }
  /** Keeps the last `most` bytes that are written to these streams in two files of the directory. `foreign`: as of `pipes`. */
  log: {
    readonly directory: number
    readonly most: number
    readonly streams: readonly number[]
    readonly foreign: boolean
  }
  /** What the payload's terminal is to be handed on from and to: the streams that the vial was started with. */
  takeStreams: unknown
  dieWithParent: unknown
  /** Looks up the living sandbox that the first arguments name, and opens these of its monitor's descriptors, at the same numbers. */
  findSandbox: { readonly handles: readonly Handle[] }
  /** What follows is done by a child, which this process waits for. */
  waitOutside: unknown
  /** What follows is done by a child for each command that Node.js asks for. */
  serve: unknown
  /** Makes a sandbox for each command that Node.js will ask for. Behind it is the monitor of one. */
  house: unknown
  /** Waits for the command that Node.js asks for: its words, files and limits. */
  takeCommand: unknown
  /** What ps(1) and pkill(1) know monitor and init by. */
  processName: { readonly name: string }
  /** Fails when one of these descriptors is a directory. */
  refuseDirectories: { readonly fds: readonly number[] }
  /** Gives up supplementary groups where the caller may. */
  dropGroups: unknown
  /** `from` is a path, or a descriptor that is closed afterwards. */
  join: { readonly namespace: NamespaceName; readonly from: string | number }
  /** `optional`: where user namespaces cannot be made, go on without one. */
  newUser: { readonly map: IdMap; readonly optional: boolean }
  /** Writes the map of the user namespace that init was cloned into. */
  mapUser: { readonly map: IdMap }
  newTime: { readonly boottime: number; readonly monotonic: number }
  /** Kills all after so many nanoseconds. */
  wallTime: { readonly limit: bigint }
  /** Kills all when the number that the file begins with, times `unit` nanoseconds, is above the limit. */
  cpuTime: {
    readonly limit: bigint
    readonly fd: number
    readonly unit: number
    readonly cpus: number
  }
  /** Kills all when the v1 group whose directory this is has too little memory, and has once held `near` bytes: it is its own limit. */
  watchMemory: { readonly fd: number; readonly near: number }
  /** Clones init into new namespaces; `ifPossible`: those of them that are left out where they cannot be made. */
  clone: { readonly namespaces: readonly NamespaceName[]; readonly ifPossible: readonly NamespaceName[] }
  // init: what others enter it by
  /** Hands its namespaces to the monitor, which holds them: see handles.ts. */
  handOut: { readonly namespaces: readonly NamespaceName[] }
  // init: its cgroup
  /** `namespace`: also a cgroup namespace, whose root is the group. */
  enterGroup: { readonly group: GroupEntry; readonly namespace: boolean }
  // init: the root
  /** Waits until the monitor has told who waits for it that init is there. */
  awaitRelease: unknown
  /** `slave`: what is mounted outside later shows up inside. */
  isolateMounts: { readonly propagation: 'private' | 'slave' }
  rootTmpfs: { readonly options: readonly (readonly [string, string])[] }
  rootBind: {
    readonly source: string | number
    /** As of a `bind`. */
    readonly within?: string
    readonly recursive: boolean
    readonly optional: boolean
    readonly flags: MountFlags
  }
  directory: {
    readonly place: Place
    readonly mode: number
    readonly implicit: boolean
    /** Of one that is implicit: it is left out where the caller may not make it. */
    readonly ifAllowed?: boolean
    readonly owner: Owner | undefined
  }
  symlink: { readonly place: Place; readonly target: string }
  /** A unix socket that listens, is open to all, and is handed to Node.js as number `number` of {@link Steps.listen}. Its directory is this plan's own. */
  socket: { readonly place: Place; readonly number: number; readonly channel: number }
  file: {
    readonly place: Place
    readonly content: Uint8Array | number
    readonly mode: number
    /** A file that is there stays of the mode that it has. */
    readonly keepsMode: boolean
    readonly owner: Owner | undefined
    /** The payload's user: where others may have put a file, one that is not this user's is replaced and not written. */
    readonly payload: number
  }
  /** A file of its own that is mounted over the place: it may cover one that cannot be written. */
  mountFile: {
    readonly place: Place
    readonly content: Uint8Array | number
    readonly mode: number
    readonly flags: MountFlags
    /** Options of the tmpfs that the file lies in. */
    readonly room?: MountOptions
  }
  /** Where others may have put what is there, it must be of the user `payload`. */
  chmod: { readonly place: Place; readonly mode: number; readonly payload: number }
  /** The terminal that standard output is, if it is one. */
  console: { readonly place: Place; readonly flags: MountFlags }
  bind: {
    readonly place: Place
    /** A path, or a descriptor that is closed afterwards. */
    readonly source: string | number
    readonly recursive: boolean
    readonly optional: boolean
    /** Directories to make on the way, once the source is known to exist. */
    readonly above: readonly Action<'directory'>[]
    readonly flags: MountFlags
    /** A directory above the source that a payload may write: links in it must not lead out of it. */
    readonly within?: string
  }
  mount: {
    readonly place: Place
    readonly type: FilesystemType
    readonly options: readonly (readonly [string, string])[]
    readonly flags: MountFlags
  }
  overlay: {
    /** The path `.` is the root itself. */
    readonly place: Place
    /** Directories of the host, the first on top. */
    readonly lower: readonly Layer[]
    readonly upper:
      | 'tmpfs'
      | { readonly upper: Layer; readonly work: Layer; readonly volatile?: boolean | undefined }
      | undefined
    /** Marks are kept in user.* attributes. */
    readonly userAttributes: boolean
    readonly flags: MountFlags
    /** Options of the tmpfs that an upper layer in memory lies in. */
    readonly room?: MountOptions
  }
  readonly: {
    readonly place: Place
    readonly recursive: boolean
    /**
     * `mount`: the place must be a mount already. `writable`: nothing is done where nothing is that we can write; `present`: where
     * nothing is; `link` as well, and a symbolic link that is there is mounted on itself.
     */
    readonly only: 'mount' | 'writable' | 'present' | 'link' | undefined
    readonly flags: MountFlags
  }
  sealRoot: unknown
  /**
   * Covers parts of a filesystem that shows the kernel, /proc or /sys; paths are relative to it, and a missing one is
   * skipped. `worldReadable`, and `eachCpu` beneath each processor of /sys, are covered for every payload. The rest is
   * covered as `when` says: `always`, or only for a payload that is the host's root, which file modes do not keep out
   * (`owner`); `refuseOwner` refuses such a payload instead.
   */
  guard: {
    readonly place: Place
    readonly readonly: readonly string[]
    readonly masked: readonly string[]
    readonly worldReadable: readonly string[]
    readonly eachCpu: readonly string[]
    readonly when: 'always' | 'owner' | 'refuseOwner'
  }
  pivot: unknown
  // init: everything else
  /** `enter`: the network namespace is made by the monitor, while init does the steps before. */
  loopback: { readonly enter: boolean }
  /**
   * Programs that connect the network namespace from outside, beside the sandbox as long as that lives: launcher/tether.ts has why there are two.
   * Arguments of pasta(1), but for the namespace.
   */
  privateNetwork: {
    readonly program: string
    readonly outside: readonly string[]
    readonly inside: readonly string[]
  }
  /**
   * Makes all addresses local, and hands sockets to Node.js by the descriptor `channel`, which the monitor keeps; `own`: addresses that the loopback
   * device gets.
   */
  listen: {
    readonly own: { readonly v4: IpAddress; readonly v6: IpAddress }
    readonly sockets: readonly NetworkSocket[]
    readonly channel: number
  }
  hostname: { readonly name: string }
  domainname: { readonly name: string }
  identity: {
    readonly uid: number
    readonly gid: number
    /** What becomes of supplementary groups. */
    readonly groups: 'drop' | 'dropIfAllowed' | 'keep'
  }
  /** Takes note of the caller's effective set, before a user namespace gives all. */
  callersCapabilities: unknown
  /** `keep`: a set; or the caller's own effective set, less `without` and more `with`, as far as the caller has them. `bounding`: also drop the rest from the bounding set. */
  capabilities: {
    readonly keep:
      | readonly CapabilityName[]
      | { readonly without: readonly CapabilityName[]; readonly with: readonly CapabilityName[] }
    readonly bounding: boolean
    /** Only the bounding set is touched. */
    readonly boundingOnly?: boolean
    /**
     * Stays permitted to init, and to the payload until it executes: a process of fewer capabilities in the same user
     * namespace may not look at it, cap_ptrace_access_check() of security/commoncap.c.
     */
    readonly spare?: CapabilityName | undefined
  }
  noNewPrivs: unknown
  /**
   * A session keyring of its own: the caller's keys are not in it. `optional`: one more than the caller's quota of keys
   * allows may be left out, for the payload cannot use any.
   */
  newKeyring: { readonly optional: boolean }
  /** Bits of SECBIT; before `capabilities`, for it takes CAP_SETPCAP. */
  secureBits: { readonly bits: number }
  /** No user namespace can be made below the present one. */
  limitUserns: unknown
  beforeInner: { readonly last: boolean }
  /** A user namespace below the first, that cannot be left and, with `last`, in which no other can be made. */
  innerUser: { readonly map: IdMap; readonly last: boolean }
  assertNoUser: unknown
  chdir: { readonly path: string }
  /** That which the caller names at the start: see `perRun` of a start. It must lie in the sandbox. */
  chdirNamed: unknown
  /** The caller's working directory if it is visible, else HOME, else the root. */
  chdirBack: unknown
  /** Waits for a byte, or the end, of a descriptor. */
  block: { readonly fd: number }
  lockFile: { readonly path: string }
  /** Reads filters (arrays of struct sock_filter) from descriptors; they are put in force by `seccomp`. */
  readSeccomp: { readonly fds: readonly number[] }
  seccomp: { readonly fds: readonly number[] }
  // the payload
  closeThese: { readonly fds: readonly number[] }
  session: unknown
  /** Makes a pair of pseudoterminals, pty(7): one is the payload's streams and controls its session, the monitor gets the other. */
  terminal: { readonly devices: 'own' | 'hosts' }
  /**
   * A second wall, as high as the running kernel can build it; with `required`, it is an error where it can build none.
   * `files` undefined: only `scopes`, by default all of them, is looked at.
   */
  landlock: {
    readonly required: boolean
    readonly files: LandlockFiles | undefined
    readonly scopes?: readonly Scope[]
  }
  umask: { readonly mask: number }
  rlimit: {
    readonly name: RlimitName
    readonly soft: bigint
    readonly hard: bigint
    /** A caller whose own hard limit is lower keeps that. */
    readonly ifAllowed?: boolean
  }
  /** A filter (an array of struct sock_filter), in force from here on; flags of seccomp(2). */
  filter: { readonly program: Uint8Array; readonly flags: number }
  execute: unknown
}

export type StepKind = keyof Steps

/** A step without its words. */
export type Action<Kind extends StepKind = StepKind> = {
  [One in Kind]: { readonly do: One } & Steps[One]
}[Kind]

/** A descriptor of a living sandbox's monitor, and what it is opened for: handles.ts. */
export interface Handle {
  readonly fd: number
  readonly writes: boolean
}

/** A descriptor of the payload that is one end of a pipe. */
export interface PayloadPipe {
  readonly fd: number
  readonly payload: 'reads' | 'writes'
}

export interface LandlockFiles {
  readonly rules: readonly LandlockRule[]
  /** Descriptors that may be opened again, as they are. */
  readonly streams: readonly number[]
  readonly passed: readonly number[]
}
/** What may be done at and beneath a path inside. */
export interface LandlockRule {
  readonly path: string
  readonly grants: readonly Grant[]
}
/**
 * How the next run's trusted paths are kept. `readonly`: as they are. `placed`: one lies in it; it stays writable, and where it is.
 * `link`: a symbolic link on the way to one stays where it is.
 */
export type KeptAs = 'readonly' | 'placed' | 'link'

/** A cgroup, by descriptors: in v1 the `tasks` file of each hierarchy, in v2 one, the directory. */
export interface GroupEntry {
  readonly way: 'move' | 'clone'
  readonly fds: readonly number[]
}

/** Of fsconfig(2). */
export type MountOptions = readonly (readonly [string, string])[]
export interface Owner {
  readonly uid: number
  readonly gid: number
}

export type Step<Kind extends StepKind = StepKind> = Action<Kind> & Wording

/** What a step says of itself. */
export interface Wording {
  /** Completes "cannot …": `mount a tmpfs on /tmp`. */
  readonly what: string
  readonly why: string
  /**
   * The error sentence where it must be another's. Where a step can fail in several ways, one for each; of those behind the first,
   * some are the first but for a few errors.
   */
  readonly complaint?: string | readonly (string | Hints)[]
  /** The same where the file, or the directory, cannot be made that something is to be mounted on. */
  readonly points?: readonly [file: string, directory: string]
  /** What to do about an error: a second line. */
  readonly hints?: Hints
  /** What is said of an error instead of the sentence and the error's own words. */
  readonly instead?: Hints
}

/** A step that a launched program has: of its plan, or vial's own between these, which has no kind. */
export type LaunchedStep = Wording & { readonly do?: StepKind }

/** What to say about an error, by its name. */
export type Hints = Partial<Record<ErrnoName, Said>>
