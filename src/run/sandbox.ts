/** The library's face: `sandbox(policy)`, then `run`, `spawn`, `compile`, `explain`. */
import { type ChildProcess, spawn as spawnProcess, type StdioOptions } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { getSystemErrorName } from 'node:util'
import type { Policy } from '../policy/schema.js'
import { cacheFolder, storeVial } from './cache.js'
import { type Compiled, compile } from './compile.js'
import { type Explanation, explainPlan } from './explain.js'
import { failureText, type Outcome, readOutcome, type Usage } from './status.js'
import { signalName } from '../kernel/signals.js'
import { record } from '../launcher/context.js'

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
  /** Bytes kept of standard output and of standard error each; more ends the sandbox. Default 64 MiB. */
  readonly maxBuffer?: number
}

export interface Result {
  /** Exit status of the payload; null when a signal ended it. */
  readonly exitCode: number | null
  /** The signal that ended it, or null. */
  readonly signal: NodeJS.Signals | null
  readonly usage: Usage
  /** Wall time from the spawn to the end, in milliseconds. */
  readonly durationMs: number
  /** Whether `timeout` ended it. */
  readonly timedOut: boolean
}

export interface RunResult extends Result {
  readonly stdout: string
  readonly stderr: string
}

/** The sandbox itself could not be made, or the command could not be executed in it. */
export class SandboxError extends Error {
  constructor(
    message: string,
    /** The errno's name, such as `ENOENT`. */
    readonly code: string | undefined,
  ) {
    super(message)
    this.name = 'SandboxError'
  }
}

export interface SandboxProcess {
  /** The monitor: killing it kills everything in the sandbox. */
  readonly pid: number
  readonly stdin: ChildProcess['stdin']
  readonly stdout: ChildProcess['stdout']
  readonly stderr: ChildProcess['stderr']
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
  readonly #vials = new Map<number | undefined, { compiled: Compiled; path: string | undefined }>()

  /** @throws {PolicyError} at the first use, when the policy has faults. */
  constructor(policy: Policy, base: string) {
    this.#policy = policy
    this.#base = base
  }

  /** The path of a vial in the cache that anything may execute: `execa(path, ['python3', 'x.py'])`. */
  async compile(): Promise<string> {
    return this.#path(undefined)
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
      child.stdin!.on('error', () => {})
      child.stdin!.end(input)
    }
    const tooMuch = () => child.kill('SIGKILL')
    const stdout = collect(child.stdout!, maxBuffer, tooMuch)
    const stderr = collect(child.stderr!, maxBuffer, tooMuch)
    const result = await child.result
    return { ...result, stdout: stdout(), stderr: stderr() }
  }

  /** Starts a command; the streams are those of child_process. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): SandboxProcess {
    const stdio = [...(options.stdio ?? ['pipe', 'pipe', 'pipe'])]
    while (stdio.length < 3) stdio.push('pipe')
    options.signal?.throwIfAborted()
    const statusFd = stdio.length
    const { steps } = this.#vial(statusFd).compiled
    const path = this.#path(statusFd)
    const status = statusFiles.pop() ?? openStatusFile()
    const started = performance.now()
    const child = spawnProcess(path, [command, ...args], {
      stdio: [...stdio, status] as StdioOptions,
      env: options.env ?? process.env,
      // Ctrl-C at a terminal reaches the monitor through us, once.
      detached: false,
    })
    let timedOut = false
    const end = () => child.kill('SIGKILL')
    const timer =
      options.timeout === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true
            end()
          }, options.timeout)
    options.signal?.addEventListener('abort', end, { once: true })
    const result = new Promise<Result>((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        options.signal?.removeEventListener('abort', end)
      }
      child.once('error', (error: NodeJS.ErrnoException) => {
        settle()
        closeSync(status)
        reject(new SandboxError(`cannot start the vial ${path}: ${error.message}`, error.code))
      })
      child.once('close', (exitCode, signal) => {
        settle()
        const durationMs = performance.now() - started
        const outcome = readOutcome(takeStatus(status), steps)
        if (outcome.failure !== undefined) {
          reject(new SandboxError(failureText(outcome.failure, command), getSystemErrorName(-outcome.failure.errno)))
          return
        }
        if (options.signal?.aborted) {
          reject(options.signal.reason)
          return
        }
        resolve({ ...ending(outcome, exitCode, signal), usage: outcome.usage ?? noUsage, durationMs, timedOut })
      })
    })
    // Whoever only uses the streams need not look at the result.
    result.catch(() => {})
    return {
      pid: child.pid ?? -1,
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      stdio: child.stdio,
      kill: (signal = 'SIGTERM') => child.kill(signal),
      result,
    }
  }

  #vial(statusFd: number | undefined) {
    let vial = this.#vials.get(statusFd)
    if (vial === undefined) {
      const passFds = statusFd === undefined ? [] : Array.from({ length: statusFd - 3 }, (_, index) => index + 3)
      const compiled = compile(this.#policy, {
        base: this.#base,
        passFds,
        ...(statusFd === undefined ? {} : { statusFd }),
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
export function sandbox(policy: Policy, base = process.cwd()): Sandbox {
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

function collect(stream: NodeJS.ReadableStream, most: number, tooMuch: () => void): () => string {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > most) tooMuch()
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString()
}

/** Nameless files that status records go to: a file, not a pipe, costs the event loop nothing. Used again and again. */
const statusFiles: number[] = []

function openStatusFile(): number {
  const path = join(cacheFolder(), `status.${process.pid}.${randomBytes(4).toString('hex')}`)
  const fd = openSync(path, 'wx+', 0o600)
  unlinkSync(path)
  return fd
}

function takeStatus(fd: number): Buffer {
  const buffer = Buffer.alloc(record.size * 4)
  const length = readSync(fd, buffer, 0, buffer.length, 0)
  ftruncateSync(fd, 0)
  statusFiles.push(fd)
  return buffer.subarray(0, length)
}
