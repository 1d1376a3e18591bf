import type { Policy } from './schema.js'

/** Who the payload is, when the policy does not say: 1000, or nobody where ids are the host's own. */
export function identityOf(policy: Policy): { uid: number; gid: number } {
  const fallback = (policy.namespaces?.user ?? 'new') === 'host' ? 65534 : 1000
  return { uid: policy.identity?.uid ?? fallback, gid: policy.identity?.gid ?? fallback }
}
