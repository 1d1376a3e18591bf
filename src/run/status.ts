/** The records that a vial leaves about itself (see launcher/record.ts), read after its end. */
import { errnoMessage, errnoName } from '../kernel/errno.js'
import { structs } from '../kernel/structs.js'
import { printable } from '../kernel/printable.js'
import { record } from '../launcher/record.js'
import type { Step } from '../plan/step.js'

/** What the sandbox used, from wait4(2): all processes that were waited for, the sandbox's own work included. */
export interface Usage {
  /** Milliseconds of CPU in user mode and in the kernel. */
  readonly userMs: number
  readonly systemMs: number
  /** The largest resident set of one process, in bytes. */
  readonly maxRss: number
  /** Page faults without and with I/O. */
  readonly minorFaults: number
  readonly majorFaults: number
}

export interface Failure {
  /** Which of the vial's steps failed. */
  readonly step: number
  readonly errno: number
}

export interface Outcome {
  readonly failure?: Failure
  /** Wait status of the payload, when it ended. */
  readonly payload?: number
  readonly usage?: Usage
}

/** Reads the records in `bytes`. */
export function readOutcome(bytes: Buffer): Outcome {
  let outcome: Outcome = {}
  for (let at = 0; at + record.size <= bytes.length; at += record.size) {
    const field = (index: number) => Number(bytes.readBigUInt64LE(at + 8 * index))
    const kind = field(0)
    // The first failure is the cause of any other.
    if (kind === record.failed) outcome = { failure: { step: field(1), errno: field(2) }, ...outcome }
    if (kind === record.payload) outcome = { ...outcome, payload: field(1) }
    // How init ended is how the payload did, when it is the payload or was killed itself.
    if (kind === record.ended)
      outcome = { payload: field(1), ...outcome, usage: readUsage(bytes.subarray(at + 32, at + record.size)) }
  }
  return outcome
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

/** The sentence about a failed step. */
export function failureText(step: Step, errno: number, command: string): string {
  const name = errnoName(errno)
  const hint = step.hints?.[name ?? ''] ?? step.hints?.['']
  const what = step.do === 'execute' ? `${step.what} ${command}` : step.what
  return `cannot ${printable(what)}: ${errnoMessage(errno)}${hint === undefined ? '' : `\n      ${hint}`}`
}
