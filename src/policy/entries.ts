/** Entries of a policy's `filesystem`: each is of one kind, which one of its keys names. */
import * as v from 'valibot'
import { either, type KeyOf, object } from '../text/shapes.js'
import type { MountKind } from './kinds.js'
import { fd, flag, host, id, inside, mode, pathText, positiveSize } from './values.js'

const owner = v.optional(
  object({
    /** The user's id inside; default: the payload's. */
    uid: v.optional(id),
    /** The group's id inside; default: the payload's. */
    gid: v.optional(id),
  }),
)

const upperFault = 'must be "tmpfs" or { upper, work }'

/** Entries of `filesystem`, by the key that names their kind. The key's value is always the place inside. */
export const mountKinds = {
  /** Shows a host file or directory. Read-only, nosuid, nodev, recursive unless said otherwise. */
  bind: object({
    /** The place inside. */
    bind: inside,
    /** The host's side; default: the same path. */
    from: v.optional(host),
    /** Instead of `from`: a file descriptor of the file or directory. */
    fd: v.optional(fd),
    /** Let the payload write beneath it; default false. */
    writable: v.optional(flag),
    /**
     * A host directory above `from` that links on the way must not lead out of: one that other sandboxes may write, for theirs
     * could have planted links. What this policy itself may write needs no naming. Default: links are followed.
     */
    beneath: v.optional(host),
    /** Also what is mounted beneath; default true. The kernel refuses `false` where that would reveal something. */
    recursive: v.optional(flag),
    /** Leave it out, without an error, when the source does not exist. */
    optional: v.optional(flag),
    /** Let device nodes beneath it work; default false. */
    devices: v.optional(flag),
    /** Refuse to execute files beneath it; default false. */
    noexec: v.optional(flag),
    /** Let setuid bits beneath it stand (no_new_privs still disarms them); default false. */
    suid: v.optional(flag),
  }),
  /** An empty filesystem in memory. `size` bytes (default: half the memory), `inodes` at the most. */
  tmpfs: object({
    /** The place inside. */
    tmpfs: inside,
    /** At most so many bytes, such as `64M`; default: half of the machine's memory, tmpfs(5). */
    size: v.optional(positiveSize),
    /** At most so many files and directories; default: tmpfs's own, half as many as there are pages of memory. */
    inodes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    /** Octal, a number or text such as `"1777"`; default 0755. */
    mode: v.optional(mode),
    /** Ids inside; default: the payload's. */
    owner,
    /** Refuse to execute files in it; default false. */
    noexec: v.optional(flag),
  }),
  /** The process list of the sandbox's own pid namespace. */
  proc: object({
    /** The place inside, usually /proc. */
    proc: inside,
    /** `pid`: only processes, none of the kernel's own files. */
    subset: v.optional(v.literal('pid', 'must be "pid"')),
    /** Hides processes of other users, or all that the reader may not trace: proc(5). */
    hidepid: v.optional(
      v.picklist(['noaccess', 'invisible', 'ptraceable'], 'must be "noaccess", "invisible" or "ptraceable"'),
    ),
    /**
     * Default true: for a payload that is root outside, the kernel's settings are read-only and its secrets covered.
     * `false` leaves them open, which a sandbox inside needs to mount a /proc of its own.
     */
    masked: v.optional(flag),
  }),
  /** What the kernel shows of devices and itself, read-only; of the sandbox's own network where that is `none`. */
  sysfs: object({
    /** The place inside. */
    sysfs: inside,
  }),
  /** A minimal /dev: null, zero, full, random, urandom, tty, pts, shm, and the usual links. */
  dev: object({
    /** The place inside. */
    dev: inside,
  }),
  /** POSIX message queues of the sandbox's own ipc namespace, mq_overview(7). */
  mqueue: object({
    /** The place inside. */
    mqueue: inside,
  }),
  /** An empty directory. Default mode 0755. */
  directory: object({
    /** The place inside. */
    directory: inside /** Octal, a number or text such as `"0755"`. */,
    mode: v.optional(mode),
    /** Ids inside; default: the payload's. */
    owner,
  }),
  symlink: object({
    /** The place inside. */
    symlink: inside,
    /** What the link says: a path as seen from inside. */
    to: pathText,
  }),
  /** A file with this content, or with what is read from file descriptor `fd` when the sandbox starts. Default mode 0644. */
  file: v.pipe(
    object({
      /** The place inside. */
      file: inside,
      /** What is in it; or use `fd`. */
      content: v.optional(v.union([v.string(), v.instance(Uint8Array)], 'must be text or a Uint8Array')),
      fd: v.optional(fd),
      mode: v.optional(mode),
      owner,
      /** Mount it over the place, so that it may cover a file of a read-only directory. */
      mount: v.optional(v.picklist(['readonly', 'writable'], 'must be "readonly" or "writable"')),
    }),
    v.check((entry) => (entry.content === undefined) !== (entry.fd === undefined), 'needs either content or fd'),
  ),
  /** Layers, the first of `lower` on top. `upper: 'tmpfs'` keeps changes in memory; without an upper it is read-only. */
  overlay: object({
    /** The place inside. */
    overlay: inside,
    /** Directories of the host, read-only, the first on top. */
    lower: v.pipe(
      v.array(host),
      v.minLength(1, 'needs at least one layer'),
      v.maxLength(500, 'has more layers than the kernel stacks: at most 500'),
    ),
    /** Where changes go: `"tmpfs"` keeps them in memory, `{ upper, work }` in directories of the host; default: it is read-only. */
    upper: v.optional(
      either(
        {
          word: v.literal('tmpfs', upperFault),
          object: object({
            /** Host directory that gets what is written. */
            upper: host,
            /** Empty host directory on the same filesystem, for the kernel's own use: overlay's workdir. */
            work: host,
          }),
        },
        upperFault,
      ),
    ),
  }),
  /** Makes what is at this place, and with `recursive` (default) all beneath it, read-only. `mount`: it must be a mount. */
  readonly: object({
    /** The place inside. */
    readonly: inside,
    /** Also what is mounted beneath; default true. */
    recursive: v.optional(flag),
    /** It must be a mount of its own; default false. */
    mount: v.optional(flag),
  }),
  /** Sets the mode of what is there. */
  chmod: object({
    /** The place inside. */
    chmod: inside,
    /** Octal, a number or text such as `"0755"`. */
    mode,
  }),
} as const satisfies Readonly<Record<MountKind, unknown>>

