/** The records that a vial leaves about itself (see launcher/record.ts), read after its end. */
import type { GroupUsage } from '../cgroup/group.js'
import { structs } from '../kernel/structs.js'
import { reached, record } from '../launcher/record.js'

/**
 * What the sandbox used. The first five are from wait4(2): all processes that were waited for, the sandbox's own work
 * included. The others are there with limits, as far as the cgroup measures them: docs/limits.md.
 */
export interface Usage extends GroupUsage {
  /** Milliseconds of CPU in user mode. */
  readonly userMs: number
  /** Milliseconds of CPU in the kernel. */
  readonly systemMs: number
  /** The largest resident set of one process, in bytes. */
  readonly maxRss: number
  /** Page faults without I/O. */
  readonly minorFaults: number
  /** Page faults with I/O. */
  readonly majorFaults: number
}

/** Of a command that has not begun. */
export const noUsage: Usage = { userMs: 0, systemMs: 0, maxRss: 0, minorFaults: 0, majorFaults: 0 }

export interface Failure {
  /** Which of the vial's steps failed. */
  readonly step: number
  readonly errno: number
  /** What else is said of it. */
  readonly detail?: string
}

export interface Outcome {
  readonly failure?: Failure
  /** Wait status of the payload, when it ended; otherwise of init. */
  readonly payload?: number
  /** Whether init, which outlived it, told how the payload ended: it was not ended with all the rest. */
  readonly payloadEnded?: boolean
  /** The limit at which the monitor killed all. */
  readonly reached?: keyof typeof reached
  readonly usage?: Usage
}

const limitNames = Object.fromEntries(
  Object.entries(reached).map(([name, number]) => [number, name as keyof typeof reached]),
)

/** Reads the records in `bytes`. */
export function readOutcome(bytes: Buffer): Outcome {
  let outcome: Outcome = {}
  for (let at = 0; at + record.size <= bytes.length; at += record.size) {
    const field = (index: number) => Number(bytes.readBigUInt64LE(at + 8 * index))
    const kind = field(0)
    // The first failure is the cause of any other.
    if (kind === record.failed) {
      const detail = textAt(bytes, at + record.detail.at, record.detail.size)
      outcome = { failure: { step: field(1), errno: field(2), ...(detail === '' ? {} : { detail }) }, ...outcome }
    }
    if (kind === record.payload) outcome = { ...outcome, payload: field(1), payloadEnded: field(2) === 0 }
    if (kind === record.limit) outcome = { reached: limitNames[field(1)]!, ...outcome }
    // How init ended is how the payload did, when it is the payload or was killed itself.
    if (kind === record.ended)
      outcome = { payload: field(1), ...outcome, usage: readUsage(bytes.subarray(at + 32, at + record.size)) }
  }
  return outcome
}

function textAt(bytes: Buffer, at: number, size: number): string {
  const text = bytes.subarray(at, at + size)
  return text.subarray(0, Math.max(text.indexOf(0), 0)).toString('latin1')
}

/** The pid outside of the monitor's child, which ends all at a signal, as soon as the monitor has told it. */
export function readInit(bytes: Buffer): number | undefined {
  for (let at = 0; at + record.size <= bytes.length; at += record.size)
    if (Number(bytes.readBigUInt64LE(at)) === record.started && bytes.readBigUInt64LE(at + 16) !== 0n)
      return Number(bytes.readBigUInt64LE(at + 8))
  return undefined
}

/**
 * Whether the payload of a living sandbox was executed, or it waits without one, and the monitor has told of pid 1: the two write in
 * any order. Before a record of failure it may say so too early.
 */
export function tellsRunning(bytes: Buffer): boolean {
  const kinds = Array.from({ length: Math.floor(bytes.length / record.size) }, (_, index) =>
    Number(bytes.readBigUInt64LE(index * record.size)),
  )
  return [record.started, record.running].every((kind) => kinds.includes(kind)) && !kinds.includes(record.failed)
}

function readUsage(bytes: Buffer): Usage {
  const number = (name: keyof typeof structs.rusage.fields) =>
    Number(bytes.readBigUInt64LE(structs.rusage.fields[name].offset))
  const time = (offset: number) =>
    Number(bytes.readBigInt64LE(offset)) * 1000 + Number(bytes.readBigInt64LE(offset + 8)) / 1000
  return {
    userMs: time(0),
    systemMs: time(16),
    maxRss: number('ru_maxrss') * 1024,
    minorFaults: number('ru_minflt'),
    majorFaults: number('ru_majflt'),
  }
}
