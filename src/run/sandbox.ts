/** The library's face: `sandbox(policy)`, then `run`, `spawn`, `compile`, `explain`. */
import {
  type ChildProcess,
  spawn as spawnProcess,
  type SpawnOptions as SpawnOptionsOfNode,
  type StdioOptions,
} from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { getSystemErrorName } from 'node:util'
import { errnoMessage } from '../kernel/errno.js'
import { entryFds } from '../plan/plan.js'
import type { LimitName } from '../policy/limits.js'
import { checkPolicy, type Policy, type StrictPolicy } from '../policy/schema.js'
import { storeVial } from './cache.js'
import { type Compiled, compile } from './compile.js'
import { SandboxError } from './error.js'
import { type Explanation, explainPlan } from './explain.js'
import { type Enforcement, Limiter, type LimitedRun } from './limiter.js'
import { failureText, type Outcome, readOutcome, type Usage } from './status.js'
import { borrowStatusFile, readStatus, returnStatusFile } from './statusFile.js'
import { signalName } from '../kernel/signals.js'
import { type Evidence, type Verdict, verdictOf } from './verdict.js'

export interface SpawnOptions {
  /** Kills the whole sandbox when aborted. */
  readonly signal?: AbortSignal
  /** Kills the whole sandbox after so many milliseconds; default: never. */
  readonly timeout?: number
  /** The caller's environment that `env.inherit` chooses from; default `process.env`. */
  readonly env?: NodeJS.ProcessEnv
  /** As child_process has it; default three pipes. Entries from the fourth on are the payload's descriptors 3, 4, …. */
  readonly stdio?: readonly ('pipe' | 'ignore' | 'inherit' | number)[]
}

export interface RunOptions extends Omit<SpawnOptions, 'stdio'> {
  /** Standard input; default: empty. */
  readonly input?: string | Uint8Array
  /** Bytes kept of standard output and of standard error each; more ends the sandbox. Default 64 MiB, or what `limits` allows. */
  readonly maxBuffer?: number
}

export interface Result {
  /** Exit status of the payload; null when a signal ended it. */
  readonly exitCode: number | null
  /** The signal that ended it, or null. */
  readonly signal: NodeJS.Signals | null
  /** How it ended, and which limit it met. */
  readonly verdict: Verdict
  readonly usage: Usage
  /** Who held it to each of its limits. */
  readonly enforcement: Partial<Record<LimitName, Enforcement>>
  /** Wall time from the spawn to the end, in milliseconds. */
  readonly durationMs: number
  /** Whether `timeout` ended it. */
  readonly timedOut: boolean
}

export interface RunResult extends Result {
  readonly stdout: string
  readonly stderr: string
  /** Whether it was ended because it wrote more than `maxBuffer`, which is what `stdout` or `stderr` then holds. */
  readonly truncated: boolean
}

export { SandboxError }

export interface SandboxProcess {
  /** The monitor: killing it kills everything in the sandbox. */
  readonly pid: number
  readonly stdin: ChildProcess['stdin']
  /** With limits of output: at most what they admit. */
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  /** All pipes, by descriptor. */
  readonly stdio: ChildProcess['stdio']
  /** Sends a signal to the payload; `SIGKILL` ends the whole sandbox. */
  kill(signal?: NodeJS.Signals): boolean
  /** Rejects with {@link SandboxError} when the sandbox could not be made. */
  readonly result: Promise<Result>
}

const noUsage: Usage = { userMs: 0, systemMs: 0, maxRss: 0, minorFaults: 0, majorFaults: 0 }

export class Sandbox {
  readonly #policy: Policy
  readonly #base: string
  #limits: Limiter | undefined
  readonly #vials = new Map<number | undefined, { compiled: Compiled; path: string | undefined }>()

  /** @throws {PolicyError} at the first use, when the policy has faults. */
  constructor(policy: Policy, base: string) {
    this.#policy = policy
    this.#base = base
  }

