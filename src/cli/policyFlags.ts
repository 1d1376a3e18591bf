/** What a flag is, and those flags that make a policy. */
import type { KeyPath } from '../policy/keys.js'
import type { ValueKind } from './flagValues.js'

export interface Option {
  /** Without the two dashes. */
  readonly name: string
  /** One letter. */
  readonly short?: string
  /** What its value stands for, in help; without one it is a switch. */
  readonly value?: string
  /** How its value is written: see flagValues.ts; default: any text. */
  readonly kind?: ValueKind
  /** A value of fewer bytes than this, without a unit, was surely meant in another unit. */
  readonly least?: number
  /** May be given more than once. */
  readonly many?: true
  /** May be given more than once, and its place among the others of this name counts: all are one list. */
  readonly list?: string
  readonly required?: true
  /** The key of a policy that it sets, or adds to: faults of that key are its own. */
  readonly sets?: KeyPath
  /** Of a switch: what it sets that to. */
  readonly to?: unknown
  /** For help: a sentence without its full stop. */
  readonly about: string
}

type ValueOf<One extends Option> = One extends { many: true }
  ? readonly string[]
  : One extends { kind: 'count' | 'cores' | 'id' }
    ? number
    : One extends { value: string }
      ? string
      : true

/** What the flags of a table come to, by their names. */
export type FlagsOf<Options extends readonly Option[]> = {
  readonly [One in Options[number] as One extends { required: true } | { list: string }
    ? never
    : One['name']]?: ValueOf<One>
} & {
  readonly [One in Options[number] as One extends { list: infer List extends string } ? List : never]?: readonly {
    readonly name: Extract<Options[number], { list: string }>['name']
    readonly value: string
  }[]
} & { readonly [One in Options[number] as One extends { required: true } ? One['name'] : never]: ValueOf<One> }

/** Of a tmpfs, which has no room for a byte in less: tmpfs(5). The smallest of all machines. */
const page = 4096

/** What `limits` of a policy says. */
const limitOptions = [
  {
    name: 'memory',
    sets: 'limits.memory',
    value: 'SIZE',
    kind: 'size',
    least: 2 ** 20,
    about: 'at most this much memory for all processes together, such as 256M',
  },
  {
    name: 'pids',
    sets: 'limits.pids',
    value: 'COUNT',
    kind: 'count',
    about: 'at most this many processes and threads',
  },
  {
    name: 'cpus',
    sets: 'limits.cpu',
    value: 'CORES',
    kind: 'cores',
    about: 'at most this many cores, such as 0.5; the processes are slowed down to it',
  },
  {
    name: 'cpu-time',
    sets: 'limits.cpuTime',
    value: 'TIME',
    kind: 'time',
    about: 'kill everything after this much CPU time, such as 2s',
  },
  {
    name: 'wall-time',
    sets: 'limits.wallTime',
    value: 'TIME',
    kind: 'time',
    about: 'kill everything after this time, such as 5s',
  },
  {
    name: 'disk',
    sets: 'limits.disk',
    value: 'SIZE',
    kind: 'size',
    least: page,
    about: 'at most this much in each directory in memory that has no size of its own',
  },
  { name: 'file-size', sets: 'limits.fileSize', value: 'SIZE', kind: 'size', about: 'no file larger than this' },
  {
    name: 'limits-optional',
    sets: 'limits.required',
    to: false,
    about: 'where there is no cgroup, use the rlimits that come closest',
  },
] as const satisfies readonly Option[]

/** A policy from flags alone, or added to a policy file. */
export const policyOptions = [
  { name: 'policy', value: 'FILE', about: 'a policy in JSON; the flags below are added to it' },
  {
    name: 'preset',
    sets: 'preset',
    value: 'NAME',
    about: 'a ready environment: system (default, unless --policy or --fill is given) or empty; see "vial presets"',
  },
  {
    name: 'fill',
    sets: 'fill.program',
    value: 'PROGRAM',
    many: true,
    about: 'show only what this program needs of the host, instead of a preset',
  },
  {
    name: 'ro',
    sets: 'filesystem',
    value: 'PATH[:INSIDE]',
    list: 'shown',
    about: 'show a file or directory of the host, read-only',
  },
  {
    name: 'rw',
    sets: 'filesystem',
    value: 'PATH[:INSIDE]',
    list: 'shown',
    about: 'show a file or directory of the host, writable',
  },
  {
    name: 'tmpfs',
    sets: 'filesystem',
    value: 'INSIDE[:SIZE]',
    list: 'shown',
    least: page,
    about: 'an empty directory in memory, such as /scratch:64M',
  },
  {
    name: 'env',
    sets: 'env',
    value: 'NAME[=VALUE]',
    many: true,
    about: "set a variable, or hand on the caller's (NAME may have *); the environment is clean but for TERM",
  },
  {
    name: 'network',
    sets: 'network',
    value: 'none|host',
    about: 'none (default): a loopback of its own and nothing else; host: the network of the host',
  },
  { name: 'hostname', sets: 'hostname', value: 'NAME', about: 'the host name inside; default vial' },
  {
    name: 'cwd',
    sets: 'cwd',
    value: 'INSIDE',
    about: 'the working directory inside; default: the current directory if --ro or --rw shows it, else HOME',
  },
  {
    name: 'uid',
    sets: 'identity.uid',
    value: 'ID',
    kind: 'id',
    about: 'the user id inside; default 1000, with --root 65534 (nobody)',
  },
  { name: 'gid', sets: 'identity.gid', value: 'ID', kind: 'id', about: 'the group id inside; default as for --uid' },
  {
    name: 'share-session',
    sets: 'session',
    to: 'host',
    about:
      "stay in the terminal's session: job control works; the filter keeps the command from typing into the terminal",
  },
  {
    name: 'seccomp',
    sets: 'seccomp',
    value: 'NAME|FILE',
    about:
      'the filter of system calls: default, strict, nested, none, or a profile in JSON (Docker and OCI format too)',
  },
  ...limitOptions,
  {
    name: 'root',
    sets: 'namespaces.user',
    to: 'host',
    about: 'root mode: no user namespace; needs a caller who is root',
  },
] as const satisfies readonly Option[]

export type PolicyFlags = FlagsOf<typeof policyOptions>

/** Of `vial run`. */
export const runOptions = [
  ...policyOptions,
  {
    name: 'timeout',
    value: 'TIME',
    kind: 'time',
    about: 'kill everything in the sandbox after this time, such as 5s',
  },
  {
    name: 'output',
    sets: 'limits.output',
    value: 'SIZE',
    kind: 'size',
    about: 'kill everything when it writes more than this to standard output and error',
  },
  { name: 'verdict', about: 'say in one line on standard error how it ended, and which limit it met' },
  {
    name: 'report',
    value: 'json|table|FILE',
    about: 'report what it used and how it ended: on standard error, or as JSON in a file',
  },
] as const satisfies readonly Option[]

export type RunFlags = FlagsOf<typeof runOptions>
