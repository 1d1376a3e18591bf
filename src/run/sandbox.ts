/** The library's face: `sandbox(policy)`, then `run`, `spawn`, `compile`, `explain`. */
import { closeSync } from 'node:fs'
import { finished } from 'node:stream/promises'
import { entryFds } from '../plan/plan.js'
import type { Environment, Step } from '../plan/step.js'
import { checkPolicy } from '../policy/check.js'
import type { Policy, StrictPolicy } from '../policy/schema.js'
import { identityOf, type OpenVial, reopen } from './executable.js'
import { type Compiled, type CompileOptions, compile } from './compile.js'
import { type Explanation, explainPlan } from './explain.js'
import { Limiter } from './limiter.js'
import {
  type Result,
  type SandboxProcess,
  type SpawnOptions,
  type Startable,
  spawnVial,
  standardStdio,
} from './spawn.js'
import { openStored } from './store.js'
import type { Verdict } from './verdict.js'

export interface RunOptions extends Omit<SpawnOptions, 'stdio'> {
  /** Standard input; default: empty. */
  readonly input?: string | Uint8Array
  /** Bytes kept of standard output and of standard error each; more ends the sandbox. Default 64 MiB, or what `limits` allows. */
  readonly maxBuffer?: number
}

export interface RunResult extends Result {
  readonly stdout: string
  readonly stderr: string
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
    readonly limiter: Limiter | undefined,
    readonly store: (bytes: Uint8Array) => OpenVial,
  ) {}

  open(): OpenVial {
    const known = this.#known && reopen(this.#known)
    if (known !== undefined) return known
    const stored = this.store(this.compiled.bytes)
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

  steps(): readonly Step[] {
    return this.compiled.steps
  }
}

export class Sandbox {
  readonly #policy: Policy
  readonly #base: string
  readonly #store: (bytes: Uint8Array) => OpenVial
  #limits: Limiter | undefined
  /** By the descriptor of the status records. */
  readonly #vials = new Map<number | undefined, Vial>()

  /** @throws {PolicyError} at the first use, when the policy has faults. */
  constructor(
    policy: Policy,
    base: string,
    /** Writes the vials of its runs, and opens them; default: by their content. */
    store: (bytes: Uint8Array) => OpenVial = openStored,
  ) {
    this.#store = store
    this.#policy = policy
    this.#base = base
  }

  get #limiter(): Limiter | undefined {
    if (this.#policy.limits !== undefined) this.#limits ??= new Limiter(checkPolicy(this.#policy))
    return this.#limits
  }

  /** The path of a vial in the cache that anything may execute: `execa(path, ['python3', 'x.py'])`. */
  async compile(): Promise<string> {
    return this.#vial(undefined).path()
  }

  /** What the vial will do, step by step. */
  explain(): Explanation {
    // With limits: as a run has it, in a cgroup that is made for it.
    return explainPlan(this.#vial(this.#limiter === undefined ? undefined : 3).compiled)
  }

  /** Runs a command to its end and collects its output. */
  async run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    const { output = 0, stdout: out = 0, stderr: err = 0 } = this.#limiter?.limits ?? {}
    const { input, maxBuffer = Math.max(64 * 2 ** 20, output, out, err), ...rest } = options
    const child = this.spawn(command, args, {
      ...rest,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    if (input !== undefined) {
      // A payload that does not read its input is no fault.
      child.stdin?.on('error', () => {})
      child.stdin?.end(input)
    }
    let truncated = false
    const tooMuch = () => {
      truncated = true
      child.kill('SIGKILL')
    }
    const stdout = collect(child.stdout, maxBuffer, tooMuch)
    const stderr = collect(child.stderr, maxBuffer, tooMuch)
    const result = await child.result
    if (this.#limiter?.limitsOutput) await Promise.all([child.stdout, child.stderr].map(ended))
    const verdict: Verdict =
      truncated && result.verdict.kind === 'killed' ? { kind: 'killed', by: 'maxBuffer' } : result.verdict
    return { ...result, verdict, stdout: stdout(), stderr: stderr(), truncated }
  }

  /** Starts a command; the streams are those of child_process. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): SandboxProcess {
    options.signal?.throwIfAborted()
    const { timeout } = options
    if (timeout !== undefined && !(timeout >= 0))
      throw new RangeError(`timeout: ${timeout} is no number of milliseconds`)
    const stdio = standardStdio(options)
    if (this.#limiter?.limitsOutput && [stdio[1], stdio[2]].some((one) => one !== 'pipe' && one !== 'ignore'))
      throw new RangeError('stdio: limits of output need "pipe" or "ignore" there')
    return spawnVial(this.#vial(stdio.length), command, args, options)
  }

  #vial(statusFd: number | undefined): Vial {
    let vial = this.#vials.get(statusFd)
    if (vial === undefined) {
      const limiter = this.#limiter
      const group = statusFd === undefined ? undefined : limiter?.option(statusFd + 1)
      const compiled = compile(this.#policy, {
        base: this.#base,
        ...descriptors(statusFd),
        ...(group === undefined ? {} : { group }),
      })
      const unknown = statusFd === undefined ? undefined : entryFds(this.#policy).find((fd) => fd >= statusFd)
      if (unknown !== undefined)
        throw new RangeError(`stdio: the policy reads descriptor ${unknown}, and stdio ends with ${statusFd! - 1}`)
      vial = new Vial(compiled, (this.#policy.namespaces?.pid ?? 'new') === 'new', limiter, this.#store)
      this.#vials.set(statusFd, vial)
    }
    return vial
  }
}

/** A vial of the library writes its status records behind the last descriptor that it hands on. */
export function descriptors(
  statusFd: number | undefined,
): Pick<CompileOptions, 'statusFd' | 'passFds' | 'outputIsWatched'> {
  if (statusFd === undefined) return {}
  return {
    statusFd,
    passFds: Array.from({ length: statusFd - 3 }, (_, index) => index + 3),
    outputIsWatched: true,
  }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current folder. */
export function sandbox(policy: StrictPolicy, base = process.cwd()): Sandbox {
  return new Sandbox(policy, base)
}

async function ended(stream: NodeJS.ReadableStream | null): Promise<void> {
  // One that was destroyed has ended as well.
  if (stream !== null) await finished(stream, { writable: false }).catch(() => {})
}

function collect(stream: NodeJS.ReadableStream | null | undefined, most: number, tooMuch: () => void): () => string {
  const chunks: Buffer[] = []
  let room = most
  stream?.on('data', (chunk: Buffer) => {
    chunks.push(chunk.subarray(0, room))
    if (chunk.length > room) tooMuch()
    room = Math.max(0, room - chunk.length)
  })
  return () => Buffer.concat(chunks).toString()
}
