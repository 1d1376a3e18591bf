/** What the descriptors of a payload are: which of them are pipes to this process, and in which direction. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import type { GroupOption } from '../plan/lowerLimits.js'
import type { DescriptorCounts } from '../plan/namedDescriptors.js'
import type { PlanOptions } from '../plan/planPolicy.js'
import type { PayloadPipe } from '../plan/step.js'
import { opensTls } from '../policy/networkSecrets.js'
import type { CheckedPolicy } from '../policy/schema.js'

/**
 * As child_process has it, but for pipes. A pipe has one direction: an `'input'` is read by the payload, an `'output'` is
 * written by it. `'pipe'` is an input for descriptor 0, an output for any other; from 3 on it is also an input when the
 * policy itself reads that descriptor.
 */
export type StdioEntry = 'pipe' | 'input' | 'output' | 'ignore' | 'inherit' | number

/** One entry for each descriptor, with the direction of each pipe. */
export type Stdio = readonly Exclude<StdioEntry, 'pipe'>[]

/** @param reads descriptors that the policy reads */
export function completeStdio(stdio: readonly StdioEntry[] = [], reads: readonly number[] = []): Stdio {
  return [...stdio, ...(['pipe', 'pipe', 'pipe'] as const).slice(stdio.length)].map((entry, fd) =>
    entry !== 'pipe' ? entry : fd === 0 || reads.includes(fd) ? 'input' : 'output',
  )
}

export function pipesOf(stdio: Stdio): PayloadPipe[] {
  const payload = { input: 'reads', output: 'writes' } as const
  return stdio.flatMap((entry, fd) =>
    entry === 'input' || entry === 'output' ? [{ fd, payload: payload[entry] }] : [],
  )
}

/**
 * How a vial is compiled that is started with these entries, its own status file, and what `group` has.
 * @param network what its policy says of that, where this process is beside the sandbox
 */
export function compiledFor(
  stdio: Stdio,
  group: GroupOption | undefined,
  network?: CheckedPolicy['network'],
): Pick<PlanOptions, 'descriptors' | 'pipes' | 'outputIsWatched' | 'group'> {
  return {
    descriptors: { payload: stdio.length, status: 1, ...descriptorsOf(network) },
    pipes: pipesOf(stdio),
    outputIsWatched: true,
    ...(group === undefined ? {} : { group }),
  }
}

/** Of the process beside a sandbox whose policy says this of its network. */
export const descriptorsOf = (network: CheckedPolicy['network']): DescriptorCounts =>
  typeof network === 'object' ? { network: 1, ...(opensTls(network) ? { authorities: 1 } : {}) } : {}

/**
 * Calls `action` with the entries as the payload gets them. Where it is to have a pipe that is a standard stream of this
 * process, it gets an open file of its own: as soon as this program, or any other that has the same open file, uses
 * Node's streams, O_NONBLOCK is set on it, open(2), and a payload that expects none loses what it writes.
 */
export function withOwnFiles<Value>(stdio: Stdio, action: (stdio: Stdio) => Value): Value {
  const opened: number[] = []
  const own = stdio.map((entry, fd) => {
    const from = entry === 'inherit' ? fd : entry
    // In a child libuv clears O_NONBLOCK of these three only.
    if (typeof from !== 'number' || from > 2 || fd > 2) return entry
    const file = openAgain(from)
    if (file === undefined) return entry
    opened.push(file)
    return file
  })
  try {
    return action(own)
  } finally {
    for (const file of opened) closeSync(file)
  }
}

/** The same pipe as another open file; undefined: it is no pipe, or another user's, as under sudo(8). */
function openAgain(fd: number): number | undefined {
  try {
    if (!fstatSync(fd).isFIFO()) return undefined
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1]!, 8)
    // Without O_NONBLOCK a named pipe would wait for its other end.
    return openSync(`/proc/self/fd/${fd}`, (flags & accessMode) | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
}

/** O_ACCMODE, open(2). */
const accessMode = 3
