/** What the steps of the new root are made with: filesystemSteps.ts makes one, kernelFilesystems.ts uses it. */
import { normal } from '../policy/path.js'
import type { Entry } from '../policy/schema.js'
import { hints } from './hints.js'
import type { Filesystem, Specification } from './specification.js'
import type { FilesystemType, MountFlags, MountOptions, Owner, Place, Step } from './step.js'

/** What a specification says of the filesystem, and of the rest what its steps depend on. */
export interface FilesystemContext extends Filesystem {
  readonly identity: Owner
  /** Ids are the host's: what we make must be given to the payload by hand. */
  readonly hostIds: boolean
  /** The payload's pid namespace: the host's, one that is there already, or its own, and who is pid 1 of that. */
  readonly pids: 'host' | 'joined' | 'reaper' | 'payload'
  readonly ownNet: boolean
  /** Whether the payload is the first of a session. */
  readonly ownSession: boolean
  /** The payload gets a terminal of its own, and none of the caller's. */
  readonly ownTerminal: boolean
}

export function contextOf(
  { ids, namespaces, hardening, start }: Specification,
  filesystem: Filesystem,
): FilesystemContext {
  const { pid, net } = namespaces
  return {
    ...filesystem,
    identity: { uid: ids.uid, gid: ids.gid },
    hostIds: ids.handsOver,
    pids: pid.make !== 'no' ? start.init : pid.join === undefined ? 'host' : 'joined',
    ownNet: net.make !== 'no',
    ownSession: hardening.session === 'new',
    ownTerminal: start.terminal === true,
  }
}

/** What comes to be at a place: something of ours, of others, a link, a file, or perhaps nothing. */
export type Leaves = 'ours' | 'foreign' | 'link' | 'file' | 'maybe'

/** What else is to be known of what comes to be. */
export interface Made {
  readonly mode?: number | undefined
  /** It is of the host, and a payload may write it. */
  readonly written?: boolean
  /** A filesystem that is the sandbox's alone. */
  readonly empty?: boolean
  /** Where a link leads. */
  readonly target?: string
}

type Directory = Step<'directory'>

export interface Planner {
  readonly context: FilesystemContext
  push(step: Step): void
  /** Makes the directories above `at`, then the step, then remembers what is there now. */
  make(at: string, leaves: Leaves, step: (place: Place, above: Directory[]) => Step, made?: Made): void
  mount(
    type: FilesystemType,
    at: string,
    options: MountOptions,
    flags: MountFlags,
    leaves: 'ours' | 'foreign',
    why: string,
    mode?: number,
  ): void
  bind(entry: Extract<Entry, { bind: string }>): void
  directory(entry: Extract<Entry, { directory: string }>): void
  symlink(at: string, target: string): void
  /** Whether what is made at `at` is the sandbox's alone. */
  isAlone(at: string): boolean
  /** Where what is there already is found, links of the plan's own followed; `.` is the root. */
  place(at: string): Place
  /** Options of a tmpfs with these limits of its own, or else with those of the policy. */
  room(size: number | undefined, inodes: number | undefined): MountOptions
  ownerOptions(owner: undefined): MountOptions
}

/** A place without the slash at its front: "" is the root. */
export const relative = (path: string) => normal(path).slice(1)

/** The same step, with what to do about links in its way where they are refused. */
export function warned(step: Step): Step {
  const refuses = 'place' in step && !step.place.owned && step.place.mount !== undefined
  return refuses ? { ...step, hints: { ...step.hints, ...hints.foreign } } : step
}
