/** The library's face: `sandbox(policy)`, then `run`, `spawn`, `compile`, `explain`. */
import { constants } from 'node:buffer'
import { openStored } from '../cache/contentVials.js'
import { identityOf, type OpenVial, pathOf, reopen } from '../cache/executable.js'
import { type Compiled, compileAccepted } from '../compile/compile.js'
import { type Explanation, explainPlan } from '../compile/explain.js'
import { mostPipes } from '../launcher/record.js'
import type { GroupOption } from '../plan/lowerLimits.js'
import type { Environment } from '../plan/manner.js'
import type { LaunchedStep } from '../plan/step.js'
import { type AcceptedPolicy, acceptedLater } from '../policy/check.js'
import { entryFds } from '../policy/entries.js'
import { limitsOutput } from '../policy/limits.js'
import { type Own, type OwnOptions, parseOwn } from '../policy/ownOptions.js'
import { currentDirectory } from '../policy/path.js'
import { publishes } from '../policy/networkSchema.js'
import type { StrictPolicy } from '../policy/schema.js'
import { type LimitsError, OptionError } from '../text/error.js'
import type { BesideOf } from './beside.js'
import { type Connect, collecting } from './connections.js'
import type { Door } from './door.js'
import type { RunLimiter } from './enforcement.js'
import { EntrantLimiter } from './entrantLimiter.js'
import { type FoundWay, Limiter } from './limiter.js'
import { AbortError, refuseAborted, type Result } from './result.js'
import {
  type CommandOptions,
  checkCommand,
  ownOptions,
  type RunOptions,
  runOptions,
  type SpawnOptions,
  spawnOptions,
  type TerminalOptions,
  terminalOptions,
} from './runOptions.js'
import {
  type BoxProcess,
  type ConnectedProcess,
  type SandboxProcess,
  type Startable,
  spawnVial,
  startVial,
} from './spawn.js'
import { perRunOf } from './startEnvironment.js'
import { compiledFor, completeStdio, pipesOf, type Stdio } from './stdio.js'
import { Collector } from './streams.js'
import { spawnTerminal, type TerminalProcess, terminalStdio } from './terminal.js'
import type { Verdict } from './verdict.js'

/** How a command ended, and what it wrote. */
export interface RunResult<Output extends string | Buffer = string> extends Result {
  /** Standard output: text, or bytes with `encoding: 'buffer'`; cut at `maxBuffer`. */
  readonly stdout: Output
  /** Standard error, alike. */
  readonly stderr: Output
  /** Whether it was ended because it wrote more than `maxBuffer`, which is what `stdout` or `stderr` then holds. */
  readonly truncated: boolean
}

/** Compiled, and stored when it is first asked for. */
class Vial implements Startable {
  /** The file that was looked at whole: later, only whether it is still that one. */
  #known: ReturnType<typeof identityOf> | undefined

  constructor(
    readonly compiled: Compiled,
    readonly ownPids: boolean,
    readonly limiter: RunLimiter | undefined,
    readonly ignored: bigint,
    readonly store: (compiled: Compiled) => OpenVial,
    readonly perRun: Startable['perRun'],
    readonly target: Startable['target'],
    readonly beside: Startable['beside'],
  ) {}

  open(): OpenVial {
    const known = this.#known && reopen(this.#known)
    if (known !== undefined) return known
    const stored = this.store(this.compiled)
    this.#known = identityOf(stored)
    return stored
  }

  path(): string {
    return pathOf(this.open())
  }

  get inherit(): Environment['inherit'] {
    return this.compiled.plan.start.environment.inherit
  }

  steps(): readonly LaunchedStep[] {
    return this.compiled.steps
  }
}

/** A living sandbox that commands are to enter. */
export interface Entering {
  /** As the first arguments of what enters it say it. */
  readonly target: readonly string[]
  /** The cgroup that they enter, which the sandbox made. */
  group(): GroupOption | undefined
  /** A faster way in. */
  readonly door?: Door
}

