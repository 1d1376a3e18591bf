/** One word about how a run ended, from all the evidence: docs/limits.md. */
import type { AnySignalName } from '../kernel/signals.js'
import type { Limits } from '../policy/limits.js'
import type { Stage } from '../text/error.js'
import type { Usage } from './status.js'

/** A signal, of Node's names or a real-time one's. */
export type SignalName = NodeJS.Signals | AnySignalName

/** How a run ended, by `kind`; docs/limits.md tells which evidence decides. */
export type Verdict = Ok | Exit | Signal | MemoryLimit | TimeLimit | OutputLimit | PidsLimit | Killed | SandboxFault

/** It exited with 0. */
interface Ok {
  /** What of all these it is. */
  readonly kind: 'ok'
}
/** It exited with another status. */
interface Exit {
  /** What of all these it is. */
  readonly kind: 'exit'
  /** The exit status, 1 to 255. */
  readonly code: number
}
/** A signal ended it, which neither a limit nor the caller had sent. */
interface Signal {
  /** What of all these it is. */
  readonly kind: 'signal'
  /** The signal. */
  readonly signal: SignalName
}
/** The kernel killed for want of memory. */
interface MemoryLimit {
  /** What of all these it is. */
  readonly kind: 'memory-limit'
  /** Bytes. */
  readonly limit: number
}
/** It took too long. */
interface TimeLimit {
  /** What of all these it is. */
  readonly kind: 'time-limit'
  /** CPU time of all processes, or time on the clock. */
  readonly clock: 'cpu' | 'wall'
  /** Milliseconds. */
  readonly limit: number
}
/** It wrote too much. */
interface OutputLimit {
  /** What of all these it is. */
  readonly kind: 'output-limit'
  /** To which stream, or to both together. */
  readonly stream: OutputStream
  /** Bytes. */
  readonly limit: number
}
/** It did not exit with 0, and had been refused a process or thread. */
interface PidsLimit {
  /** What of all these it is. */
  readonly kind: 'pids-limit'
  /** Processes and threads. */
  readonly limit: number
}
/** All of it was ended from outside: by the caller, or by what killed the monitor or pid 1. */
interface Killed {
  /** What of all these it is. */
  readonly kind: 'killed'
  /** Who ended it; undefined: not this process. */
  readonly by: 'timeout' | 'maxBuffer' | 'caller' | undefined
}
/** There was no sandbox, or no command to run in it. */
interface SandboxFault {
  /** What of all these it is. */
  readonly kind: 'sandbox-error'
  /** Where it went wrong, as the `stage` of the error that `run` throws. */
  readonly stage: Stage
  /** The errno's name, such as `ENOENT`, where there is one. */
  readonly code?: string
  /** The error's text. */
  readonly message: string
}

/** A stream that is limited, or both together. */
export type OutputStream = 'stdout' | 'stderr' | 'both'

export interface Evidence {
  readonly exitCode: number | null
  readonly signal: SignalName | null
  /** Whether the payload ended by itself, before all the rest. */
  readonly payloadEnded: boolean
  readonly usage: Usage
  readonly limits: Limits | undefined
  /** The limit for which the monitor killed all. */
  readonly reached?: 'wallTime' | 'cpuTime' | 'memory' | undefined
  /** The limit that was written beyond. */
  readonly output?: { readonly stream: OutputStream; readonly limit: number } | undefined
  readonly endedBy?: 'timeout' | 'maxBuffer' | 'caller' | undefined
}

/** When several limits were met in one run, it is the first of this order: memory, output, CPU time, wall time, pids. */
export function verdictOf(evidence: Evidence): Verdict {
  const { exitCode, signal, payloadEnded, usage, limits = { required: true }, output } = evidence
  // In v2 the kernel kills all. Without a hit of the group's own limit it was for want of memory on the host.
  const killedByKernel = (usage.oomKills ?? 0) > 0 && (usage.memoryLimitHits ?? 0) > 0
  if (limits.memory !== undefined && (evidence.reached === 'memory' || killedByKernel))
    return { kind: 'memory-limit', limit: limits.memory }
  if (output !== undefined) return { kind: 'output-limit', ...output }
  const cpuMs = usage.cpuMs ?? usage.userMs + usage.systemMs
  // Without a cgroup: RLIMIT_CPU sends it.
  const byRlimit = usage.cpuMs === undefined && signal === 'SIGXCPU'
  if (limits.cpuTime !== undefined && (evidence.reached === 'cpuTime' || byRlimit || cpuMs > limits.cpuTime))
    return { kind: 'time-limit', clock: 'cpu', limit: limits.cpuTime }
  // Killed with all the rest, not by itself just before.
  const killed = signal === 'SIGKILL' && !payloadEnded
  if (limits.wallTime !== undefined && evidence.reached === 'wallTime' && killed)
    return { kind: 'time-limit', clock: 'wall', limit: limits.wallTime }
  if (killed) return { kind: 'killed', by: evidence.endedBy }
  if (limits.pids !== undefined && (usage.pidsLimitHits ?? 0) > 0 && exitCode !== 0)
    return { kind: 'pids-limit', limit: limits.pids }
  if (signal !== null) return { kind: 'signal', signal }
  return exitCode === 0 ? { kind: 'ok' } : { kind: 'exit', code: exitCode ?? 0 }
}
