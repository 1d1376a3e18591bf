/**
 * What a policy may say. One schema: the `Policy` type is inferred from it, JSON and TypeScript policies are checked
 * by it, and every fault is named with its path.
 */
import * as v from 'valibot'
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { type RlimitName, rlimits } from '../kernel/rlimits.js'
import { seccompSchema } from '../seccomp/schema.js'
import { dictionary, either, type KeyOf, object, type OfOneKind, oneKind } from '../text/shapes.js'
import type { MountKind } from './kinds.js'
import { type LimitsPolicy, limitsSchema, positiveSize } from './limitsSchema.js'
import { type Size, sizeFault } from './units.js'

const longestPath = 4095

const noNul = v.check<string, string>((text) => !text.includes('\0'), 'has a NUL byte')
const text = v.pipe(v.string(), noNul)
const pathText = v.pipe(
  text,
  v.nonEmpty('is empty'),
  v.check((path) => Buffer.byteLength(path) <= longestPath, `is longer than ${longestPath} bytes`),
  v.check((path) => path.split('/').every((name) => Buffer.byteLength(name) <= 255), 'has a name of over 255 bytes'),
)
/** A place inside the sandbox: absolute, without `..`. */
const inside = v.pipe(
  pathText,
  v.startsWith('/', 'must be an absolute path inside the sandbox'),
  v.check((path) => !path.split('/').includes('..'), 'must not contain ".."'),
)
/** A path of the host; relative ones are relative to the policy's folder. */
const host = pathText

