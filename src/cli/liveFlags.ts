/** The flags of the commands on sandboxes that have names. */
import { signals } from '../kernel/signals.js'
import { oneOf } from './offers.js'
import {
  json,
  networkLogOption,
  type Option,
  ownLimitOptions,
  policyOptions,
  runOptions,
  terminalOptions,
} from './policyFlags.js'
import { protectOptions } from './workFlags.js'

const signalWords = { words: Object.keys(signals).map((name) => name.replace(/^SIG/, '')) }

export const startOptions = [
  { name: 'name', value: 'NAME', required: true, about: 'what others call it by' },
  ...policyOptions,
  {
    name: 'work',
    value: 'DIR',
    offers: { from: 'file' },
    about: 'what it writes in this directory goes into a layer: see "vial diff" and "vial commit"',
  },
  ...protectOptions,
  networkLogOption,
  { name: 'log-size', value: 'SIZE', kind: 'size', about: 'how much of its output is kept; default 2M' },
  {
    name: 'stop-signal',
    value: 'SIGNAL',
    offers: signalWords,
    about: 'what asks its command to end, such as INT for PostgreSQL; default TERM',
  },
  {
    name: 'foreground',
    about: 'stay until it ends, print what it writes, hand on signals, exit as it does: for a supervisor',
  },
  { name: 'pid-file', value: 'FILE', offers: { from: 'file' }, about: 'write the pid of its monitor there' },
] as const satisfies readonly Option[]

const ofRun = ['verdict', 'report'] as const
const isOfRun = (option: Option): option is (typeof runOptions)[number] & { name: (typeof ofRun)[number] } =>
  ofRun.some((name) => name === option.name)

export const execOptions = [
  ...terminalOptions,
  {
    name: 'env',
    value: 'NAME[=VALUE]',
    offers: { from: 'variable' },
    many: true,
    about: "set a variable, or hand on the caller's (NAME may have *), besides those of the sandbox's policy",
  },
  { name: 'cwd', sets: 'cwd', value: 'INSIDE', about: "the working directory inside; default: the policy's" },
  {
    name: 'uid',
    sets: 'uid',
    value: 'ID',
    kind: 'id',
    about: "the user id inside, one of the sandbox's; default: the policy's",
  },
  { name: 'gid', sets: 'gid', value: 'ID', kind: 'id', about: 'the group id inside, alike' },
  ...ownLimitOptions,
  {
    name: 'timeout',
    value: 'TIME',
    kind: 'milliseconds',
    about: 'kill the command and its process group after this time, such as 5s',
  },
  ...runOptions.filter(isOfRun),
] as const satisfies readonly Option[]

export const psOptions = [json] as const satisfies readonly Option[]
export const topOptions = [
  { name: 'every', value: 'TIME', kind: 'milliseconds', about: 'the time between two looks; default 1s' },
  {
    name: 'count',
    short: 'n',
    value: 'COUNT',
    kind: 'count',
    about: 'how often; default: 1, at a terminal until Ctrl-C',
  },
  json,
] as const satisfies readonly Option[]
export const logsOptions = [
  { name: 'follow', short: 'f', about: 'go on until it ends' },
  { name: 'lines', short: 'n', value: 'COUNT', kind: 'count', about: 'the last lines only' },
] as const satisfies readonly Option[]
export const stopOptions = [
  {
    name: 'signal',
    short: 's',
    value: 'SIGNAL',
    offers: signalWords,
    about: 'what asks it to end; default: what "vial start" was told, else TERM',
  },
  { name: 'grace', value: 'TIME', kind: 'milliseconds', about: 'how long it may then take; default 10s' },
  { name: 'rm', about: 'remove what is kept of it, too' },
] as const satisfies readonly Option[]
export const killOptions = [
  {
    name: 'signal',
    short: 's',
    value: 'SIGNAL',
    offers: signalWords,
    about: 'such as HUP, SIGINT or 10; default KILL, which ends all in it',
  },
] as const satisfies readonly Option[]
export const networkOptions = [
  {
    name: 'allow',
    value: 'HOST:PORT',
    many: true,
    about: 'from now on its programs may reach this too, as with "vial run --allow"',
  },
  {
    name: 'deny',
    value: 'HOST:PORT',
    many: true,
    about: 'from now on they may not; connections that are open are reset',
  },
  json,
] as const satisfies readonly Option[]

export const mountOptions = [
  {
    name: 'rw',
    about: 'what is in the sandbox may write there, as far as its user may on the host; default: read-only',
  },
] as const satisfies readonly Option[]
export const cpOptions = [
  { name: 'limit', value: 'SIZE', kind: 'size', about: 'copy no more than this out of the sandbox; default 1G' },
] as const satisfies readonly Option[]
export const diffOptions = [
  { name: 'text', about: 'what differs line by line, in their place, as git apply takes it' },
  json,
] as const satisfies readonly Option[]
export const commitOptions = [
  {
    name: 'only',
    value: 'PATH',
    offers: { from: 'file' },
    many: true,
    about: 'this path of the diff, with all in it; default: all that can be',
  },
  {
    name: 'conflict',
    ...oneOf(['refuse', 'overwrite']),
    about: 'what becomes of what was changed on the host since the start; default: nothing is written',
  },
] as const satisfies readonly Option[]
export const rmOptions = [
  { name: 'force', short: 'f', about: 'also one that runs: it is ended first' },
] as const satisfies readonly Option[]
