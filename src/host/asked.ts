/** Runs a program that asks the kernel. */
import { spawnSync } from 'node:child_process'
import { asking } from '../assembly/asking.js'
import { openStored } from '../cache/contentVials.js'
import { withName } from '../cache/executable.js'
import { hostArchitecture } from './thisHost.js'

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
  calls: Parameters<typeof asking>[2],
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
