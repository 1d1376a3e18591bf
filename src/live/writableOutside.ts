/** Directories of the host that a sandbox may write: what lies there, its payload may have put there, links too. */
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Plan, stepsOf } from '../plan/plan.js'
import type { Destination } from '../policy/networkRules.js'
import { isWithin } from '../policy/path.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'

/** As their policy has them. */
export const writableOutside = (plan: Plan): readonly string[] =>
  stepsOf(plan).init.flatMap((step) => {
    if ((step.do === 'bind' || step.do === 'rootBind') && !step.flags.readonly && typeof step.source === 'string')
      return [step.source]
    return step.do === 'overlay' && typeof step.upper === 'object' ? [step.upper.upper.path] : []
  })

/**
 * A unix socket of the host is connected to by its path, with the rights of this process: a payload that may write there could put a link to any other.
 * @throws {HostError} that names the first
 */
export function refuseWritable(destinations: readonly Destination[], writable: readonly string[]): void {
  for (const { host } of destinations) {
    if (host.kind !== 'path') continue
    const source = writable.find(
      (one) => isWithin(host.outside, one) || isWithin(realDirectory(host.outside), real(one)),
    )
    if (source !== undefined)
      throw new HostError(`unix:${host.outside} lies in ${source}, which the sandbox may write`, {
        hint: 'it could put a link to any other socket there: have the service listen elsewhere',
      })
  }
}

const real = (path: string): string => attempt(() => realpathSync(path)) ?? path
const realDirectory = (path: string): string => `${real(dirname(path))}/`