type EntrySchema = (typeof mountKinds)[MountKind]
/** One entry of `filesystem`. */
export type FilesystemEntry = v.InferInput<EntrySchema>
/** The same, checked: sizes and modes are numbers. */
export type Entry = v.InferOutput<EntrySchema>
type EntryOf<Kind extends MountKind> = v.InferInput<(typeof mountKinds)[Kind]> & {
  readonly [Other in Exclude<KeyOf<FilesystemEntry>, keyof v.InferInput<(typeof mountKinds)[Kind]>>]?: never
}
// Interfaces, for the compiler's messages call these by name.
/** Shows a host file or directory. */
export interface BindEntry extends EntryOf<'bind'> {}
/** An empty filesystem in memory. */
export interface TmpfsEntry extends EntryOf<'tmpfs'> {}
/** The process list of the sandbox's own pid namespace. */
export interface ProcEntry extends EntryOf<'proc'> {}
/** What the kernel shows of devices and itself. */
export interface SysfsEntry extends EntryOf<'sysfs'> {}
/** A minimal /dev. */
export interface DevEntry extends EntryOf<'dev'> {}
/** POSIX message queues. */
export interface MqueueEntry extends EntryOf<'mqueue'> {}
/** An empty directory. */
export interface DirectoryEntry extends EntryOf<'directory'> {}
/** A symbolic link. */
export interface SymlinkEntry extends EntryOf<'symlink'> {}
/** A file with given content. */
export interface FileEntry extends EntryOf<'file'> {}
/** Layers of directories. */
export interface OverlayEntry extends EntryOf<'overlay'> {}
/** Makes what is at a place read-only. */
export interface ReadonlyEntry extends EntryOf<'readonly'> {}
/** Sets the mode of what is there. */
export interface ChmodEntry extends EntryOf<'chmod'> {}
/** One entry of `filesystem`: it is of the kind whose key it has, and has no key of another kind. */
export type StrictEntry =
  | BindEntry
  | TmpfsEntry
  | ProcEntry
  | SysfsEntry
  | DevEntry
  | MqueueEntry
  | DirectoryEntry
  | SymlinkEntry
  | FileEntry
  | OverlayEntry
  | ReadonlyEntry
  | ChmodEntry

/** Descriptors that a policy itself reads: sources of binds and contents of files. */
export function entryFds(entries: readonly FilesystemEntry[] = []): number[] {
  return entries.flatMap((entry) => ('fd' in entry && entry.fd !== undefined ? [entry.fd] : []))
}
