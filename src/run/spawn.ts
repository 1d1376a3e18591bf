/**
 * The life of a sandbox, from the start of its vial to its result. How the vial was compiled is not known here.
 *
 * How this file thinks. A run has phases, each with a file; `startVial` below is their order, and what has to be undone between them.
 *
 * 1. What the caller asks for was checked before (runOptions.ts), and says what the payload's descriptors are (stdio.ts).
 * 2. What the vial needs besides is borrowed or made: a status file (statusFile.ts), a cgroup (limitedRun.ts). Whatever fails until
 *    there is a child gives both back, and is thrown.
 * 3. Node starts the vial (startProcess.ts), with descriptors that lie where the vial was told (plan/namedDescriptors.ts). The group's
 *    are closed here once the child has them. From here on nothing is thrown: a fault ends the sandbox, and rejects the result.
 * 4. The monitor makes the pipes, and this process takes its ends (pipes.ts). It waits for them without returning to the event loop, so
 *    that the caller gets streams; what holds them is the caller's choice (connections.ts).
 * 5. The sandbox runs. A signal of the caller goes to the monitor, which passes it on. Four things end it early: `timeout`, an
 *    aborted `signal`, SIGKILL, and output beyond its limit. All do it the same way (endSandbox.ts): pid 1 kills all others and waits
 *    for them, so that what they used still counts.
 * 6. The monitor has ended. The event is 'exit', not 'close': another process may hold an end of a pipe for long, such as one in the
 *    background where pid 1 is the host's. What is in the pipes now is the output.
 * 7. The records tell what happened (status.ts), the group what was used (limitedRun.ts). The result is the first of these that
 *    holds: a step of the vial failed (failure.ts); the pipes could not be taken; the caller aborted it; the command ended
 *    (result.ts), by whatever limit (verdict.ts).
 *
 * Two ends of a monitor are different. If it was killed, it did not wait for the others: they die at the same time, and with the last of
 * them the pipes end. And where pid 1 is not the sandbox's own, others may outlive it, which only a cgroup finds.
 */
import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { OpenVial } from '../cache/executable.js'
import type { Group } from '../cgroup/group.js'
import type { Environment } from '../plan/manner.js'
import { suspend } from '../launcher/record.js'
import { layOut } from '../plan/namedDescriptors.js'
import type { LaunchedStep } from '../plan/step.js'
import { within } from '../text/within.js'
import type { Beside, MakeBeside } from './beside.js'
import { conclude, now } from './conclude.js'
import { type Connect, Streams } from './connections.js'
import { EarlyEnd } from './earlyEnd.js'
import { endSandbox, isOver } from './endSandbox.js'
import type { RunLimiter } from './enforcement.js'
import type { LimitedRun } from './limitedRun.js'
import { takePipes } from './pipes.js'
import type { Result } from './result.js'
import type { CommandOptions, SpawnOptions } from './runOptions.js'
import { handedOn, wholeEnvironment } from './startEnvironment.js'
import { endOf, startError, startProcess } from './startProcess.js'
import { readOutcome, tellsRunning, type Usage } from './status.js'
import { borrowStatusFile, peekStatus, readStatus, returnStatusFile, type Window, writeWindow } from './statusFile.js'
import { completeStdio, pipesOf, type Stdio, withOwnFiles } from './stdio.js'

