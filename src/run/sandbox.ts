/** The library's face: `sandbox(policy)`, then `run`, `spawn`, `compile`, `explain`. */
import { constants } from 'node:buffer'
import { closeSync } from 'node:fs'
import { mostPipes } from '../launcher/record.js'
import { entryFds } from '../plan/plan.js'
import type { Environment, LaunchedStep } from '../plan/step.js'
import { checkPolicy } from '../policy/check.js'
import { currentDirectory } from '../policy/path.js'
import type { Policy, StrictPolicy } from '../policy/schema.js'
import { OptionError } from '../text/error.js'
import { identityOf, type OpenVial, reopen } from './executable.js'
import { type Compiled, type CompileOptions, compile } from './compile.js'
import { type Explanation, explainPlan } from './explain.js'
import { type FoundWay, Limiter } from './limiter.js'
import {
  type Connect,
  type Result,
  type SandboxProcess,
  type SpawnOptions,
  type Startable,
  spawnVial,
  startVial,
} from './spawn.js'
import { completeStdio, pipesOf, type Stdio } from './stdio.js'
import { openStored } from './store.js'
import { Collector, feed, PipeReader } from './streams.js'
import type { Verdict } from './verdict.js'

/** How one command is run to its end. */
export interface RunOptions extends Omit<SpawnOptions, 'stdio'> {
  /** Standard input; default: empty. */
  readonly input?: string | Uint8Array
  /**
   * Bytes kept of standard output and of standard error each; more ends the sandbox. Default 64 MiB, or what `limits`
   * allows. No text is longer than 512 MiB: more takes `encoding: 'buffer'`.
   */
  readonly maxBuffer?: number
  /** What `stdout` and `stderr` are: text, or the bytes as they were written. Default `'utf8'`. */
  readonly encoding?: 'utf8' | 'buffer'
}

/** How a command ended, and what it wrote. */
export interface RunResult<Output extends string | Buffer = string> extends Result {
  /** Standard output: text, or bytes with `encoding: 'buffer'`; cut at `maxBuffer`. */
  readonly stdout: Output
  /** Standard error, alike. */
  readonly stderr: Output
  /** Whether it was ended because it wrote more than `maxBuffer`, which is what `stdout` or `stderr` then holds. */
  readonly truncated: boolean
}

/** Milliseconds after which a run's output is read as it comes. Most end earlier, and are read once. */
const unread = 3

/** Compiled, and stored when it is first asked for. */
class Vial implements Startable {
  /** The file that was looked at whole: later, only whether it is still that one. */
  #known: ReturnType<typeof identityOf> | undefined

  constructor(
    readonly compiled: Compiled,
    readonly ownPids: boolean,
    readonly limiter: Limiter | undefined,
    readonly ignored: bigint,
    readonly store: (compiled: Compiled) => OpenVial,
  ) {}

  open(): OpenVial {
    const known = this.#known && reopen(this.#known)
    if (known !== undefined) return known
    const stored = this.store(this.compiled)
    this.#known = identityOf(stored)
    return stored
  }

  path(): string {
    const { fd, path } = this.open()
    closeSync(fd)
    return path
  }

  get inherit(): Environment['inherit'] {
    return this.compiled.plan.environment.inherit
  }

  steps(): readonly LaunchedStep[] {
    return this.compiled.steps
  }
}

/** A policy that is compiled once and runs any number of commands, each in a sandbox of its own. */
export class Sandbox {
  readonly #policy: Policy
  readonly #base: string
  readonly #store: (compiled: Compiled) => OpenVial
  readonly #trusted: readonly string[]
  readonly #ignored: bigint
  readonly #found: FoundWay | undefined
  #limits: Limiter | undefined
  /** By their stdio, for which each is compiled. */
  readonly #vials = new Map<string, Vial>()

  /** @throws {PolicyError} at the first use, when the policy has faults. */
  constructor(
    policy: Policy,
    base: string,
    /** Writes the vials of its runs, and opens them; default: by their content. */
    store: (compiled: Compiled) => OpenVial = ({ bytes }) => openStored(bytes),
    /** See {@link CompileOptions.trusted}. */
    trusted: readonly string[] = [],
    /** Signals that its commands start with ignored: see {@link Startable.ignored}. */
    ignored = 0n,
    /** The way to its cgroups, where that was looked for before. */
    found?: FoundWay,
  ) {
    this.#found = found
    this.#trusted = trusted
    this.#ignored = ignored
    this.#store = store
    this.#policy = policy
    this.#base = base
  }

  get #limiter(): Limiter | undefined {
    if (this.#policy.limits !== undefined) this.#limits ??= new Limiter(checkPolicy(this.#policy), this.#found)
    return this.#limits
  }

  /** The path of a vial in the cache that anything may execute: `execa(path, ['python3', 'x.py'])`. */
  async compile(): Promise<string> {
    return this.#vial(undefined).path()
  }

