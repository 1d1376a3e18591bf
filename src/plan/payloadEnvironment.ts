/** What a payload gets of its policy's `env` and of the caller's variables. */
import { usualPath } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import type { Environment } from './manner.js'

export function payloadEnvironment({ env }: Pick<Policy, 'env'>): Environment {
  const inherit = env?.inherit ?? []
  const set = Object.entries({
    ...(inherit === true || inherit.includes('PATH') ? {} : { PATH: usualPath }),
    ...env?.set,
  })
  return { set, inherit, unset: [], pwd: false }
}
