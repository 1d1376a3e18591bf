/** What a payload gets of its policy's `env` and of the caller's variables. */
import { usualPath } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import type { Environment } from './manner.js'

/** By which Node.js tells a program that it starts of a channel between the two: of the vial's own, which is closed. */
const ofChannel = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']

/** Of a policy as it is written, or checked. */
type Chosen = Pick<Policy, 'env'> & {
  readonly network?: 'none' | 'host' | 'private' | { readonly proxy?: number | undefined } | undefined
}

/** As programs read them that know of proxies: most lower-case ones, some the others; curl(1), "ENVIRONMENT". */
function proxyVariables(network: Chosen['network']): Readonly<Record<string, string>> {
  if (typeof network !== 'object' || network.proxy === undefined) return {}
  const at = `127.0.0.1:${network.proxy}`
  const variables = {
    http_proxy: `http://${at}`,
    https_proxy: `http://${at}`,
    all_proxy: `socks5h://${at}`,
    no_proxy: 'localhost,127.0.0.1,::1',
  }
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => [
      [name, value],
      [name.toUpperCase(), value],
    ]),
  )
}

export function payloadEnvironment({ env, network }: Chosen): Environment {
  const inherit = env?.inherit ?? []
  const set = Object.entries({
    ...(inherit === true || inherit.includes('PATH') ? {} : { PATH: usualPath }),
    ...proxyVariables(network),
    ...env?.set,
  })
  return { set, inherit, unset: typeof network === 'object' ? ofChannel : [], pwd: false }
}
