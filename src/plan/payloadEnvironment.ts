/** What a payload gets of its policy's `env` and of the caller's variables. */
import { usualPath } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import { placeholders } from '../policy/networkSecrets.js'
import type { Environment } from './manner.js'

/** By which Node.js tells a program that it starts of a channel between the two: of the vial's own, which is closed. */
const ofChannel = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']

/** Of a policy as it is written, or checked. */
type Chosen = Pick<Policy, 'env' | 'filesystem'> & {
  readonly network?:
    | 'none'
    | 'host'
    | 'private'
    | ({ readonly proxy?: number | undefined } & Parameters<typeof placeholders>[0])
    | undefined
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

/** By which programs find the authorities that they trust, each its own: OpenSSL and Go, curl, Python's requests and pip, Node.js, git, cargo, Deno, AWS. */
const authoritiesVariables = [
  ...['SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'PIP_CERT', 'NODE_EXTRA_CA_CERTS', 'GIT_SSL_CAINFO'],
  ...['CARGO_HTTP_CAINFO', 'DENO_CERT', 'AWS_CA_BUNDLE'],
]

function authorities({ filesystem = [] }: Chosen): Readonly<Record<string, string>> {
  const entry = filesystem.find((one) => 'file' in one && one.authorities)
  if (entry === undefined || !('file' in entry)) return {}
  const { file } = entry
  return Object.fromEntries(authoritiesVariables.map((name) => [name, file!]))
}

export function payloadEnvironment(policy: Chosen): Environment {
  const { env, network } = policy
  const inherit = env?.inherit ?? []
  const set = Object.entries({
    ...(inherit === true || inherit.includes('PATH') ? {} : { PATH: usualPath }),
    ...proxyVariables(network),
    ...authorities(policy),
    ...env?.set,
    ...(typeof network === 'object' ? placeholders(network) : {}),
  })
  return { set, inherit, unset: typeof network === 'object' ? ofChannel : [], pwd: false }
}
