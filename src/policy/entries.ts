/** Entries of a policy's `filesystem`: each is of one kind, which one of its keys names. A kind is one row here. */
import type * as v from 'valibot'
import type { KeyOf } from '../text/shapes.js'
import type { SchemaTools } from './schemaTools.js'

/** What a place shows, for people. */
export interface Shown {
  /** In words, such as `/usr of the host`. */
  readonly shows: string
  /** None where that is as in the directory above, or for each file by itself. */
  readonly access?: 'read-only' | 'writable'
}

interface Kind<Schema extends v.GenericSchema, Is> {
  /**
   * What becomes of its place. `mount`: it hides all that was there and beneath. `way`: it leads to a place, or is there to be mounted on.
   * `change`: what is there already is changed. A `file` hides what was there if it says that it is mounted.
   */
  readonly is: Is
  /** Made when a policy is checked: valibot takes long to load, and the kinds are asked for sooner. */
  readonly schema: (t: SchemaTools) => Schema
  /** In words. `host`: the absolute path of one of the host. */
  readonly shows?: (entry: v.InferInput<Schema>, host: (path: string) => string) => Shown
}

/** Keeps the types of a row's keys. */
const kind = <Schema extends v.GenericSchema, const Is extends 'mount' | 'way' | 'file' | 'change'>(
  row: Kind<Schema, Is>,
) => row

const owner = (t: SchemaTools) =>
  t.optional(
    t.object({
      /** The user's id inside; default: the payload's. */
      uid: t.optional(t.id),
      /** The group's id inside; default: the payload's. */
      gid: t.optional(t.id),
    }),
  )

const upperFault = 'must be "tmpfs" or { upper, work }'

