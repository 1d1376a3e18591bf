/** What `run` and `spawn` take, as a table of what each option may be. */
import type { OwnOptions } from '../policy/ownOptions.js'
import { closest } from '../text/closest.js'
import { OptionError } from '../text/error.js'
import type { StdioEntry } from './stdio.js'

/** What every command may be started with. */
export interface CommandOptions {
  /** Ends the whole sandbox when it is aborted; the result is then an {@link AbortError}. Default: none. */
  readonly signal?: AbortSignal
  /** Milliseconds after which the whole sandbox is ended; default: never. */
  readonly timeout?: number
  /**
   * The working directory of this command: an absolute path inside the sandbox. Default: `cwd` of the policy. A {@link SandboxError}
   * where the payload does not see it.
   */
  readonly cwd?: string
  /**
   * Variables of this command. They go over those of the policy, `env.set` and `env.inherit`; one that is undefined is taken away.
   * Default: none. A `PATH` among them is also where the command is looked for.
   */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** How one command is started. */
export interface SpawnOptions extends CommandOptions {
  /** Default: three pipes. Entries from the fourth on are the payload's descriptors 3, 4, …. */
  readonly stdio?: readonly StdioEntry[]
}

/** Where a standard stream of {@link RunOptions} goes: this process's own, /dev/null, or a descriptor of this process. */
export type Stream = 'inherit' | 'ignore' | number

/** How one command is run to its end. */
export interface RunOptions extends CommandOptions {
  /** Standard input; default: empty. */
  readonly input?: string | Uint8Array
  /** Standard input where there is no `input`: default `'ignore'`, /dev/null. */
  readonly stdin?: Stream
  /** Standard output: default `'pipe'`, it is collected. What goes elsewhere is empty in the result. */
  readonly stdout?: 'pipe' | Stream
  /** Standard error, alike. */
  readonly stderr?: 'pipe' | Stream
  /**
   * Bytes kept of standard output and of standard error each; more ends the sandbox. Default 64 MiB, or what `limits`
   * allows. No text is longer than 512 MiB: more takes `encoding: 'buffer'`.
   */
  readonly maxBuffer?: number
  /** What `stdout` and `stderr` are: text, or the bytes as they were written. Default `'utf8'`. */
  readonly encoding?: 'utf8' | 'buffer'
}

/** How a command is started in a terminal of its own. */
export interface TerminalOptions extends CommandOptions {
  /** Default: `sh`. */
  readonly command?: string
  /** What the command is called with; default: nothing. */
  readonly args?: readonly string[]
  /** How many characters a line of the terminal has; default 80. */
  readonly cols?: number
  /** How many lines it has; default 24. */
  readonly rows?: number
}

/** What is wrong with a value, behind the option's name; nothing is: undefined. */
type Check = (value: unknown) => string | undefined

const must = (fault: string, holds: (value: unknown) => boolean): Check => {
  return (value) => (holds(value) ? undefined : `: must be ${fault}`)
}
const textFault: Check = (value) =>
  typeof value !== 'string' ? ': must be text' : value.includes('\0') ? ': has a NUL byte' : undefined
const isDescriptor = (value: unknown) => Number.isInteger(value) && (value as number) >= 0
const stream = (...names: readonly unknown[]) =>
  must(
    `${names.map((name) => `"${name}"`).join(', ')} or a descriptor`,
    (value) => names.includes(value) || isDescriptor(value),
  )
const milliseconds = must('a number of milliseconds', (value) => typeof value === 'number' && value >= 0)

const common: Readonly<Record<keyof CommandOptions, Check>> = {
  signal: must('an AbortSignal', (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function'),
  timeout: milliseconds,
  cwd: (value) =>
    textFault(value) ??
    ((value as string).startsWith('/') && !(value as string).split('/').includes('..')
      ? undefined
      : ': must be an absolute path inside the sandbox, without ".."'),
  env: environmentFault,
}

export const spawnOptions: Readonly<Record<keyof SpawnOptions, Check>> = {
  ...common,
  stdio: must('a list', Array.isArray),
}

export const runOptions: Readonly<Record<keyof RunOptions, Check>> = {
  ...common,
  input: must('text or bytes', (value) => typeof value === 'string' || value instanceof Uint8Array),
  stdin: stream('inherit', 'ignore'),
  stdout: stream('pipe', 'inherit', 'ignore'),
  stderr: stream('pipe', 'inherit', 'ignore'),
  maxBuffer: must('a number of bytes', (value) => typeof value === 'number' && value >= 0),
  encoding: must('"utf8" or "buffer"', (value) => value === 'utf8' || value === 'buffer'),
}

const checkedLater: Check = () => undefined
const size = must(
  'a whole number from 1 to 65535',
  (value) => isDescriptor(value) && value !== 0 && (value as number) < 2 ** 16,
)

export const terminalOptions: Readonly<Record<keyof TerminalOptions, Check>> = {
  ...common,
  // As of any command.
  command: checkedLater,
  args: checkedLater,
  cols: size,
  rows: size,
}

/** Of a script that a shell runs, which goes on behind it. */
export const scriptOptions: Readonly<Record<'signal' | 'timeout' | 'maxBuffer', Check>> = {
  signal: common.signal,
  timeout: common.timeout,
  maxBuffer: runOptions.maxBuffer,
}

export const shellOptions: Readonly<Record<'command' | 'cwd' | 'env', Check>> = {
  command: checkedLater,
  cwd: common.cwd,
  env: common.env,
}

/** Of a sandbox that is opened: live/sandboxNames.ts checks its name, live/workTree.ts the other. */
export const openOptions: Readonly<Record<'name' | 'work', Check>> = { name: checkedLater, work: checkedLater }

/** Of a sandbox that is removed. */
export const removeOptions: Readonly<Record<'force', Check>> = {
  force: must('true or false', (value) => typeof value === 'boolean'),
}

/** Of a command that enters a sandbox, besides: policy/ownOptions.ts checks their values. */
export const ownOptions: Readonly<Record<keyof OwnOptions, Check>> = {
  uid: checkedLater,
  gid: checkedLater,
  limits: checkedLater,
}

function environmentFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return ': must be an object'
  for (const [name, one] of Object.entries(value)) {
    if (name === '' || /[=\0]/.test(name)) return `[${JSON.stringify(name)}]: must be a variable name`
    const fault = one === undefined ? undefined : textFault(one)
    if (fault !== undefined) return `.${name}${fault}`
  }
  return undefined
}

/**
 * Checks a command, its arguments and its options.
 * @throws {OptionError} that names the first one that is wrong
 */
export function checkCommand(
  command: unknown,
  args: readonly unknown[],
  options: object,
  checks: Readonly<Record<string, Check>>,
): void {
  refuse('command', textFault(command))
  if (!Array.isArray(args)) refuse('args', ': must be a list')
  for (let at = 0; at < args.length; at++) refuse('args', textFault(args[at]), `[${at}]`)
  checkOptions(options, checks)
}

/** @throws {OptionError} that names the first one that is wrong */
export function checkOptions(options: object, checks: Readonly<Record<string, Check>>): void {
  if (typeof options !== 'object' || options === null) refuse('options', ': must be an object')
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name]! : unknown(name, checks)
    if (value !== undefined) refuse(name, check(value))
  }
}

function refuse(name: string, fault: string | undefined, index = ''): void {
  if (fault !== undefined) throw new OptionError((names) => `${names.at(name)}${index}${fault}`)
}

function unknown(name: string, checks: object): Check {
  const meant = closest(name, Object.keys(checks))
  return () => `: is not a known option${meant === undefined ? '' : ` (did you mean ${meant}?)`}`
}
