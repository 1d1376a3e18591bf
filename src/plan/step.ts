/**
 * The steps of a plan. A step is data: what to do, in words (`what`, which completes both "will …" and "cannot …"),
 * and why. The launcher turns each kind into code; nothing here knows how.
 */
import type { CapabilityName } from '../kernel/capabilities.js'
import type { ErrnoName } from '../kernel/errno.js'
import type { RlimitName } from '../kernel/rlimits.js'

export type NamespaceName = 'user' | 'mount' | 'pid' | 'net' | 'ipc' | 'uts' | 'cgroup' | 'time'

/**
 * A place in the new root. `path` is relative to it. `owned`: every folder on the way was made by this plan, on our own
 * tmpfs, so the kernel may walk it as it is; otherwise somebody else may have put symlinks there, and it is resolved by
 * openat2(2) with RESOLVE_IN_ROOT.
 */
export interface Place {
  readonly path: string
  readonly owned: boolean
}

export interface MountFlags {
  readonly readonly?: boolean
  readonly nosuid?: boolean
  readonly nodev?: boolean
  readonly noexec?: boolean
}

export interface IdMap {
  /** Lines of user_namespaces(7); `outside: 'caller'` is whoever starts the vial. */
  readonly uids: readonly MapLine[]
  readonly gids: readonly MapLine[]
  /** Written by newuidmap(1) and newgidmap(1), which may map more than the caller's own id. */
  readonly byHelper: boolean
}
export interface MapLine {
  readonly inside: number
  readonly outside: number | 'caller'
  readonly count: number
}

export type Action =
  // the monitor
  | { readonly do: 'start' }
  | { readonly do: 'clone' }
  | { readonly do: 'closeFds'; readonly keep: readonly number[] }
  | { readonly do: 'dieWithParent' }
  | { readonly do: 'join'; readonly namespace: NamespaceName; readonly path: string }
  | { readonly do: 'newUser'; readonly map: IdMap }
  | { readonly do: 'newTime'; readonly boottime: number; readonly monotonic: number }
  // init: the root
  | { readonly do: 'isolateMounts' }
  | { readonly do: 'rootTmpfs'; readonly options: readonly (readonly [string, string])[] }
  | { readonly do: 'rootBind'; readonly source: string; readonly recursive: boolean; readonly flags: MountFlags }
  | {
      readonly do: 'directory'
      readonly place: Place
      readonly mode: number
      readonly implicit: boolean
      readonly owner: Owner | undefined
    }
  | { readonly do: 'symlink'; readonly place: Place; readonly target: string }
  | {
      readonly do: 'file'
      readonly place: Place
      readonly content: Uint8Array | number
      readonly mode: number
      readonly owner: Owner | undefined
    }
  | {
      readonly do: 'bind'
      readonly place: Place
      readonly source: string
      readonly recursive: boolean
      readonly optional: boolean
      readonly flags: MountFlags
    }
  | {
      readonly do: 'mount'
      readonly place: Place
      readonly type: 'tmpfs' | 'proc' | 'mqueue' | 'devpts'
      readonly options: readonly (readonly [string, string])[]
      readonly flags: MountFlags
    }
  | {
      readonly do: 'overlay'
      readonly place: Place
      readonly options: string
      readonly upperInMemory: boolean
      readonly flags: MountFlags
    }
  | { readonly do: 'readonly'; readonly place: Place; readonly recursive: boolean }
  | { readonly do: 'sealRoot' }
  | { readonly do: 'pivot' }
  // init: everything else
  | { readonly do: 'loopback' }
  | { readonly do: 'hostname'; readonly name: string }
  | { readonly do: 'domainname'; readonly name: string }
  | { readonly do: 'identity'; readonly uid: number; readonly gid: number; readonly dropGroups: boolean }
  | { readonly do: 'capabilities'; readonly keep: readonly CapabilityName[]; readonly ambient: boolean }
  | { readonly do: 'noNewPrivs' }
  | { readonly do: 'chdir'; readonly path: string }
  // the payload
  | { readonly do: 'session' }
  | { readonly do: 'umask'; readonly mask: number }
  | { readonly do: 'rlimit'; readonly name: RlimitName; readonly soft: bigint; readonly hard: bigint }
  | { readonly do: 'execute' }

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export type Step = Action & {
  /** Completes "cannot …": `mount a tmpfs on /tmp`. */
  readonly what: string
  readonly why: string
  /** What to do about an error, by its name; `''` is for any other. */
  readonly hints?: Partial<Record<ErrnoName | '', string>>
}

/** Which of the caller's variables the payload gets. */
export interface Environment {
  readonly set: readonly (readonly [string, string])[]
  /** Patterns with `*`; `true`: all. */
  readonly inherit: readonly string[] | true
}

export interface Plan {
  /** Steps of the monitor, before it clones init. */
  readonly monitor: readonly Step[]
  /** New namespaces that init is cloned into. */
  readonly clone: readonly NamespaceName[]
  readonly init: readonly Step[]
  readonly payload: readonly Step[]
  readonly environment: Environment
  readonly argv0: string | undefined
  /** Whether init stays as a reaper, or becomes the payload. */
  readonly initIs: 'reaper' | 'payload'
  readonly newPid: boolean
  /** Whether the payload is in the caller's session, and so gets the terminal's signals by itself. */
  readonly sharesSession: boolean
  /** Status records go to this descriptor instead of sentences on standard error. */
  readonly statusFd: number | undefined
  /** Descriptors above 2 that the payload keeps. */
  readonly passFds: readonly number[]
}