/** By the key that names the kind, whose value is always the place inside. */
export const mountKinds = {
  /** Shows a host file or directory. Read-only, nosuid, nodev, recursive unless said otherwise. */
  bind: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside. */
        bind: t.inside,
        /** The host's side; default: the same path. */
        from: t.optional(t.host),
        /** Instead of `from`: a file descriptor of the file or directory. */
        fd: t.optional(t.fd),
        /** Let the payload write beneath it; default false. */
        writable: t.optional(t.flag),
        /**
         * A host directory above `from` that links on the way must not lead out of: one that other sandboxes may write, for theirs
         * could have planted links. What this policy itself may write needs no naming. Default: links are followed.
         */
        beneath: t.optional(t.host),
        /** Also what is mounted beneath; default true. The kernel refuses `false` where that would reveal something. */
        recursive: t.optional(t.flag),
        /** Leave it out, without an error, when the source does not exist. */
        optional: t.optional(t.flag),
        /** Let device nodes beneath it work; default false. */
        devices: t.optional(t.flag),
        /** Refuse to execute files beneath it; default false. */
        noexec: t.optional(t.flag),
        /** Let setuid bits beneath it stand (no_new_privs still disarms them); default false. */
        suid: t.optional(t.flag),
      }),
    shows: ({ bind, from = bind, fd, writable, optional, devices }, host) => ({
      shows: [
        fd === undefined ? `${host(from)} of the host` : `descriptor ${fd}`,
        ...(devices ? ['with its devices'] : []),
        ...(optional ? ['if it is there'] : []),
      ].join(', '),
      access: writable ? 'writable' : 'read-only',
    }),
  }),
  /** An empty filesystem in memory. `size` bytes (default: half the memory), `inodes` at the most. */
  tmpfs: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside. */
        tmpfs: t.inside,
        /** At most so many bytes, such as `64M`; default: half of the machine's memory, tmpfs(5). */
        size: t.optional(t.positiveSize),
        /** At most so many files and directories; default: tmpfs's own, half as many as there are pages of memory. */
        inodes: t.optional(t.pipe(t.number(), t.integer(), t.minValue(1))),
        /** Octal, a number or text such as `"1777"`; default 0755. */
        mode: t.optional(t.mode),
        /** Ids inside; default: the payload's. */
        owner: owner(t),
        /** Refuse to execute files in it; default false. */
        noexec: t.optional(t.flag),
      }),
    shows: ({ size }) => ({
      shows: `a directory in memory${size === undefined ? '' : ` (${size})`}`,
      access: 'writable',
    }),
  }),
  /** The process list of the sandbox's own pid namespace. */
  proc: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside, usually /proc. */
        proc: t.inside,
        /** `pid`: only processes, none of the kernel's own files. */
        subset: t.optional(t.literal('pid', 'must be "pid"')),
        /** Hides processes of other users, or all that the reader may not trace: proc(5). */
        hidepid: t.optional(
          t.picklist(['noaccess', 'invisible', 'ptraceable'], 'must be "noaccess", "invisible" or "ptraceable"'),
        ),
        /**
         * Default true: for a payload that is root outside, the kernel's settings are read-only and its secrets covered.
         * `false` leaves them open, which a sandbox inside needs to mount a /proc of its own.
         */
        masked: t.optional(t.flag),
      }),
    shows: () => ({ shows: 'processes, and what the kernel tells of itself' }),
  }),
  /** What the kernel shows of devices and itself, read-only; of the sandbox's own network where that is `none`. */
  sysfs: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside. */
        sysfs: t.inside,
      }),
    shows: () => ({ shows: 'devices, and what the kernel tells of itself', access: 'read-only' }),
  }),
  /** A minimal /dev: null, zero, full, random, urandom, tty, pts, shm, and the usual links. */
  dev: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside. */
        dev: t.inside,
      }),
    shows: () => ({ shows: 'null, zero, full, random, urandom, tty, pts, shm and the usual links' }),
  }),
  /** POSIX message queues of the sandbox's own ipc namespace, mq_overview(7). */
  mqueue: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside. */
        mqueue: t.inside,
      }),
    shows: () => ({ shows: 'POSIX message queues' }),
  }),
  /** An empty directory. Default mode 0755. */
  directory: kind({
    is: 'way',
    schema: (t) =>
      t.object({
        /** The place inside. */
        directory: t.inside /** Octal, a number or text such as `"0755"`. */,
        mode: t.optional(t.mode),
        /** Ids inside; default: the payload's. */
        owner: owner(t),
      }),
    shows: () => ({ shows: 'a directory' }),
  }),
  symlink: kind({
    is: 'way',
    schema: (t) =>
      t.object({
        /** The place inside. */
        symlink: t.inside,
        /** What the link says: a path as seen from inside. */
        to: t.pathText,
      }),
    shows: ({ to }) => ({ shows: `a link to ${to}` }),
  }),
  /** A file with this content, or with what is read from file descriptor `fd` when the sandbox starts. Default mode 0644. */
  file: kind({
    is: 'file',
    schema: (t) =>
      t.pipe(
        t.object({
          /** The place inside. */
          file: t.inside,
          /** What is in it; or use `fd`. */
          content: t.optional(t.union([t.string(), t.instance(Uint8Array)], 'must be text or a Uint8Array')),
          fd: t.optional(t.fd),
          /**
           * In it are the certificates, as PEM, of the authorities that programs trust, where `network.inspect` opens their TLS: those of this host, and the
           * sandbox's own. A preset has this file itself.
           */
          authorities: t.optional(t.literal(true, 'must be true')),
          mode: t.optional(t.mode),
          owner: owner(t),
          /** Mount it over the place, so that it may cover a file of a read-only directory. */
          mount: t.optional(t.picklist(['readonly', 'writable'], 'must be "readonly" or "writable"')),
        }),
        t.check(
          ({ content, fd, authorities }) => [content, fd, authorities].filter((one) => one !== undefined).length === 1,
          'needs either content or fd',
        ),
      ),
    shows: ({ mount }) => ({
      shows: 'a file of the policy',
      ...(mount === undefined ? {} : { access: mount === 'readonly' ? 'read-only' : 'writable' }),
    }),
  }),
  /** Layers, the first of `lower` on top. `upper: 'tmpfs'` keeps changes in memory; without an upper it is read-only. */
  overlay: kind({
    is: 'mount',
    schema: (t) =>
      t.object({
        /** The place inside. */
        overlay: t.inside,
        /** Directories of the host, read-only, the first on top. */
        lower: t.pipe(
          t.array(t.host),
          t.minLength(1, 'needs at least one layer'),
          t.maxLength(500, 'has more layers than the kernel stacks: at most 500'),
        ),
        /** Where changes go: `"tmpfs"` keeps them in memory, `{ upper, work }` in directories of the host; default: it is read-only. */
        upper: t.optional(
          t.either(
            {
              word: t.literal('tmpfs', upperFault),
              object: t.object({
                /** Host directory that gets what is written. */
                upper: t.host,
                /** Empty host directory on the same filesystem, for the kernel's own use: overlay's workdir. */
                work: t.host,
                /** What is written is not forced to the disk, as if that were done: faster, for what is dropped with the sandbox. */
                volatile: t.optional(t.flag),
              }),
            },
            upperFault,
          ),
        ),
      }),
    shows: ({ lower, upper }, host) => ({
      shows: [
        lower.map(host).join(' over '),
        ...(upper === undefined
          ? []
          : [upper === 'tmpfs' ? 'changes stay in memory' : `changes go to ${host(upper.upper)}`]),
      ].join(', '),
      access: upper === undefined ? 'read-only' : 'writable',
    }),
  }),
  /** Makes what is at this place, and with `recursive` (default) all beneath it, read-only. `mount`: it must be a mount. */
  readonly: kind({
    is: 'change',
    schema: (t) =>
      t.object({
        /** The place inside. */
        readonly: t.inside,
        /** Also what is mounted beneath; default true. */
        recursive: t.optional(t.flag),
        /** It must be a mount of its own; default false. */
        mount: t.optional(t.flag),
      }),
  }),
  /** Sets the mode of what is there. */
  chmod: kind({
    is: 'change',
    schema: (t) =>
      t.object({
        /** The place inside. */
        chmod: t.inside,
        /** Octal, a number or text such as `"0755"`. */
        mode: t.mode,
      }),
  }),
} as const

export type MountKind = keyof typeof mountKinds
export const mountKindNames = Object.keys(mountKinds) as readonly MountKind[]

/** The schemas, by kind. */
export type EntrySchemas = { readonly [Kind in MountKind]: ReturnType<(typeof mountKinds)[Kind]['schema']> }
type EntrySchema = EntrySchemas[MountKind]
/** One entry of `filesystem`. */
export type FilesystemEntry = v.InferInput<EntrySchema>
/** The same, checked: sizes and modes are numbers. */
export type Entry = v.InferOutput<EntrySchema>
type EntryOf<Kind extends MountKind> = v.InferInput<EntrySchemas[Kind]> & {
  readonly [Other in Exclude<KeyOf<FilesystemEntry>, keyof v.InferInput<EntrySchemas[Kind]>>]?: never
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