/** What of a sandbox only its maker within vial says. */
export interface SandboxOptions {
  /** Writes the vials of its runs, and opens them; default: by their content. */
  readonly store?: (compiled: Compiled) => OpenVial
  /** See {@link CompileOptions.trusted}. */
  readonly trusted?: readonly string[]
  /** Signals that its commands start with ignored: see {@link Startable.ignored}. */
  readonly ignored?: bigint
  /** The way to its cgroups, where that was looked for before. */
  readonly found?: FoundWay | undefined
  /** Its commands get terminals of their own, at the terminal that this process has. */
  readonly terminal?: true | undefined
  /** Its commands enter a sandbox that is there. */
  readonly entering?: Entering
  /** What serves the networks of its sandboxes, of which its commands each have one. */
  readonly beside?: BesideOf
}

/** A policy that is compiled once and runs any number of commands, each in a sandbox of its own. */
export class Sandbox {
  readonly #policy: () => AcceptedPolicy
  readonly #base: string
  readonly #how: SandboxOptions
  #limits: Limiter | undefined
  /** By their stdio, and what they have of their own, for which each is compiled. */
  readonly #vials = new Map<string, Vial>()

  /** @throws {PolicyError} at the first use, when the policy has faults. */
  constructor(policy: () => AcceptedPolicy, base: string, how: SandboxOptions = {}) {
    this.#policy = policy
    this.#base = base
    this.#how = how
  }