  get #limiter(): Limiter | undefined {
    if (this.#policy.limits !== undefined) this.#limits ??= new Limiter(checkPolicy(this.#policy))
    return this.#limits
  }

  /** The path of a vial in the cache that anything may execute: `execa(path, ['python3', 'x.py'])`. */
  async compile(): Promise<string> {
    return this.#path(undefined)
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
    const stdio = [...(options.stdio ?? ['pipe', 'pipe', 'pipe'])]
    while (stdio.length < 3) stdio.push('pipe')
    options.signal?.throwIfAborted()
    const { timeout } = options
    if (timeout !== undefined && !(timeout >= 0))
      throw new RangeError(`timeout: ${timeout} is no number of milliseconds`)
    const limiter = this.#limiter
    if (limiter?.limitsOutput && [stdio[1], stdio[2]].some((one) => one !== 'pipe' && one !== 'ignore'))
      throw new RangeError('stdio: limits of output need "pipe" or "ignore" there')
    const statusFd = stdio.length
    const { steps } = this.#vial(statusFd).compiled
    const unknown = entryFds(this.#policy).find((fd) => fd >= statusFd)
    if (unknown !== undefined)
      throw new RangeError(`stdio: the policy reads descriptor ${unknown}, and stdio ends with ${statusFd - 1}`)
    const status = borrowStatusFile()
    const started = performance.now()
    let run: LimitedRun | undefined
    let child: ChildProcess
    try {
      run = limiter?.begin()
      child = this.#start(statusFd, [command, ...args], {
        stdio: [...stdio, status, ...(run?.descriptors ?? [])] as StdioOptions,
        env: options.env ?? process.env,
        // Ctrl-C at a terminal reaches the monitor through us, once.
        detached: false,
      })
    } catch (error) {
      run?.abandon()
      returnStatusFile(status, true)
      throw startError(error)
    }
    run?.started()
    let timedOut = false
    let endedBy: Evidence['endedBy']
    const end = () => child.kill('SIGKILL')
    // A child that could not be started has no streams.
    const { stdout, stderr } = limiter?.limitsOutput && child.stdio !== undefined ? run!.watch(child, end) : child
    const timer =
      // Beyond this a timer would fire at once.
      timeout === undefined || timeout >= 2 ** 31
        ? undefined
        : setTimeout(() => {
            timedOut = true
            endedBy ??= 'timeout'
            end()
          }, timeout)
    options.signal?.addEventListener('abort', end, { once: true })
    const result = new Promise<Result>((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        options.signal?.removeEventListener('abort', end)
      }
      child.on('error', (error) => {
        // Any other error is a signal that could not be sent: the sandbox goes on.
        if (child.pid !== undefined) return
        settle()
        run?.abandon()
        returnStatusFile(status, true)
        reject(startError(error))
      })
      // Where pid 1 is the host's, the end of ours is not the end of all.
      if (run !== undefined && (this.#policy.namespaces?.pid ?? 'new') !== 'new') child.once('exit', () => run.kill())
      child.once('close', (exitCode, signal) => {
        // After an error in the start there is also this event.
        if (child.pid === undefined) return
        settle()
        const durationMs = performance.now() - started
        const outcome = readOutcome(readStatus(status), steps)
        const conclude = (measured: Partial<Usage>) => {
          returnStatusFile(status, outcome.usage !== undefined)
          if (outcome.failure !== undefined) {
            reject(new SandboxError(failureText(outcome.failure, command), getSystemErrorName(-outcome.failure.errno)))
            return
          }
          if (options.signal?.aborted) {
            reject(options.signal.reason)
            return
          }
          const how = ending(outcome, exitCode, signal)
          const usage = { ...(outcome.usage ?? noUsage), ...measured }
          const verdict = verdictOf({
            ...how,
            usage,
            payloadEnded: outcome.payloadEnded ?? false,
            reached: outcome.reached,
            limits: limiter?.limits,
            output: run?.outputExceeded,
            endedBy,
          })
          resolve({ ...how, verdict, usage, enforcement: limiter?.enforcement() ?? {}, durationMs, timedOut })
        }
        if (run === undefined) conclude({})
        else run.finish(outcome.usage !== undefined).then(conclude, reject)
      })
    })
    // Whoever only uses the streams need not look at the result.
    result.catch(() => {})
    return {
      pid: child.pid ?? -1,
      stdin: child.stdin,
      stdout,
      stderr,
      stdio: (stdout === child.stdout
        ? child.stdio
        : [child.stdin, stdout, stderr, ...child.stdio.slice(3)]) as ChildProcess['stdio'],
      kill: (signal = 'SIGTERM') => {
        if (signal === 'SIGKILL') endedBy ??= 'caller'
        return child.kill(signal)
      },
      result,
    }
  }

