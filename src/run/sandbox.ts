/** The library's face: `sandbox(policy)`, then `run`, `spawn`, `compile`, `explain`. */
import { entryFds } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import type { Policy, StrictPolicy } from '../policy/schema.js'
import { storeVial } from './store.js'
import { type Compiled, type CompileOptions, compile } from './compile.js'
import { type Explanation, explainPlan } from './explain.js'
import {
  type Result,
  type SandboxProcess,
  type SpawnOptions,
  type Startable,
  spawnVial,
  standardStdio,
} from './spawn.js'

export interface RunOptions extends Omit<SpawnOptions, 'stdio'> {
  /** Standard input; default: empty. */
  readonly input?: string | Uint8Array
  /** Bytes kept of standard output and of standard error each; more ends the sandbox. Default 64 MiB. */
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
  #path: string | undefined

  constructor(readonly compiled: Compiled) {}

  path(): string {
    this.#path ??= storeVial(this.compiled.bytes)
    return this.#path
  }

  forget(): void {
    this.#path = undefined
  }

  steps(): readonly Step[] {
    return this.compiled.steps
  }
}

export class Sandbox {
  readonly #policy: Policy
  readonly #base: string
  /** By the descriptor of the status records. */
  readonly #vials = new Map<number | undefined, Vial>()

  /** @throws {PolicyError} at the first use, when the policy has faults. */
  constructor(policy: Policy, base: string) {
    this.#policy = policy
    this.#base = base
  }

  /** The path of a vial in the cache that anything may execute: `execa(path, ['python3', 'x.py'])`. */
  async compile(): Promise<string> {
    return this.#vial(undefined).path()
  }

  /** What the vial will do, step by step. */
  explain(): Explanation {
    return explainPlan(this.#vial(undefined).compiled)
  }

  /** Runs a command to its end and collects its output. */
  async run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    const { input, maxBuffer = 64 * 2 ** 20, ...rest } = options
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
    return { ...result, stdout: stdout(), stderr: stderr(), truncated }
  }

  /** Starts a command; the streams are those of child_process. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): SandboxProcess {
    options.signal?.throwIfAborted()
    const { timeout } = options
    if (timeout !== undefined && !(timeout >= 0))
      throw new RangeError(`timeout: ${timeout} is no number of milliseconds`)
    return spawnVial(this.#vial(standardStdio(options).length), command, args, options)
  }

  #vial(statusFd: number | undefined): Vial {
    let vial = this.#vials.get(statusFd)
    if (vial === undefined) {
      vial = new Vial(compile(this.#policy, { base: this.#base, ...descriptors(statusFd) }))
      const unknown = statusFd === undefined ? undefined : entryFds(this.#policy).find((fd) => fd >= statusFd)
      if (unknown !== undefined)
        throw new RangeError(`stdio: the policy reads descriptor ${unknown}, and stdio ends with ${statusFd! - 1}`)
      this.#vials.set(statusFd, vial)
    }
    return vial
  }
}

/** A vial that writes its status records behind the last descriptor that it hands on. */
export function descriptors(statusFd: number | undefined): Pick<CompileOptions, 'statusFd' | 'passFds'> {
  if (statusFd === undefined) return {}
  return { statusFd, passFds: Array.from({ length: statusFd - 3 }, (_, index) => index + 3) }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current folder. */
export function sandbox(policy: StrictPolicy, base = process.cwd()): Sandbox {
  return new Sandbox(policy, base)
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
