/** Starts a vial, and says how it ended. How it was compiled is not known here: only a failure asks for its steps. */
import { type ChildProcess, type SpawnOptions as SpawnOptionsOfNode, spawn as spawnProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { type OpenVial, withName } from '../cache/executable.js'
import { errnoMessage } from '../kernel/errno.js'
import { signalName } from '../kernel/signals.js'
import { systemHints } from '../kernel/systemError.js'
import type { Environment } from '../plan/manner.js'
import { layOut } from '../plan/namedDescriptors.js'
import type { LaunchedStep } from '../plan/step.js'
import { CommandError, HostError, SandboxError } from '../text/error.js'
import { AbortError } from './abort.js'
import { killSandbox } from './kill.js'
import type { EnforcementOf, LimitedRun, Limiter } from './limiter.js'
import { takePipes } from './pipes.js'
import type { CommandOptions, SpawnOptions } from './runOptions.js'
import { handedOn, wholeEnvironment } from './startEnvironment.js'
import { type Failure, failureText, noUsage, type Outcome, readOutcome, type Usage } from './status.js'
import { borrowStatusFile, readStatus, returnStatusFile } from './statusFile.js'
import { completeStdio, pipesOf, type Stdio, withOwnFiles } from './stdio.js'
import { OutputStream, pipeWriter, type Receiver } from './streams.js'
import { type Evidence, type SignalName, type Verdict, verdictOf } from './verdict.js'

/** How a command ended. */
export interface Result {
  /** Exit status of the payload; null when a signal ended it. */
  readonly exitCode: number | null
  /** The signal that ended it, or null. Real-time signals are `SIGRTMIN`, `SIGRTMIN+1`, …. */
  readonly signal: SignalName | null
  /** How it ended, and which limit it met. */
  readonly verdict: Verdict
  /** What it used, vial's own work included. */
  readonly usage: Usage
  /** Who held it to each of its limits. */
  readonly enforcement: EnforcementOf
  /** Wall time from the spawn to the end, in milliseconds. */
  readonly durationMs: number
  /** Whether `timeout` ended it. */
  readonly timedOut: boolean
}

/** A command that runs in a sandbox. */
export interface SandboxProcess {
  /** The monitor: killing it kills everything in the sandbox. */
  readonly pid: number
  /** Standard input, a pipe; null when `stdio` says otherwise. */
  readonly stdin: Writable | null
  /** With limits of output: at most what they admit. */
  readonly stdout: Readable | null
  /** Standard error, alike. */
  readonly stderr: Readable | null
  /** All pipes, by descriptor: an input of the payload is written here, an output is read; null where there is no pipe. */
  readonly stdio: readonly [Writable | null, Readable | null, Readable | null, ...(Writable | Readable | null)[]]
  /** Sends a signal to the payload, `SIGINT` and `SIGQUIT` to its whole process group; `SIGKILL` ends the whole sandbox. */
  kill(signal?: NodeJS.Signals): boolean
  /**
   * Resolves when the payload has ended and its output, where the caller reads it, has been read. Rejects with
   * {@link SandboxError} when the sandbox could not be made.
   */
  readonly result: Promise<Result>
  /** At the end of an `await using`: ends the whole sandbox, if it is not over, and waits for that. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A payload whose pipes another process may hold. */
export type ConnectedProcess = Pick<SandboxProcess, 'pid' | 'kill' | 'result'>

/** What holds the pipes of a payload. */
export interface Connection {
  /** Resolves when no process has the other ends of what the payload writes. */
  ended(): Promise<unknown>
  /** Reads what was written until now, and closes our ends. */
  finish(): void
}

/**
 * Takes the pipes of a payload.
 * @param ends our ends by the payload's descriptors, which do not block; none when it could not be started
 * @param meter counts what goes to a receiver, where a limit is about it
 */
export type Connect = (
  ends: ReadonlyMap<number, number>,
  meter: (fd: number, receiver: Receiver) => Receiver,
) => Connection

/** A compiled sandbox, as far as its start and its end need it. */
export interface Startable {
  /** The executable, written again where it is gone; it writes its status records to the descriptor behind those of `stdio`. */
  open(): OpenVial
  /** Whether the end of its pid 1 is the end of all. */
  readonly ownPids: boolean
  readonly limiter: Limiter | undefined
  /** Signals that the command starts with ignored: bit N - 1 is signal N. Node.js itself starts a program with none. */
  readonly ignored: bigint
  /** Which variables of the caller's it hands on, as patterns; default: any. */
  readonly inherit?: Environment['inherit']
  /**
   * It was compiled for runs that have a working directory and an environment of their own: those of the policy, from which a run's
   * differ.
   */
  readonly perRun?: { readonly cwd: string; readonly environment: Environment } | undefined
  /** What the numbers in its status records stand for. */
  steps(): readonly LaunchedStep[] | Promise<readonly LaunchedStep[]>
}

/** As {@link Sandbox.spawn}, of a vial that is there and was compiled for this `stdio`. */
export function spawnVial(
  vial: Startable,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): SandboxProcess {
  const stdio = completeStdio(options.stdio)
  const inputs = new Map<number, Writable>()
  const outputs = new Map<number, OutputStream>()
  const { pid, kill, result } = startVial(vial, command, args, stdio, options, (ends, meter) => {
    for (const { fd, payload } of pipesOf(stdio)) {
      if (payload === 'reads') inputs.set(fd, pipeWriter(ends.get(fd)))
      else outputs.set(fd, new OutputStream(ends.get(fd), (receiver) => meter(fd, receiver)))
    }
    return {
      ended: () => Promise.all([...outputs.values()].map((output) => output.ended())),
      finish() {
        for (const output of outputs.values()) output.finish()
        for (const input of inputs.values()) input.destroy()
      },
    }
  })
  const all = stdio.map((_, fd) => inputs.get(fd) ?? outputs.get(fd) ?? null) as unknown as SandboxProcess['stdio']
  const [stdin, stdout, stderr] = all
  const heard = result.then(async (ended) => {
    await Promise.all([...outputs.values()].map((output) => output.heard()))
    return ended
  })
  // A caller that only uses the streams need not look at the result.
  heard.catch(() => {})
  return {
    ...{ pid, stdin, stdout, stderr, stdio: all, kill, result: heard },
    async [Symbol.asyncDispose]() {
      kill('SIGKILL')
      await result.catch(() => {})
    },
  }
}

/** The same, with pipes that `connect` takes. */
export function startVial(
  vial: Startable,
  command: string,
  args: readonly string[],
  stdio: Stdio,
  options: CommandOptions,
  connect: Connect,
): ConnectedProcess {
  const { timeout } = options
  const { limiter } = vial
  const pipes = pipesOf(stdio)
  const words = [command, ...args]
  const status = borrowStatusFile(vial.ignored)
  const started = now()
  let run: LimitedRun | undefined
  let child: ChildProcess
  try {
    run = limiter?.begin()
    child = withOwnFiles(stdio, (files) =>
      start(vial, vial.perRun === undefined ? words : [options.cwd ?? vial.perRun.cwd, ...words], {
        // In the place of a pipe there is something open, until the monitor puts its own there.
        stdio: layOut({
          payload: files.map((entry) => (entry === 'input' || entry === 'output' ? status : entry)),
          status: [status],
          ...run?.descriptors,
        }),
        env:
          vial.perRun === undefined
            ? handedOn(process.env, vial.inherit)
            : wholeEnvironment(vial.perRun.environment, options.env),
        // The payload sees the words of pid 1: they need not tell where the caller's cache is.
        argv0: 'vial',
        // Ctrl-C at a terminal reaches the monitor through us, once.
        detached: false,
      }),
    )
  } catch (error) {
    run?.abandon()
    returnStatusFile(status, true)
    throw startError(error)
  }
  run?.started()
  const end = () => killSandbox(child, status)
  let untaken: unknown
  let taken: readonly number[] = []
  if (child.pid !== undefined && pipes.length > 0) {
    try {
      taken = takePipes(child.pid, pipes, status)
    } catch (error) {
      untaken = error
      end()
    }
  }
  const connection = connect(new Map(taken.map((end, index) => [pipes[index]!.fd, end])), (fd, receiver) =>
    run === undefined ? receiver : run.meter(fd, receiver, end),
  )
  let timedOut = false
  let endedBy: Evidence['endedBy']
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
    // Not 'close': a process may keep an end of a pipe for long, such as a process in the background where pid 1 is the host's.
    child.once('exit', async (exitCode, signal) => {
      // After an error in the start there is also this event.
      if (child.pid === undefined) return
      settle()
      // Where pid 1 is the host's, or the monitor was killed and did not wait, the end of ours is not the end of all.
      if (!vial.ownPids || signal !== null) run?.kill()
      // A monitor that was killed did not wait: the others die just now, and with the last of them its pipes end.
      if (signal !== null && vial.ownPids) await within(dying, connection.ended())
      connection.finish()
      const durationMs = now() - started
      const outcome = readOutcome(readStatus(status))
      const conclude = (measured: Partial<Usage>) => {
        returnStatusFile(status, outcome.usage !== undefined)
        if (outcome.failure !== undefined) {
          failureOf(vial, outcome.failure, command, options.cwd).then(reject, reject)
          return
        }
        if (untaken !== undefined) {
          reject(untaken)
          return
        }
        const usage = { ...(outcome.usage ?? noUsage), ...measured }
        if (options.signal?.aborted) {
          reject(new AbortError(options.signal.reason, { usage, durationMs }))
          return
        }
        const how = ending(outcome, exitCode, signal)
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
  // A caller that only uses the streams need not look at the result.
  result.catch(() => {})
  return {
    pid: child.pid ?? -1,
    kill: (signal = 'SIGTERM') => {
      if (signal !== 'SIGKILL') return child.kill(signal)
      endedBy ??= 'caller'
      return end()
    },
    result,
  }
}

/** Milliseconds. `performance` would have to be loaded first. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}

function start(vial: Startable, args: readonly string[], options: SpawnOptionsOfNode): ChildProcess {
  const descriptors = options.stdio!.length
  for (let attempt = 1; ; attempt++) {
    const file = vial.open()
    try {
      const child = withName(file, descriptors, (name) => spawnProcess(name, args, options))
      if (child.pid !== undefined || attempt === mostAttempts || existsSync(file.path)) return child
      // Without /proc: the cache was emptied since, and the file is stored again.
      child.once('error', () => {})
    } catch (error) {
      // Another thread forked while the file was open for writing, and its child has not yet executed: execve(2).
      if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY' || attempt === mostAttempts) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    }
  }
}

async function failureOf(
  vial: Startable,
  { step, errno }: Failure,
  command: string,
  cwd: string | undefined,
): Promise<SandboxError | CommandError> {
  const failed = (await vial.steps())[step]
  const name = getSystemErrorName(-errno)
  // Loaded now: no other run waits for it.
  const refused =
    failed?.do === 'execute'
      ? undefined
      : ((await import('../host/calls.js')).refusal(name, failed?.do) ??
        (failed?.do === 'newUser' ? (await import('../host/userNamespace.js')).whyNoUserNamespace(name) : undefined))
  if (failed === undefined) return new SandboxError(`cannot make the sandbox: ${errnoMessage(errno)}`, { code: name })
  const { text, hint } = failureText(failed, errno, { execute: command, chdirNamed: cwd }, refused)
  return new (failed.do === 'execute' ? CommandError : SandboxError)(text, { code: name, hint })
}

function ending(
  outcome: Outcome,
  exitCode: number | null,
  signal: SignalName | null,
): Pick<Result, 'exitCode' | 'signal'> {
  if (outcome.payload === undefined) return { exitCode: signal === null ? exitCode : null, signal }
  const bySignal = outcome.payload & 0x7f
  return bySignal === 0
    ? { exitCode: (outcome.payload >> 8) & 0xff, signal: null }
    : { exitCode: null, signal: signalName(bySignal) }
}

/** What Node says about a vial that it could not start. */
function startError(error: unknown): unknown {
  const { code, errno, syscall } = error as NodeJS.ErrnoException
  if (errno === undefined || !(syscall?.startsWith('spawn') || code === 'EMFILE')) return error
  return new HostError(`cannot start the vial: ${errnoMessage(-errno)}`, {
    code,
    hint: startHints[code ?? ''],
    cause: error,
  })
}

const startHints: Record<string, string> = {
  EACCES: 'the cache may be mounted noexec: set VIAL_CACHE to a directory of yours that is not',
  E2BIG: 'the arguments and the environment are too long together: see execve(2)',
  ...systemHints,
  EAGAIN: 'this user has too many processes: see ulimit -u',
  ENOSYS: 'refused here: clone (ENOSYS); by the filter of a container runtime or of systemd',
  EPERM: 'refused here: clone or execve (EPERM); by the filter of a container runtime or of systemd',
}

const mostAttempts = 100

/** Milliseconds after which a killed sandbox is not waited for: a process outside may have its pipes. */
const dying = 100

async function within(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([promise, new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))])
  clearTimeout(timer)
}
