/** What a command line of bwrap(1) asks for, as data. The parser writes it; the plan and the policy are made of it. */
import type { CapabilityName } from '../kernel/capabilities.js'
import type { Entry } from '../policy/schema.js'

/** `try`: go on without one where it cannot be made. */
export type Unshare = 'no' | 'yes' | 'try'

export interface BwrapRequest {
  /** In the order of the command line. Places may be relative to the new root, as bwrap allows. */
  readonly filesystem: readonly Entry[]
  readonly unshare: {
    readonly user: Unshare
    readonly cgroup: Unshare
    readonly pid: boolean
    readonly net: boolean
    readonly ipc: boolean
    readonly uts: boolean
  }
  /** Namespaces by descriptor. */
  readonly userns: number | undefined
  readonly userns2: number | undefined
  readonly pidns: number | undefined
  /** Links that others may have planted are refused, as a policy does. */
  readonly refuseLinks: boolean
  readonly disableUserns: boolean
  readonly assertUsernsDisabled: boolean
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly hostname: string | undefined
  readonly chdir: string | undefined
  readonly argv0: string | undefined
  /** `clear`: nothing of the caller's is handed on. */
  readonly environment: {
    readonly clear: boolean
    readonly set: ReadonlyMap<string, string>
    readonly unset: ReadonlySet<string>
  }
  /** In order: each adds or drops one, or all. */
  readonly capabilities: readonly { readonly change: 'add' | 'drop'; readonly name: CapabilityName | 'ALL' }[]
  readonly lockFiles: readonly string[]
  readonly syncFd: number | undefined
  readonly blockFd: number | undefined
  readonly usernsBlockFd: number | undefined
  readonly infoFd: number | undefined
  readonly jsonStatusFd: number | undefined
  /** Filters, in the order in which they are put in force. */
  readonly seccompFds: readonly number[]
  readonly newSession: boolean
  readonly dieWithParent: boolean
  readonly asPid1: boolean
  /** Error lines begin with the severity of syslog(3) in angle brackets. */
  readonly levelPrefix: boolean
}

type Filled<Type> = Type extends readonly (infer Item)[]
  ? Item[]
  : Type extends ReadonlyMap<infer Key, infer Value>
    ? Map<Key, Value>
    : Type extends ReadonlySet<infer Item>
      ? Set<Item>
      : Type extends object
        ? { -readonly [Key in keyof Type]: Filled<Type[Key]> }
        : Type
/** A request while options are read into it. */
export type GrowingRequest = { -readonly [Key in keyof BwrapRequest]: Filled<BwrapRequest[Key]> }

/** What a command line without options asks for. */
export const emptyRequest = (): GrowingRequest => ({
  filesystem: [],
  unshare: { user: 'no', cgroup: 'no', pid: false, net: false, ipc: false, uts: false },
  ...{ userns: undefined, userns2: undefined, pidns: undefined },
  ...{ refuseLinks: false, disableUserns: false, assertUsernsDisabled: false },
  ...{ uid: undefined, gid: undefined, hostname: undefined, chdir: undefined, argv0: undefined },
  environment: { clear: false, set: new Map(), unset: new Set() },
  ...{ capabilities: [], lockFiles: [] },
  ...{ syncFd: undefined, blockFd: undefined, usernsBlockFd: undefined, infoFd: undefined, jsonStatusFd: undefined },
  seccompFds: [],
  ...{ newSession: false, dieWithParent: false, asPid1: false, levelPrefix: false },
})
