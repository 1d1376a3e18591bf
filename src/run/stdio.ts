/** What the descriptors of a payload are: which of them are pipes to this process, and in which direction. */
import type { PayloadPipe } from '../plan/step.js'

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
