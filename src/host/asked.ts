/** Runs a program that asks the kernel. */
import { spawnSync } from 'node:child_process'
import { asking } from '../assembly/asking.js'
import { openStored } from '../cache/contentVials.js'
import { withName } from '../cache/executable.js'
import { errno, errnoMessage, errnoName } from '../kernel/errno.js'
import { hostArchitecture } from './thisHost.js'

type Calls = Parameters<typeof asking>[2]

interface Asked {
  /** What the calls gave, as far as they came: one that kills the process gives nothing. */
  readonly answers: readonly number[]
  /** Why the program did not run, or not to its end in time. */
  readonly error: NodeJS.ErrnoException | undefined
}

/**
 * What system calls give here.
 * @param options.stops there is no further call once one has failed
 * @param options.timeout milliseconds, after which the program is killed; default: none
 * @throws {Error} when the cache cannot be used
 */
export function answersTo(
  calls: Calls,
  {
    stops,
    timeout,
    cache,
  }: { readonly stops: boolean; readonly timeout?: number; readonly cache?: string | undefined },
): Asked {
  const vial = openStored(asking(hostArchitecture(), { stops }, calls), cache)
  const { error, stdout } = withName(vial, 3, (name) =>
    spawnSync(name, {
      stdio: ['ignore', 'pipe', 'ignore'],
      ...(timeout === undefined ? {} : { timeout, killSignal: 'SIGKILL' }),
    }),
  )
  const bytes = error === undefined ? stdout : Buffer.alloc(0)
  const answers = Array.from({ length: Math.floor(bytes.length / 8) }, (_, at) => Number(bytes.readBigInt64LE(8 * at)))
  return { answers, error }
}

/**
 * What the last of these system calls answers, or -errno of the first that fails.
 * @throws {Error} when the cache cannot be used
 */
export function ask(calls: Calls, cache?: string): number {
  let asked = 0
  const counted: Calls = (ask, b) =>
    calls((...call) => {
      asked++
      ask(...call)
    }, b)
  const { answers, error } = answersTo(counted, { stops: true, cache })
  if (error !== undefined) return error.errno ?? -errno.EPERM
  const last = answers.at(-1) ?? 0
  // A process that was killed does not answer to the end: a filter around this one does so.
  return last >= 0 && answers.length < asked ? -errno.EPERM : last
}

/** `EPERM: Operation not permitted` of a negative answer. */
export const inWords = (answer: number) => `${errnoName(-answer) ?? -answer}: ${errnoMessage(-answer)}`
