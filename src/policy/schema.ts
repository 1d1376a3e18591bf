/**
 * What a policy may say. One schema: the `Policy` type is inferred from it, JSON and TypeScript policies are checked
 * by it, and every fault is named with its path.
 */
import * as v from 'valibot'
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { namespaceNames, type namespaces } from '../kernel/namespaces.js'
import { seccompSchema } from '../seccomp/profileSchema.js'
import { dictionary, either, type OfOneKind, object, oneKind } from '../text/shapes.js'
import {
  type Entry,
  type EntrySchemas,
  type FilesystemEntry,
  mountKindNames,
  mountKinds,
  type StrictEntry,
} from './entries.js'
import { type Limits, type LimitsPolicy, limitsSchema } from './limitsSchema.js'
import { type CheckedNetwork, type NamedNetwork, type NetworkWord, networkSchema } from './networkSchema.js'
import { rlimitsSchema } from './rlimitsSchema.js'
import { schemaTools } from './schemaTools.js'
import { environmentName, flag, host, id, inside, mode, positiveSize, text } from './values.js'

export type { Entry, FilesystemEntry, StrictEntry } from './entries.js'

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
const hostName = v.pipe(
  text,
  v.regex(/^\S*$/, 'must have no blanks'),
  v.check((name) => Buffer.byteLength(name) <= 64, 'is longer than 64 bytes'),
)
/** passwd(5), group(5). */
const accountName = v.pipe(text, v.regex(/^[^:,\s]+$/, 'must be a name without blanks, colons and commas'))

const program = v.pipe(text, v.nonEmpty('is empty'))
const rangesFault = 'must be "subids" or { uids, gids }'
const inheritFault = 'must be true or a list of names and patterns'

/** Spelled, and not inferred, for the texts of the keys go with their names. */
type NamespaceEntries = {
  [Name in keyof typeof namespaces]: v.OptionalSchema<
    Name extends 'time' ? typeof timeNamespace : typeof namespace,
    undefined
  >
}
const namespacesSchema = object(
  Object.fromEntries(namespaceNames.map((name) => [name, v.optional(name === 'time' ? timeNamespace : namespace)])),
) as unknown as v.ObjectSchema<NamespaceEntries, undefined>

/** The schema of each kind of entry. */
export const entrySchemas = Object.fromEntries(
  mountKindNames.map((kind) => [kind, mountKinds[kind].schema(schemaTools)]),
) as unknown as EntrySchemas

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
      size: v.optional(positiveSize),
    }),
  ),
  /**
   * Whether more of the host may be mounted into the sandbox while it runs, by the user who runs it: `changeable` (default), or `fixed`. A
   * run of one command has no way in, whatever this says.
   */
  mounts: v.optional(v.picklist(['fixed', 'changeable'], 'must be "fixed" or "changeable"')),
  /** Ordered: later entries lie over earlier ones. */
  filesystem: v.optional(v.array(oneKind('an entry', entrySchemas) as v.GenericSchema<FilesystemEntry, Entry>)),
  /** Each `new` by default. `user: 'host'` is root mode ("root namespaces") and needs a caller who is root. */
  namespaces: v.optional(namespacesSchema),
  /**
   * `none` (default): only the sandbox's own loopback. `host`: the host's network. `private`: a network of its own, from which pasta(1)
   * connects to whatever the host reaches, but for the host's loopback. `{ allow }`: the destinations that are listed, by their names, and
   * nothing else; this process resolves and connects, docs/network.md.
   */
  network: v.optional(networkSchema as v.GenericSchema<NetworkWord | NamedNetwork, NetworkWord | CheckedNetwork>),
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
  /** Working directory inside; default `/`. */
  cwd: v.optional(inside),
  /** What the payload sees as argv[0]. */
  argv0: v.optional(text),
  /** The payload's umask(2), such as `0o077` or `"077"`; default: the caller's. */
  umask: v.optional(mode),
  /** Limits of each process, getrlimit(2): a number is both soft and hard. Sizes are bytes, `cpu` seconds, `rttime` microseconds. Default: the caller's, but for `core`, `sigpending` and what `limits` sets. */
  rlimits: v.optional(rlimitsSchema),
  /** What all of the sandbox may take together; needs a cgroup, where the kernel has no other way. */
  limits: v.optional(limitsSchema as v.GenericSchema<LimitsPolicy, Limits>),
  /** Capabilities to keep, `CAP_…`; default none. */
  capabilities: v.optional(
    v.array(
      v.picklist(
        Object.keys(capabilities) as CapabilityName[],
        'is not a capability: use names such as CAP_NET_BIND_SERVICE',
      ),
    ),
  ),
  /**
   * A second wall behind the mounts, landlock(7). `on` (default): as far as the kernel has it, and not for policies that
   * are for sandboxes inside. `required`: an error where the kernel has none.
   */
  landlock: v.optional(v.picklist(['on', 'off', 'required'], 'must be "on", "off" or "required"')),
  /** No further user namespace can be made inside, and so no privilege over any other can be obtained. Default false. */
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

/**
 * The same, checked: sizes are bytes, times milliseconds, modes and resource limits numbers. What comes behind the check takes this, and
 * parses nothing.
 */
export type CheckedPolicy = v.InferOutput<typeof policySchema>

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