/** A command that runs in an open sandbox. */
export interface BoxProcess {
  /** The process outside that waits for it: killing it kills the command. Undefined: there is none for this command alone, as for most. */
  readonly pid: number | undefined
  /** Standard input, a pipe; null when `stdio` says otherwise. */
  readonly stdin: Writable | null
  /** With limits of output: at most what they admit. */
  readonly stdout: Readable | null
  /** Standard error, alike. */
  readonly stderr: Readable | null
  /** All pipes, by descriptor: an input of the payload is written here, an output is read; null where there is no pipe. */
  readonly stdio: readonly [Writable | null, Readable | null, Readable | null, ...(Writable | Readable | null)[]]
  /**
   * Sends a signal to the payload, `SIGINT` and `SIGQUIT` to its whole process group, `SIGSTOP` and `SIGCONT` to all of the sandbox;
   * `SIGKILL` ends the whole sandbox.
   */
  kill(signal?: NodeJS.Signals): boolean
  /**
   * Resolves when the payload has ended and its output, where the caller reads it, has been read. Rejects with
   * {@link SandboxError} when the sandbox could not be made.
   */
  readonly result: Promise<Result>
  /** At the end of an `await using`: ends the whole sandbox, if it is not over, and waits for that. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A command that runs in a sandbox of its own. */
export interface SandboxProcess extends BoxProcess {
  /** The monitor: killing it kills everything in the sandbox. */
  readonly pid: number
}

/** A payload whose pipes another process may hold. */
export interface ConnectedProcess extends Pick<SandboxProcess, 'pid' | 'kill' | 'result'> {
  /** Whether a living sandbox can be entered; from then on also after its end. */
  isRunning(): boolean
  /** Its cgroup. */
  readonly group: Group | undefined
  /** Of a command that has a terminal: how large that is from now on. False: it has ended. */
  resize(window: Window): boolean
}

/** A compiled sandbox, as far as its start and its end need it. */
export interface Startable {
  /** The executable, written again where it is gone; it was compiled as {@link compiledFor} says. */
  open(): OpenVial
  /** Whether the end of its pid 1 is the end of all. */
  readonly ownPids: boolean
  readonly limiter: RunLimiter | undefined
  /** Signals that the command starts with ignored: bit N - 1 is signal N. Node.js itself starts a program with none. */
  readonly ignored: bigint
  /** Which variables of the caller's it hands on, as patterns; default: any. */
  readonly inherit?: Environment['inherit']
  /**
   * It was compiled for runs that have a working directory and an environment of their own: those of the policy, from which a run's
   * differ.
   */
  readonly perRun?: { readonly cwd: string; readonly environment: Environment } | undefined
  /** The living sandbox that it enters, as the first arguments of the vial say it; default: it makes one. */
  readonly target?: readonly string[] | undefined
  /** Of a sandbox that waits for others: it has no command. */
  readonly holds?: true | undefined
  /** What serves its network from outside; it was compiled for a channel to that. */
  readonly beside?: MakeBeside
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
  const streams = new Streams(completeStdio(options.stdio))
  return withStreams(streams, startVial(vial, command, args, streams.stdio, options, streams.connect))
}

/** A command, and the streams that its pipes were connected to. */
export function withStreams<Process extends Pick<BoxProcess, 'pid' | 'kill' | 'result'>>(
  streams: Streams,
  { pid, kill, result }: Process,
): BoxProcess & Pick<Process, 'pid'> {
  const stdio = streams.all as unknown as BoxProcess['stdio']
  const [stdin, stdout, stderr] = stdio
  const heard = result.then(async (ended) => {
    await streams.heard()
    return ended
  })
  // A caller that only uses the streams need not look at the result.
  heard.catch(() => {})
  return {
    ...{ pid, stdin, stdout, stderr, stdio, kill, result: heard },
    async [Symbol.asyncDispose]() {
      kill('SIGKILL')
      await result.catch(() => {})
    },
  }
}

/**
 * The same, with pipes that `connect` takes.
 * @param window how large the terminal is, of a vial that was compiled for one and is not started at a terminal
 */
export function startVial(
  vial: Startable,
  command: string,
  args: readonly string[],
  stdio: Stdio,
  options: CommandOptions,
  connect: Connect,
  window?: Window,
): ConnectedProcess {
  const status = borrowStatusFile(vial.ignored)
  const started = now()
  let group: LimitedRun | undefined
  let beside: Beside | undefined
  /** There is no child, and nothing that could still write. */
  const giveBack = () => {
    group?.abandon()
    beside?.close()
    returnStatusFile(status, true)
  }
  let child: ChildProcess
  try {
    if (window !== undefined) writeWindow(status, window)
    beside = vial.beside?.()
    group = vial.limiter?.begin()
    child = startChild(vial, vial.holds ? [] : [command, ...args], stdio, options, { status, group, beside })
  } catch (error) {
    giveBack()
    throw startError(error)
  }
  group?.started()

  const end = () => endSandbox(child, status)
  const pipes = pipesOf(stdio)
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
  beside?.attach(child, (error) => {
    untaken ??= error
    end()
  })
  const ends = new Map(taken.map((end, index) => [pipes[index]!.fd, end]))
  const connection = connect(ends, (fd, receiver) => group?.meter(fd, receiver, end) ?? receiver)

  const early = new EarlyEnd(options, end)

  let running = false
  const finish = async (): Promise<Result> => {
    const monitor = await endOf(child).finally(() => {
      early.stop()
      if (child.pid === undefined) giveBack()
    })
    if (!vial.ownPids || monitor.signal !== null) group?.kill()
    if (monitor.signal !== null && vial.ownPids) await within(dying, connection.ended())
    connection.finish()
    const durationMs = now() - started
    const outcome = readOutcome(readStatus(status))
    // Pid 1 and all below it have ended.
    const quiet = outcome.usage !== undefined
    let measured: Partial<Usage> | undefined
    try {
      measured = await group?.finish(quiet)
    } finally {
      returnStatusFile(status, quiet)
    }
    // One that was killed is not waited for.
    if (monitor.signal === null) await beside?.drained()
    return conclude({
      ...{ outcome, monitor, measured, durationMs, early, command, fault: untaken },
      limiter: vial.limiter,
      outputExceeded: group?.outputExceeded,
      cwd: options.cwd,
      signal: options.signal,
      steps: () => vial.steps(),
    })
  }
  const result = finish().finally(() => beside?.close())
  // A caller that only uses the streams need not look at the result.
  result.catch(() => {})
  return {
    pid: child.pid ?? -1,
    group: group?.group,
    kill: (signal = 'SIGTERM') => {
      // What stops the monitor itself does not stop the payload.
      if (signal === 'SIGSTOP') return !isOver(child) && child.pid !== undefined && process.kill(child.pid, suspend)
      if (signal !== 'SIGKILL') return child.kill(signal)
      return early.byCaller()
    },
    resize(window) {
      if (isOver(child)) return false
      writeWindow(status, window)
      return child.kill('SIGWINCH')
    },
    result,
    isRunning: () => (running ||= child.pid !== undefined && !isOver(child) && tellsRunning(peekStatus(status))),
  }
}

function startChild(
  vial: Startable,
  words: readonly string[],
  stdio: Stdio,
  options: CommandOptions,
  {
    status,
    group,
    beside,
  }: { readonly status: number; readonly group: LimitedRun | undefined; readonly beside: Beside | undefined },
): ChildProcess {
  const { perRun } = vial
  const here = perRun === undefined ? [] : [options.cwd ?? perRun.cwd]
  return withOwnFiles(stdio, (files) =>
    startProcess(() => vial.open(), [...(vial.target ?? []), ...here, ...words], {
      stdio: layOut<number | 'ignore' | 'inherit' | 'ipc' | 'pipe'>({
        // In the place of a pipe there is something open, until the monitor puts its own there.
        payload: files.map((entry) => (entry === 'input' || entry === 'output' ? status : entry)),
        status: [status],
        ...beside?.descriptors,
        ...group?.descriptors,
      }),
      env:
        perRun === undefined ? handedOn(process.env, vial.inherit) : wholeEnvironment(perRun.environment, options.env),
      // The payload sees the words of pid 1: they need not tell where the caller's cache is.
      argv0: 'vial',
      // Ctrl-C at a terminal reaches the monitor through us, once.
      detached: false,
    }),
  )
}

/** Milliseconds after which a killed sandbox is not waited for: a process outside may have its pipes. */
const dying = 100