  get #limiter(): Limiter | undefined {
    const { checked } = this.#policy()
    if (checked.limits !== undefined) this.#limits ??= new Limiter(checked, this.#how.found)
    return this.#limits
  }

  #limiterOf({ limits }: Own): RunLimiter | undefined {
    const { entering } = this.#how
    const { checked } = this.#policy()
    if (entering === undefined) return this.#limiter
    return (checked.limits ?? limits) === undefined
      ? undefined
      : new EntrantLimiter(checked.limits, limits, () => entering.group())
  }

  /** What a command says of itself where it enters a sandbox. */
  #ownOf(options: OwnOptions): Own {
    return this.#how.entering === undefined ? {} : parseOwn(options)
  }

  /** The path of a vial in the cache that anything may execute: `execa(path, ['python3', 'x.py'])`. */
  async compile(): Promise<string> {
    return this.#vial(undefined).path()
  }

  /** What the vial will do, step by step; nothing is run, and no cgroup is needed. */
  explain(): Explanation {
    const { missing, ...rest } = this.explained()
    return missing === undefined ? rest : { ...rest, limits: missing.message }
  }

  /**
   * The same, with the error of a run that would fail here.
   * @internal
   */
  explained(): Explanation & { readonly missing?: LimitsError } {
    const policy = this.#policy()
    const { limits, network } = policy.checked
    if (limits === undefined && typeof network !== 'object')
      return explainPlan(this.#vial(undefined).compiled, this.#base)
    // As a run has it, in a cgroup that is made for it, and with this process beside it.
    const stdio: Stdio = ['inherit', 'inherit', 'inherit']
    const { group, missing } = limits === undefined ? {} : new Limiter(policy.checked).explained()
    const compiled = compileAccepted(policy, { base: this.#base, ...compiledFor(stdio, group, network) })
    const explained = explainPlan(compiled, this.#base)
    return missing === undefined ? explained : { ...explained, missing }
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
    options: RunOptions & OwnOptions = {},
  ): Promise<RunResult<string | Buffer>> {
    this.#check(command, args, options, runOptions)
    const own = this.#ownOf(options)
    const limits = this.#limiterOf(own)?.limits
    const { input, stdin = 'ignore', stdout = 'pipe', stderr = 'pipe', encoding = 'utf8' } = options
    if (input !== undefined && options.stdin !== undefined)
      throw new OptionError('stdin: is what input says already; leave one out')
    const limited = Math.max(limits?.output ?? 0, limits?.stdout ?? 0, limits?.stderr ?? 0)
    const { maxBuffer = Math.max(64 * 2 ** 20, limited) } = options
    const most = Math.min(maxBuffer, encoding === 'buffer' ? constants.MAX_LENGTH : constants.MAX_STRING_LENGTH)
    const collected = [stdout, stderr].map((stream) => (stream === 'pipe' ? 'output' : stream))
    const stdio: Stdio = [input === undefined ? stdin : 'input', ...collected]
    let truncated = false
    const tooMuch = () => {
      truncated = true
      child.kill('SIGKILL')
    }
    const kept = [1, 2].map(() => new Collector(most, tooMuch))
    const written = () => {
      const [out, err] = kept.map(({ bytes }) => (encoding === 'buffer' ? bytes : bytes.toString()))
      return { stdout: out!, stderr: err! }
    }
    let child: Pick<ConnectedProcess, 'kill' | 'result'>
    try {
      child =
        this.#collect(command, args, options, own, stdio, kept) ??
        this.#start(stdio, options, own, (vial) =>
          startVial(vial, command, args, stdio, options, collecting(input, kept)),
        )
      const result = await child.result
      const verdict: Verdict =
        truncated && result.verdict.kind === 'killed' ? { kind: 'killed', by: 'maxBuffer' } : result.verdict
      return { ...result, verdict, ...written(), truncated }
    } catch (error) {
      throw error instanceof AbortError ? new AbortError(error.cause, { ...error, ...written() }) : error
    }
  }

  /** Through the door, where there is one that takes it. */
  #collect(
    command: string,
    args: readonly string[],
    options: RunOptions,
    own: Own,
    [stdin, ...outputs]: Stdio,
    [out, err]: readonly Collector[],
  ): Pick<ConnectedProcess, 'kill' | 'result'> | undefined {
    const door = this.#doorFor(own)
    if (door === undefined || outputs.some((one) => one !== 'output')) return undefined
    if (stdin !== 'input' && stdin !== 'ignore') return undefined
    refuseAborted(options)
    const limiter = this.#limiterOf(own)
    return door.collect({ command, args, options, input: options.input, receivers: [out!, err!], limiter, own })
  }

  /** Most are for commands that have nothing of their own. */
  #doorFor(own: Own): Door | undefined {
    const door = this.#how.entering?.door
    return door?.takesOwn || Object.values(own).every((value) => value === undefined) ? door : undefined
  }

  /** Starts a command, and gives its streams. */
  spawn(command: string, args?: readonly string[], options?: SpawnOptions): SandboxProcess
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions & OwnOptions = {}): BoxProcess {
    this.#check(command, args, options, spawnOptions)
    const stdio = completeStdio(options.stdio, entryFds(this.#policy().checked.filesystem))
    const own = this.#ownOf(options)
    return (
      this.#spawnThroughDoor(command, args, options, own, stdio) ??
      this.#start(stdio, options, own, (vial) => spawnVial(vial, command, args, { ...options, stdio }))
    )
  }

  #spawnThroughDoor(
    command: string,
    args: readonly string[],
    options: SpawnOptions,
    own: Own,
    stdio: Stdio,
  ): BoxProcess | undefined {
    const [stdin, ...outputs] = stdio
    const arePipes = stdin === 'input' && outputs.length === 2 && outputs.every((one) => one === 'output')
    const door = arePipes ? this.#doorFor(own) : undefined
    if (door === undefined) return undefined
    refuseAborted(options)
    return door.spawn({ command, args, options, limiter: this.#limiterOf(own) })
  }

  /**
   * Starts a command whose pipes the caller takes by itself.
   * @internal
   */
  connected(
    command: string,
    args: readonly string[],
    options: CommandOptions,
    stdio: Stdio,
    connect: Connect,
  ): ConnectedProcess {
    this.#check(command, args, options, spawnOptions)
    return this.#start(stdio, options, {}, (vial) => startVial(vial, command, args, stdio, options, connect))
  }

  /** Starts a command in a terminal of its own, and gives this process the other end. */
  pty(options?: TerminalOptions): TerminalProcess
  pty(options: TerminalOptions & OwnOptions = {}): TerminalProcess {
    const { command = 'sh', args = [], env } = options
    this.#check(command, args, options, terminalOptions)
    const { TERM = 'xterm-256color' } = this.#policy().checked.env?.set ?? {}
    const asked = { ...options, env: { TERM, ...env } }
    return this.#start(terminalStdio, asked, this.#ownOf(options), (vial) => spawnTerminal(vial, asked), true)
  }

  #check(command: string, args: readonly string[], options: object, known: Parameters<typeof checkCommand>[3]): void {
    checkCommand(command, args, options, this.#how.entering === undefined ? known : { ...known, ...ownOptions })
  }

  #start<Started>(
    stdio: Stdio,
    options: CommandOptions,
    own: Own,
    start: (vial: Startable) => Started,
    terminal?: true,
  ): Started {
    const { cwd, env } = options
    refuseAborted(options)
    const limiter = this.#limiterOf(own)
    if (
      limiter !== undefined &&
      limitsOutput(limiter.limits) &&
      [stdio[1], stdio[2]].some((one) => one !== 'output' && one !== 'ignore')
    )
      throw new OptionError('stdio: limits of output need "pipe" or "ignore" there')
    if (pipesOf(stdio).length > mostPipes) throw new OptionError(`stdio: more than ${mostPipes} pipes`)
    const perRun = cwd !== undefined || env !== undefined || this.#how.entering !== undefined
    return start(this.#vial(stdio, perRun, own, terminal))
  }

  /** @param perRun the run has a working directory or an environment of its own, which another vial takes */
  #vial(stdio: Stdio | undefined, perRun = false, own: Own = {}, terminal = this.#how.terminal ?? false): Vial {
    const pipes = stdio?.map((entry) => (entry === 'input' || entry === 'output' ? entry : ''))
    const key = JSON.stringify([perRun, pipes, own, terminal])
    let vial = this.#vials.get(key)
    if (vial === undefined) {
      const { store = ({ bytes }) => openStored(bytes), trusted = [], ignored = 0n, entering, beside } = this.#how
      const accepted = this.#policy()
      const compiled = compileAccepted(accepted, {
        base: this.#base,
        trusted,
        ...(stdio === undefined
          ? {}
          : compiledFor(
              stdio,
              entering === undefined ? this.#limiter?.option() : entering.group(),
              beside && accepted.checked.network,
            )),
        ...(terminal ? { terminal } : {}),
        ...(beside !== undefined && publishes(accepted.checked.network) ? { living: { holds: false } } : {}),
        ...(entering !== undefined ? { enters: true, own } : perRun ? { perRun } : {}),
      })
      const unknown =
        stdio === undefined ? undefined : entryFds(accepted.checked.filesystem).find((fd) => fd >= stdio.length)
      if (unknown !== undefined)
        throw new OptionError(`stdio: the policy reads descriptor ${unknown}, and stdio ends with ${stdio!.length - 1}`)
      const { pid = 'new' } = accepted.checked.namespaces ?? {}
      const { policy, plan } = compiled
      const from = perRun ? perRunOf(policy, plan.start.environment) : undefined
      vial = new Vial(
        compiled,
        pid === 'new',
        this.#limiterOf(own),
        ignored,
        store,
        from,
        entering?.target,
        beside?.(accepted.checked, plan),
      )
      this.#vials.set(key, vial)
    }
    return vial
  }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current directory. */
export function sandbox(policy: StrictPolicy, base = currentDirectory()): Sandbox {
  return new Sandbox(acceptedLater(policy), base)
}