/** tmpfs(5) takes 0 for no limit at all. */
const size = positiveSize
const mode = v.custom<number | string>(
  (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 0 && value <= 0o7777
      : typeof value === 'string' && /^0?[0-7]{3,4}$/.test(value),
  'must be an octal mode such as "0755", or a number from 0 to 0o7777',
)
const id = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(0, 'must not be negative'),
  v.maxValue(2 ** 32 - 2, 'is too large for an id'),
)
const fd = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 20))
const flag = v.boolean()
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
  /** Shows a host file or folder. Read-only, nosuid, nodev, recursive unless said otherwise. */
  bind: object({
    /** The place inside. */
    bind: inside,
    /** The host's side; default: the same path. */
    from: v.optional(host),
    /** Instead of `from`: a file descriptor of the file or folder. */
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
    size: v.optional(size),
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
  /** An empty folder. Default mode 0755. */
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
      /** Mount it over the place, so that it may cover a file of a read-only folder. */
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

const joins = {
  pid: object({
    /** A process of the caller's pid namespace whose namespace is joined, through /proc/PID/ns. */
    pid: v.pipe(v.number(), v.integer(), v.minValue(1)),
  }),
  path: object({
    /** A file of the host that names a namespace to join, such as `/run/netns/x`: namespaces(7). */
    path: host,
  }),
} as const
const namespaceName = (fault: string) => v.picklist(['new', 'host'], fault)
const namespaceFault = 'must be "new", "host", { pid } or { path }'
const namespace = either({ word: namespaceName(namespaceFault), object: oneKind('a namespace', joins) }, namespaceFault)
const seconds = v.pipe(v.number(), v.integer('must be whole seconds'), v.minValue(-(2 ** 31)), v.maxValue(2 ** 31))
const timeFault = 'must be "new", "host", { pid }, { path } or offsets in seconds { boottime, monotonic }'
const offsets = object({
  /** Seconds added to CLOCK_BOOTTIME, and so to the uptime; default 0. */
  boottime: v.optional(seconds),
  /** Seconds added to CLOCK_MONOTONIC; default 0. */
  monotonic: v.optional(seconds),
})
const timeNamespace = either(
  { word: namespaceName(timeFault), object: oneKind('a time namespace', joins, offsets) },
  timeFault,
)

const range = object({
  /** The first id inside. */
  inside: id,
  /** The first id outside. */
  outside: id,
  /** How many ids follow one another, at least 1. */
  count: v.pipe(v.number(), v.integer(), v.minValue(1)),
})
const rlimitFault = 'must be a number, a size such as "64M" or "unlimited"'
const rlimitValue = v.custom<Size | 'unlimited'>(
  (value) => value === 'unlimited' || sizeFault(value) === undefined,
  rlimitFault,
)
const rlimit = either({ word: rlimitValue, object: object({ soft: rlimitValue, hard: rlimitValue }) }, rlimitFault)
const hostName = v.pipe(
  text,
  v.regex(/^\S*$/, 'must have no blanks'),
  v.check((name) => Buffer.byteLength(name) <= 64, 'is longer than 64 bytes'),
)
/** passwd(5), group(5). */
const accountName = v.pipe(text, v.regex(/^[^:,\s]+$/, 'must be a name without blanks, colons and commas'))
const environmentName = v.pipe(text, v.regex(/^[^=]+$/, 'must be a variable name'))

/** A limit of each process, getrlimit(2): one value for both, or soft and hard. `unlimited` is RLIM_INFINITY. */
export type Rlimit =
  | Size
  | 'unlimited'
  | {
      /** What the kernel holds the process to; it may raise it up to `hard`. */
      soft: Size | 'unlimited'
      /** Never raised again. */
      hard: Size | 'unlimited'
    }

/** Limits of each process by the names of getrlimit(2), without RLIMIT_. */
export interface Rlimits {
  /** Bytes of address space. */
  as?: Rlimit | undefined
  /** Bytes of a core dump; default 1, with which no handler of the host is called. */
  core?: Rlimit | undefined
  /** Seconds of CPU; then SIGXCPU, and at the hard limit SIGKILL. */
  cpu?: Rlimit | undefined
  /** Bytes of data segment and private writable memory. */
  data?: Rlimit | undefined
  /** Bytes of a file; more is SIGXFSZ. */
  fsize?: Rlimit | undefined
  /** Not used since Linux 2.4.25. */
  locks?: Rlimit | undefined
  /** Bytes of locked memory. */
  memlock?: Rlimit | undefined
  /** Bytes of POSIX message queues of the user. */
  msgqueue?: Rlimit | undefined
  /** 20 less the lowest niceness. */
  nice?: Rlimit | undefined
  /** One more than the highest file descriptor. */
  nofile?: Rlimit | undefined
  /** Processes and threads of the user. */
  nproc?: Rlimit | undefined
  /** Not used since Linux 2.4.30. */
  rss?: Rlimit | undefined
  /** Real-time priority. */
  rtprio?: Rlimit | undefined
  /** Microseconds of CPU under a real-time policy without a pause. */
  rttime?: Rlimit | undefined
  /** Signals queued for the user; default 1024. */
  sigpending?: Rlimit | undefined
  /** Bytes of stack of the main thread. */
  stack?: Rlimit | undefined
}

const program = v.pipe(text, v.nonEmpty('is empty'))
const rangesFault = 'must be "subids" or { uids, gids }'
const inheritFault = 'must be true or a list of names and patterns'

export const presetNames = ['system', 'empty'] as const

export const policySchema = object({
  /** A ready environment to start from. `system`: read-only /usr and what belongs to it, /proc, /dev, empty /tmp and HOME. */
  preset: v.optional(v.picklist(presetNames, `must be one of ${presetNames.join(', ')}`)),
  /** Shows only what these programs need (their closure): interpreter, libraries, language data. */
  fill: v.optional(
    object({
      /** A name that is looked for in `path`, or a path; one or several. */
      program: either({ word: program, list: v.array(program) }, 'must be the name of a program or a list of names'),
      /** Where programs without a slash are looked for on the host, as in PATH; default: `bin` and `sbin` of /usr/local, /usr and /. */
      path: v.optional(text),
    }),
  ),
  /** The root itself: an empty tmpfs, read-only once built unless `writable`. */
  root: v.optional(
    object({
      /** Let the payload write to it; default false. */
      writable: v.optional(flag),
      /** At most so many bytes; default: half of the machine's memory, tmpfs(5). */
      size: v.optional(size),
    }),
  ),
  /** Ordered: later entries lie over earlier ones. */
  filesystem: v.optional(v.array(oneKind('an entry', mountKinds))),
  /** Each `new` by default. `user: 'host'` is root mode ("root namespaces") and needs a caller who is root. */
  namespaces: v.optional(
    object({
      /** Ids, capabilities, and who is root: user_namespaces(7). `host`: root mode. */
      user: v.optional(namespace),
      /** What is mounted where: mount_namespaces(7). Anything but `new` excludes `filesystem`, `preset` and `fill`. */
      mount: v.optional(namespace),
      /** Processes: pid_namespaces(7). `host`: those of the caller are seen. */
      pid: v.optional(namespace),
      /** Interfaces, addresses, ports and abstract sockets: network_namespaces(7). `network` says the same of `new` and `host`. */
      net: v.optional(namespace),
      /** System V objects and POSIX message queues: ipc_namespaces(7). */
      ipc: v.optional(namespace),
      /** Host name and domain name: uts_namespaces(7). */
      uts: v.optional(namespace),
      /** What /proc/self/cgroup says: cgroup_namespaces(7). */
      cgroup: v.optional(namespace),
      /** Uptime and the monotonic clock: time_namespaces(7). Offsets make a new one that is ahead by so many seconds. */
      time: v.optional(timeNamespace),
    }),
  ),
  /** `none`: only the sandbox's own loopback. `host`: the host's network. */
  network: v.optional(v.picklist(['none', 'host'], 'must be "none" or "host"')),
  /** Who the payload is inside. Default 1000:1000, in root mode 65534:65534 (nobody). */
  identity: v.optional(
    object({
      /** The user id inside; default 1000, in root mode 65534. */
      uid: v.optional(id),
      /** The group id inside; default the same. */
      gid: v.optional(id),
      /** The user's name in the /etc/passwd of `preset` and `fill`, and their USER; default `vial`. */
      user: v.optional(accountName),
      /** The group's name in their /etc/group; default: that of the user. */
      group: v.optional(accountName),
      /** `subids`: also map the caller's /etc/subuid and /etc/subgid ranges, by newuidmap(1); or ranges of one's own. */
      ranges: v.optional(
        either(
          {
            word: v.literal('subids', rangesFault),
            object: object({
              /** Ranges of user ids; none overlaps another, or the payload's own id. */
              uids: v.array(range),
              /** Ranges of group ids, alike. */
              gids: v.array(range),
            }),
          },
          rangesFault,
        ),
      ),
    }),
  ),
  /** Default `vial`. At most 64 bytes; needs a uts namespace of the sandbox's own. */
  hostname: v.optional(hostName),
  /** The NIS domain name; default: none is set. At most 64 bytes. */
  domainname: v.optional(hostName),
  /** Empty by default, but for PATH. */
  env: v.optional(
    object({
      /** Variables, and their values. They come before those of `inherit`. */
      set: v.optional(dictionary(environmentName, text)),
      /** Names, or patterns with `*`, of the caller's variables to hand on. `true`: all. */
      inherit: v.optional(
        either({ word: v.literal(true, inheritFault), list: v.array(environmentName) }, inheritFault),
      ),
    }),
  ),
  /** Working folder inside; default `/`. */
  cwd: v.optional(inside),
  /** What the payload sees as argv[0]. */
  argv0: v.optional(text),
  /** The payload's umask(2), such as `0o077` or `"077"`; default: the caller's. */
  umask: v.optional(mode),
  /** Limits of each process, getrlimit(2): a number is both soft and hard. Sizes are bytes, `cpu` seconds, `rttime` microseconds. Default: the caller's, but for `core`, `sigpending` and what `limits` sets. */
  rlimits: v.optional(
    dictionary(
      v.picklist(Object.keys(rlimits) as RlimitName[], `is no resource: one of ${Object.keys(rlimits).join(', ')}`),
      rlimit,
    ) as unknown as v.GenericSchema<Rlimits>,
  ),
  /** What all of the sandbox may take together; needs a cgroup, where the kernel has no other way. */
  limits: v.optional(limitsSchema as v.GenericSchema<LimitsPolicy>),
  /** Capabilities to keep, `CAP_…`; default none. */
  capabilities: v.optional(
    v.array(
      v.picklist(
        Object.keys(capabilities) as CapabilityName[],
        'is no capability: use names such as CAP_NET_BIND_SERVICE',
      ),
    ),
  ),
  /**
   * A second wall behind the mounts, landlock(7). `on` (default): as far as the kernel has it, and not for policies that
   * are for sandboxes inside. `required`: an error where the kernel has none.
   */
  landlock: v.optional(v.picklist(['on', 'off', 'required'], 'must be "on", "off" or "required"')),
  /** No further user namespace can be made inside, and so no privilege be had over any other. Default false. */
  disableUserns: v.optional(flag),
  /**
   * The system calls that the payload may make: `default`, `strict`, `nested`, `none`, a profile of vial's or one in the
   * format of Docker and the OCI. Default `default`; docs/seccomp.md.
   */
  seccomp: v.optional(seccompSchema),
  /** `new`: setsid, the payload cannot reach the caller's terminal by job control. */
  session: v.optional(v.picklist(['new', 'host'], 'must be "new" or "host"')),
  /** Kill the sandbox when its parent dies; default true. */
  dieWithParent: v.optional(flag),
  /** `reaper`: pid 1 is vial's own. `payload`: the payload is pid 1. */
  init: v.optional(v.picklist(['reaper', 'payload'], 'must be "reaper" or "payload"')),
})

/** A policy, as a user writes it. */
export type Policy = v.InferInput<typeof policySchema>
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

type Namespaces = NonNullable<Policy['namespaces']>
/** Settings of the namespaces; each is `new` by default. */
type StrictNamespaces = { [Name in keyof Namespaces]: OfOneKind<Namespaces[Name]> }

/** A policy of which each entry, and each namespace, is of one kind. */
export type StrictPolicy = Omit<Policy, 'filesystem' | 'namespaces'> & {
  /** What the payload sees, in order: later entries lie over earlier ones. Default: nothing. */
  filesystem?: StrictEntry[] | undefined
  /** Each `new` by default. `user: 'host'` is root mode ("root namespaces") and needs a caller who is root. */
  namespaces?: StrictNamespaces | undefined
}
/** One namespace's setting. */
export type NamespaceSetting = v.InferInput<typeof namespace>