  #start(statusFd: number, args: readonly string[], options: SpawnOptionsOfNode): ChildProcess {
    for (let attempt = 1; ; attempt++) {
      const path = this.#path(statusFd)
      try {
        const child = spawnProcess(path, args, options)
        if (child.pid !== undefined || attempt === mostAttempts || existsSync(path)) return child
        // Somebody emptied the cache since: the file is stored again.
        child.once('error', () => {})
        this.#vial(statusFd).path = undefined
      } catch (error) {
        // Another thread forked while the file was open for writing, and its child has not yet executed: execve(2).
        if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY' || attempt === mostAttempts) throw error
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
      }
    }
  }

  #vial(statusFd: number | undefined) {
    let vial = this.#vials.get(statusFd)
    if (vial === undefined) {
      const passFds = statusFd === undefined ? [] : Array.from({ length: statusFd - 3 }, (_, index) => index + 3)
      const group = statusFd === undefined ? undefined : this.#limiter?.option(statusFd + 1)
      const compiled = compile(this.#policy, {
        base: this.#base,
        passFds,
        ...(statusFd === undefined ? {} : { statusFd, outputIsWatched: true }),
        ...(group === undefined ? {} : { group }),
      })
      vial = { compiled, path: undefined }
      this.#vials.set(statusFd, vial)
    }
    return vial
  }

  #path(statusFd: number | undefined): string {
    const vial = this.#vial(statusFd)
    vial.path ??= storeVial(vial.compiled.bytes)
    return vial.path
  }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current folder. */
export function sandbox(policy: StrictPolicy, base = process.cwd()): Sandbox {
  return new Sandbox(policy, base)
}

function ending(
  outcome: Outcome,
  exitCode: number | null,
  signal: NodeJS.Signals | null,
): Pick<Result, 'exitCode' | 'signal'> {
  if (outcome.payload === undefined) return { exitCode: signal === null ? exitCode : null, signal }
  const bySignal = outcome.payload & 0x7f
  return bySignal === 0
    ? { exitCode: (outcome.payload >> 8) & 0xff, signal: null }
    : { exitCode: null, signal: signalName(bySignal) as NodeJS.Signals }
}

/** What Node says about a vial that it could not start. */
function startError(error: unknown): unknown {
  const { code, errno, syscall } = error as NodeJS.ErrnoException
  if (errno === undefined || !syscall?.startsWith('spawn')) return error
  const hint = code === undefined ? undefined : startHints[code]
  return new SandboxError(
    `cannot start the vial: ${errnoMessage(-errno)}${hint === undefined ? '' : `\n      ${hint}`}`,
    code,
  )
}

const startHints: Record<string, string> = {
  EACCES: 'the cache may be mounted noexec: set VIAL_CACHE to a folder of yours that is not',
  E2BIG: 'the arguments and the environment are too long together: see execve(2)',
  EMFILE: 'this process has too many files open: see ulimit -n',
  EAGAIN: 'this user has too many processes: see ulimit -u',
}

const mostAttempts = 100

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