  /** What the vial will do, step by step; nothing is run, and no cgroup is needed. */
  explain(): Explanation {
    if (this.#policy.limits === undefined) return explainPlan(this.#vial(undefined).compiled, this.#base)
    // As a run has it, in a cgroup that is made for it.
    const stdio: Stdio = ['inherit', 'inherit', 'inherit']
    const { group, missing } = new Limiter(checkPolicy(this.#policy)).explained(stdio.length + 1)
    const options = { base: this.#base, ...optionsFor(stdio), ...(group === undefined ? {} : { group }) }
    return explainPlan(compile(this.#policy, options), this.#base, missing)
  }

  /** Runs a command to its end and collects its output. */
  run(
    command: string,
    args: readonly string[],
    options: RunOptions & { readonly encoding: 'buffer' },
  ): Promise<RunResult<Buffer>>
  run(
    command: string,
    args?: readonly string[],
    options?: RunOptions & { readonly encoding?: 'utf8' },
  ): Promise<RunResult>
  run(command: string, args?: readonly string[], options?: RunOptions): Promise<RunResult<string | Buffer>>
  async run(
    command: string,
    args: readonly string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult<string | Buffer>> {
    const { output = 0, stdout = 0, stderr = 0 } = this.#limiter?.limits ?? {}
    const { input, encoding = 'utf8', maxBuffer = Math.max(64 * 2 ** 20, output, stdout, stderr), ...rest } = options
    const most = Math.min(maxBuffer, encoding === 'buffer' ? constants.MAX_LENGTH : constants.MAX_STRING_LENGTH)
    const stdio: Stdio = [input === undefined ? 'ignore' : 'input', 'output', 'output']
    let truncated = false
    const tooMuch = () => {
      truncated = true
      child.kill('SIGKILL')
    }
    const kept = [1, 2].map(() => new Collector(most, tooMuch))
    const connect: Connect = (ends, meter) => {
      const stdin = ends.get(0)
      const fed = stdin === undefined ? undefined : feed(stdin, input!)
      const outputs = [...ends].filter(([fd]) => fd !== 0)
      const readers = outputs.map(([fd, end]) => new PipeReader(end, meter(fd, kept[fd - 1]!)))
      const timer = setTimeout(() => {
        for (const reader of readers) reader.start()
      }, unread)
      return {
        ended: () => Promise.all(readers.map((reader) => reader.ended())),
        finish() {
          clearTimeout(timer)
          for (const reader of readers) reader.finish()
          fed?.destroy()
        },
      }
    }
    const child = this.#start(stdio, rest, (vial) => startVial(vial, command, args, stdio, rest, connect))
    const result = await child.result
    const verdict: Verdict =
      truncated && result.verdict.kind === 'killed' ? { kind: 'killed', by: 'maxBuffer' } : result.verdict
    const [out, err] = kept.map(({ bytes }) => (encoding === 'buffer' ? bytes : bytes.toString()))
    return { ...result, verdict, stdout: out!, stderr: err!, truncated }
  }

  /** Starts a command, and gives its streams. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): SandboxProcess {
    const stdio = completeStdio(options.stdio, entryFds(this.#policy))
    return this.#start(stdio, options, (vial) => spawnVial(vial, command, args, { ...options, stdio }))
  }

  #start<Started>(stdio: Stdio, { signal, timeout }: SpawnOptions, start: (vial: Startable) => Started): Started {
    signal?.throwIfAborted()
    if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0))
      throw new OptionError(`timeout: ${timeout} is no number of milliseconds`)
    if (this.#limiter?.limitsOutput && [stdio[1], stdio[2]].some((one) => one !== 'output' && one !== 'ignore'))
      throw new OptionError('stdio: limits of output need "pipe" or "ignore" there')
    if (pipesOf(stdio).length > mostPipes) throw new OptionError(`stdio: more than ${mostPipes} pipes`)
    return start(this.#vial(stdio))
  }

  #vial(stdio: Stdio | undefined): Vial {
    const key = String(stdio?.map((entry) => (entry === 'input' || entry === 'output' ? entry : '')))
    let vial = this.#vials.get(key)
    if (vial === undefined) {
      const limiter = this.#limiter
      const group = stdio === undefined ? undefined : limiter?.option(stdio.length + 1)
      const compiled = compile(this.#policy, {
        base: this.#base,
        trusted: this.#trusted,
        ...optionsFor(stdio),
        ...(group === undefined ? {} : { group }),
      })
      const unknown = stdio === undefined ? undefined : entryFds(this.#policy).find((fd) => fd >= stdio.length)
      if (unknown !== undefined)
        throw new OptionError(`stdio: the policy reads descriptor ${unknown}, and stdio ends with ${stdio!.length - 1}`)
      vial = new Vial(compiled, (this.#policy.namespaces?.pid ?? 'new') === 'new', limiter, this.#ignored, this.#store)
      this.#vials.set(key, vial)
    }
    return vial
  }
}

/** A vial of the library writes its status records behind the last descriptor that it hands on. */
export function optionsFor(
  stdio: Stdio | undefined,
): Pick<CompileOptions, 'statusFd' | 'passFds' | 'pipes' | 'outputIsWatched'> {
  if (stdio === undefined) return {}
  return {
    statusFd: stdio.length,
    passFds: Array.from({ length: stdio.length - 3 }, (_, index) => index + 3),
    pipes: pipesOf(stdio),
    outputIsWatched: true,
  }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current folder. */
export function sandbox(policy: StrictPolicy, base = currentDirectory()): Sandbox {
  return new Sandbox(policy, base)
}
