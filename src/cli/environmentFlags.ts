/** `--env`: variables behind those that a policy has, of a run and of what enters a sandbox that runs. */
import { below } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import { UsageError } from './commandLine.js'

interface Variables {
  readonly set: Record<string, string>
  readonly inherit: true | string[]
}

/**
 * The last that is said of a name holds: `NAME` hands on the caller's, also where the policy sets it.
 * @param note is told the key that each flag has set
 */
export function withVariables(
  { set, inherit = [] }: NonNullable<Policy['env']>,
  flags: readonly string[] = [],
  note: (path: string, typed: string) => void = () => {},
): Variables {
  const values = new Map(Object.entries(set ?? {}))
  const names = inherit === true ? true : [...inherit]
  for (const variable of flags) {
    const typed = `--env ${variable}`
    const [name = '', value] = variable.split(/=(.*)/s)
    if (name === '') throw new UsageError(`${typed}: must be a variable name`)
    if (value !== undefined) {
      values.set(name, value)
      note(below('env.set', name), typed)
      continue
    }
    values.delete(name)
    if (names !== true) note(below('env.inherit', names.push(name) - 1), typed)
  }
  return { set: Object.fromEntries(values), inherit: names }
}
