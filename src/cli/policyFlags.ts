/** What a flag is, and those flags that make a policy. */
import type { KeyPath } from '../policy/keys.js'
import {
  type LimitFlag,
  type LimitName,
  type LimitRows,
  type LimitUnit,
  limitRows,
  tmpfsPage,
} from '../policy/limitRows.js'
import type { ValueKind } from './flagValues.js'
import { type Offer, oneOf, presetWords, profileWords } from './offers.js'

export interface Option {
  /** Without the two dashes. */
  readonly name: string
  /** One letter. */
  readonly short?: string
  /** What its value stands for, in help; without one it is a switch. */
  readonly value?: string
  /** How its value is written: see flagValues.ts; default: any text. */
  readonly kind?: ValueKind
  /** What completion in a shell offers as its value; default: nothing. */
  readonly offers?: Offer
  /** A value of fewer bytes than this, without a unit, was surely meant in another unit. */
  readonly least?: number
  /** May be given more than once. */
  readonly many?: true
  /** May be given more than once, and its place among the others of this name counts: all are one list. */
  readonly list?: string
  readonly required?: true
  /** The key of a policy, or the option of what enters a sandbox, that it sets or adds to: faults of that key are its own. */
  readonly sets?: KeyPath | 'uid' | 'gid'
  /** Of a switch: what it sets that to. */
  readonly to?: unknown
  /** What it means, its text and the caller's directory say whole: a vial may be found again by these. Else one is compiled each time. */
  readonly remembered?: true
  /** It is not about the sandbox, but about one run. */
  readonly ofRun?: true
  /** For help: a sentence without its full stop. */
  readonly about: string
}

/** Of every command that prints what programs may want to read. */
export const json = { name: 'json', about: 'for programs' } as const satisfies Option

type ValueOf<One extends Option> = One extends { many: true }
  ? readonly string[]
  : One extends { kind: 'count' | 'cores' | 'id' | 'milliseconds' }
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

/** How the value of a limit is written, by its unit. */
const ofUnit = {
  size: { value: 'SIZE', kind: 'size' },
  positiveSize: { value: 'SIZE', kind: 'size' },
  disk: { value: 'SIZE', kind: 'size' },
  time: { value: 'TIME', kind: 'time' },
  count: { value: 'COUNT', kind: 'count' },
  cores: { value: 'CORES', kind: 'cores' },
} as const satisfies { readonly [Unit in LimitUnit]?: { readonly value: string; readonly kind: ValueKind } }

/** The flag that a row of policy/limitRows.ts asks for. */
type LimitOption<Name extends LimitName, Only> = LimitRows[Name] extends {
  readonly flag: infer Flag extends LimitFlag
  readonly unit: infer Unit extends keyof typeof ofUnit
}
  ? (Flag extends { readonly only: infer Given } ? Given : undefined) extends Only
    ? { name: Flag['name']; sets: `limits.${Name}`; about: string; remembered: true } & (typeof ofUnit)[Unit]
    : never
  : never

type LimitOptions<Only> = readonly { [Name in LimitName]: LimitOption<Name, Only> }[LimitName][]
type OwnLimitOptions = readonly {
  [Name in LimitName]: LimitRows[Name] extends { readonly own: 'own' } ? LimitOption<Name, 'run' | undefined> : never
}[LimitName][]

/** @param about what help says of a flag; undefined: the command lacks it */
function limitOptions<Options>(about: (flag: LimitFlag, own: boolean) => string | undefined): Options {
  return (Object.keys(limitRows) as LimitName[]).flatMap((name) => {
    const row: { readonly unit: LimitUnit; readonly own?: 'own'; readonly flag?: LimitFlag } = limitRows[name]
    const text = row.flag && about(row.flag, row.own !== undefined)
    if (row.flag === undefined || text === undefined) return []
    const { only: _, aboutOwn: __, ...flag } = row.flag
    const kind = ofUnit[row.unit as keyof typeof ofUnit]
    return [{ ...flag, ...kind, about: text, sets: `limits.${name}`, remembered: true }]
  }) as Options
}

const ofEach = limitOptions<LimitOptions<undefined>>(({ only, about }) => (only === undefined ? about : undefined))
const ofRunOnly = limitOptions<LimitOptions<'run'>>(({ only, about }) => (only === 'run' ? about : undefined))
/** What a command that enters a sandbox may have of its own. */
export const ownLimitOptions = limitOptions<OwnLimitOptions>(({ about, aboutOwn = about }, own) =>
  own ? aboutOwn : undefined,
)

