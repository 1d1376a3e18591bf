/** What the steps of the new root are made with: filesystemSteps.ts makes one, kernelFilesystems.ts uses it. */
import { normal } from '../policy/path.js'
import type { FilesystemEntry } from '../policy/schema.js'
import type { Hints, KeptAs, MountFlags, MountOptions, Owner, Place, Step } from './step.js'
import type { Style } from './style.js'

export interface FilesystemContext {
  /** Where relative host paths start; undefined: the directory that the vial is started in. */
  readonly base: string | undefined
  readonly style: Style
  readonly identity: Owner
  /** What is laid over writable entries: compile/writableEntries.ts. Default: nothing. */
  readonly kept?:
    | ReadonlyMap<FilesystemEntry, readonly { readonly path: string; readonly as: KeptAs; readonly made?: true }[]>
    | undefined
  /** Ids are the host's: what we make must be given to the payload by hand. */
  readonly hostIds: boolean
  /** The payload's pid namespace: the host's, one that is there already, or its own, and who is pid 1 of that. */
  readonly pids: 'host' | 'joined' | 'reaper' | 'payload'
  readonly ownIpc: boolean
  readonly ownNet: boolean
  /** Whether the payload is the first of a session. */
  readonly ownSession: boolean
  /** Whether sandboxes are to be made inside: see nesting.ts. */
  readonly nests: boolean
}

/** What comes to be at a place: something of ours, of others, a link, a file, or perhaps nothing. */
export type Leaves = 'ours' | 'foreign' | 'link' | 'file' | 'maybe'

/** What else is to be known of what comes to be. */
export interface Made {
  readonly mode?: number | undefined
  /** It is of the host, and a payload may write it. */
  readonly written?: boolean
  /** Where a link leads. */
  readonly target?: string
}

type Directory = Step<'directory'>

export interface Planner {
  readonly context: FilesystemContext
  readonly steps: Step[]
  /** Makes the directories above `at`, then the step, then remembers what is there now. */
  make(at: string, leaves: Leaves, step: (place: Place, above: Directory[]) => Step, made?: Made): void
  mount(
    type: 'tmpfs' | 'proc' | 'sysfs' | 'mqueue' | 'devpts',
    at: string,
    options: MountOptions,
    flags: MountFlags,
    leaves: 'ours' | 'foreign',
    why: string,
    mode?: number,
  ): void
  bind(entry: Extract<FilesystemEntry, { bind: string }>): void
  directory(entry: Extract<FilesystemEntry, { directory: string }>): void
  symlink(at: string, target: string): void
  /** Where what is there already is found, links of the plan's own followed; `.` is the root. */
  place(at: string): Place
  /** Options of a tmpfs with these limits of its own, or else with those of the policy. */
  room(size: string | number | undefined, inodes: number | undefined): MountOptions
  ownerOptions(owner: undefined): MountOptions
  /** Where a hint would take the place of another's sentence, there is none. */
  hints(own: Hints): Hints
  complaint(): Pick<Step, 'complaint'>
}

/** A place without the slash at its front: "" is the root. */
export const relative = (path: string) => normal(path).slice(1)
