/**
 * Starts a sandbox that has a name and outlives the process that starts it. Until its record is written it is tied to that process,
 * as any run is; then it is let live. So a starter that is killed leaves nothing.
 */
import { closeSync } from 'node:fs'
import { openStored } from '../cache/contentVials.js'
import { compileAccepted } from '../compile/compile.js'
import type { SignalName } from '../kernel/signals.js'
import { letLive } from '../launcher/record.js'
import { layOut } from '../plan/namedDescriptors.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { endSandbox, isOver } from '../run/endSandbox.js'
import { failureError } from '../run/failure.js'
import type { LimitedRun } from '../run/limitedRun.js'
import { Limiter } from '../run/limiter.js'
import { handedOn } from '../run/startEnvironment.js'
import { startError, startProcess } from '../run/startProcess.js'
import { readInit, readOutcome, tellsRunning } from '../run/status.js'
import { peekStatus } from '../run/statusFile.js'
import { descriptorsOf } from '../run/stdio.js'
import { HostError } from '../text/error.js'
import type { NetworkBesideOf } from './networkBeside.js'
import { identityOfChild } from './processes.js'
import { namespacesHeldBy } from './readProcess.js'
import type { SandboxRecord } from './recordFile.js'
import { reserve } from './records.js'
import { untilRunning } from './untilRunning.js'

export interface NamedStart {
  readonly name: string
  readonly policy: AcceptedPolicy
  /** The directory that relative paths in the policy start from. */
  readonly base: string
  /** Absent: it is held open, empty. */
  readonly command?: readonly [string, ...string[]]
  /** What asks the command to end; default: SIGTERM. */
  readonly stopSignal?: SignalName
  /** Bytes of its log that are kept; default: 2 MiB. */
  readonly logSize?: number
  /** Paths that the next run trusts: see CompileOptions. */
  readonly trusted?: readonly string[]
  /** Signals that the command starts with ignored: bit N - 1 is signal N. */
  readonly ignored?: bigint
  /** What serves its network, where that is by name: it has to go on when this is over. */
  readonly network?: NetworkBesideOf | undefined
  /** The layers that the policy shows: they end with its record. */
  readonly layers?: string
}

/** @throws {VialError} when it cannot be started; nothing is left then. */
export async function startSandbox({ name, policy, base, command, ...how }: NamedStart): Promise<SandboxRecord> {
  const { given, checked } = policy
  const limiter = checked.limits === undefined ? undefined : new Limiter(checked)
  const group = limiter?.option()
  const isServed = typeof checked.network === 'object' && how.network !== undefined
  const {
    steps,
    bytes,
    plan,
    policy: complete,
  } = compileAccepted(policy, {
    base,
    trusted: how.trusted ?? [],
    descriptors: { status: 1, log: 1, ...(isServed ? descriptorsOf(checked.network) : {}) },
    ...(how.logSize === undefined ? {} : { logSize: how.logSize }),
    ...(group === undefined ? {} : { group }),
    living: { holds: command === undefined },
  })
  const network = isServed ? how.network?.(checked, plan)?.() : undefined
  const reserved = reserve(name, how.ignored)
  const { directory, status } = reserved
  let run: LimitedRun | undefined
  let end = async () => {}
  try {
    run = limiter?.begin('recorded', reserved.plan)
    const child = startProcess(() => openStored(bytes), command ?? [], {
      stdio: layOut<number | 'ignore' | 'ipc' | 'pipe'>({
        payload: ['ignore', 'ignore', 'ignore'],
        status: [status],
        log: [directory],
        ...network?.descriptors,
        ...run?.descriptors,
      }),
      env: handedOn(process.env, plan.start.environment.inherit),
      argv0: 'vial',
      // A session of its own: what the terminal sends to its starter is not for it.
      detached: true,
    })
    const identity = child.pid === undefined ? undefined : identityOfChild(child.pid)
    run?.started()
    const failed = new Promise<never>((_, reject) => network?.attach(child, reject))
    failed.catch(() => {})
    const ended = new Promise<void>((resolve, reject) => {
      child.once('error', (error) => child.pid === undefined && reject(startError(error)))
      child.once('exit', () => resolve())
    })
    end = async () => {
      endSandbox(child, status)
      await ended.catch(() => {})
    }
    await untilRunning(() => tellsRunning(peekStatus(status)), ended)
    const outcome = readOutcome(peekStatus(status))
    if (outcome.failure === undefined) await Promise.race([failed, network?.opened(), ended])
    else {
      await ended
      throw failureError(outcome.failure, steps, { execute: command?.[0] ?? '', chdirNamed: undefined })
    }
    const init = readInit(peekStatus(status))
    // Its monitor was killed. A command that has ended meanwhile has left its status and its log: they are found by the name.
    if (init === undefined || identity === undefined)
      throw new HostError(`the sandbox "${name}" was killed while it was started`)
    const record = reserved.commit({
      monitor: identity,
      init,
      namespaces: namespacesHeldBy(identity.pid),
      policy: { ...given, cwd: complete.cwd, env: complete.env },
      base,
      trusted: [...(how.trusted ?? []), ...(group?.bases ?? [])],
      ...(command === undefined ? {} : { command }),
      ...(how.stopSignal === undefined ? {} : { stopSignal: how.stopSignal }),
      ...(how.layers === undefined ? {} : { work: { layers: how.layers } }),
      ...(run?.group === undefined ? {} : { group: { version: run.group.version, paths: run.group.directories } }),
    })
    // Until Node.js has seen its end, the pid is that of no other.
    if (!isOver(child)) process.kill(identity.pid, letLive)
    run?.handOver()
    child.unref()
    return record
  } catch (error) {
    network?.close()
    // Its cgroup can be removed when no process is in it.
    await end()
    run?.abandon()
    throw startError(error)
  } finally {
    closeSync(status)
    reserved.abandon()
    closeSync(directory)
  }
}