/** A policy from flags alone, or added to a policy file. */
export const policyOptions = [
  {
    name: 'policy',
    remembered: true,
    value: 'FILE',
    offers: { from: 'file' },
    about: 'a policy in JSON; the flags below are added to it',
  },
  {
    name: 'preset',
    remembered: true,
    sets: 'preset',
    value: 'NAME',
    offers: { words: presetWords },
    about: 'a ready environment: system (default, unless --policy or --fill is given) or empty; see "vial presets"',
  },
  {
    name: 'fill',
    remembered: true,
    sets: 'fill.program',
    value: 'PROGRAM',
    offers: { from: 'program' },
    many: true,
    about: 'show only what this program needs of the host, instead of a preset',
  },
  {
    name: 'ro',
    remembered: true,
    sets: 'filesystem',
    value: 'PATH[:INSIDE]',
    offers: { from: 'sides' },
    list: 'shown',
    about: 'show a file or directory of the host, read-only',
  },
  {
    name: 'rw',
    remembered: true,
    sets: 'filesystem',
    value: 'PATH[:INSIDE]',
    offers: { from: 'sides' },
    list: 'shown',
    about: 'show a file or directory of the host, writable',
  },
  {
    name: 'tmpfs',
    remembered: true,
    sets: 'filesystem',
    value: 'INSIDE[:SIZE]',
    list: 'shown',
    least: tmpfsPage,
    about: 'an empty directory in memory, such as /scratch:64M',
  },
  {
    name: 'env',
    remembered: true,
    sets: 'env',
    value: 'NAME[=VALUE]',
    offers: { from: 'variable' },
    many: true,
    about: "set a variable, or hand on the caller's (NAME may have *); the environment is clean but for TERM",
  },
  {
    name: 'network',
    remembered: true,
    sets: 'network',
    ...oneOf(['none', 'private', 'host']),
    about:
      "none (default): a loopback of its own and nothing else; private: one of its own that reaches what the host does, but the host's loopback (pasta); host: the network of the host",
  },
  {
    name: 'allow',
    sets: 'network.allow',
    value: 'HOST:PORT',
    many: true,
    about:
      'let it reach this, by name or address: api.example.com:443, *.example.org:80, 10.0.0.5:5432, udp:HOST:123, unix:/run/app.sock',
  },
  {
    name: 'deny',
    sets: 'network.deny',
    value: 'HOST:PORT',
    many: true,
    about: 'never this, whatever --allow says',
  },
  {
    name: 'inspect',
    sets: 'network.inspect',
    value: 'HOST:PORT',
    many: true,
    about: 'read the requests of HTTP there, and open TLS for it: for --secret and --request; see docs/network.md',
  },
  {
    name: 'secret',
    sets: 'network.secrets',
    value: 'NAME[/HEADER]@HOST:PORT',
    offers: { from: 'variable' },
    many: true,
    about:
      "put the caller's variable NAME into requests there, in place of what the command sees (header: authorization)",
  },
  {
    name: 'request',
    sets: 'network.requests',
    value: 'METHOD URL',
    many: true,
    about: "of the requests to that host only such: 'GET https://api.example.com/v1/*'",
  },
  {
    name: 'proxy',
    sets: 'network.proxy',
    value: 'PORT',
    kind: 'count',
    about: 'a proxy for HTTP and SOCKS 5 at this port inside, for programs that insist on one: see --allow',
  },
  {
    name: 'publish',
    sets: 'network.publish',
    value: '[ADDRESS:]PORT:INSIDE',
    many: true,
    about:
      'let programs of the host reach a server inside: 8080:80 is 127.0.0.1:8080 of the host and port 80 inside; either may be a path of a unix socket',
  },
  { name: 'hostname', remembered: true, sets: 'hostname', value: 'NAME', about: 'the host name inside; default vial' },
  {
    name: 'cwd',
    remembered: true,
    sets: 'cwd',
    value: 'INSIDE',
    about: 'the working directory inside; default: the current directory if --ro or --rw shows it, else HOME',
  },
  {
    name: 'uid',
    remembered: true,
    sets: 'identity.uid',
    value: 'ID',
    kind: 'id',
    about: 'the user id inside; default 1000, with --root 65534 (nobody)',
  },
  {
    name: 'gid',
    remembered: true,
    sets: 'identity.gid',
    value: 'ID',
    kind: 'id',
    about: 'the group id inside; default as for --uid',
  },
  {
    name: 'share-session',
    remembered: true,
    sets: 'session',
    to: 'host',
    about:
      "stay in the terminal's session: job control works; the filter keeps the command from typing into the terminal",
  },
  {
    name: 'seccomp',
    remembered: true,
    sets: 'seccomp',
    value: 'NAME|FILE',
    offers: { words: profileWords, from: 'file' },
    about:
      'the filter of system calls: default, strict, nested, none, or a profile in JSON (Docker and OCI format too)',
  },
  ...ofEach,
  {
    name: 'limits-optional',
    sets: 'limits.required',
    to: false,
    remembered: true,
    about: 'where there is no cgroup, use the rlimits that come closest',
  },
  {
    name: 'root',
    remembered: true,
    sets: 'namespaces.user',
    to: 'host',
    about: 'root mode: no user namespace; needs a caller who is root',
  },
] as const satisfies readonly Option[]

export type PolicyFlags = FlagsOf<typeof policyOptions>

/** Of commands that run one at the caller's terminal. */
export const terminalOptions = [
  {
    name: 'tty',
    short: 't',
    remembered: true,
    about: 'give the command a terminal of its own: a shell in it controls jobs, and nothing of yours is held',
  },
  {
    name: 'interactive',
    short: 'i',
    ofRun: true,
    about: 'hand on standard input, which is done in any case: for those used to -it',
  },
] as const satisfies readonly Option[]

export const networkLogOption = {
  name: 'network-log',
  ofRun: true,
  value: 'FILE|-',
  offers: { from: 'file' },
  about: 'write a line of JSON about each connection and name: to a file, or (-) to standard error',
} as const satisfies Option

/** Of `vial run`. */
export const runOptions = [
  ...policyOptions,
  ...terminalOptions,
  {
    name: 'timeout',
    value: 'TIME',
    kind: 'milliseconds',
    ofRun: true,
    about: 'kill everything in the sandbox after this time, such as 5s',
  },
  ...ofRunOnly,
  networkLogOption,
  {
    name: 'verdict',
    ofRun: true,
    about: 'say in one line on standard error how it ended, and which limit it met',
  },
  {
    name: 'report',
    ofRun: true,
    ...oneOf(['json', 'table'], { value: 'FILE', from: 'file' }),
    about: 'report what it used and how it ended: on standard error, or as JSON in a file',
  },
] as const satisfies readonly Option[]

export type RunFlags = FlagsOf<typeof runOptions>
