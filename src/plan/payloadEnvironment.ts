/** What a payload gets of its policy's `env` and of the caller's variables. */
import { usualPath } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import type { Environment } from './manner.js'

/** By which Node.js tells a program that it starts of a channel between the two: of the vial's own, which is closed. */
const ofChannel = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']

/** Of a policy as it is written, or checked. */
type Chosen = Pick<Policy, 'env'> & { readonly network?: 'none' | 'host' | object | undefined }

export function payloadEnvironment({ env, network }: Chosen): Environment {
  const inherit = env?.inherit ?? []
  const set = Object.entries({
    ...(inherit === true || inherit.includes('PATH') ? {} : { PATH: usualPath }),
    ...env?.set,
  })
  return { set, inherit, unset: typeof network === 'object' ? ofChannel : [], pwd: false }
}
