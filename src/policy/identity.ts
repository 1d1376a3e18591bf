import type { Policy } from './schema.js'

/** The payload's ids when the policy does not give them: 1000, or 65534 where ids are the host's own. */
export function identityOf(policy: Pick<Policy, 'identity' | 'namespaces'>): { uid: number; gid: number } {
  const fallback = (policy.namespaces?.user ?? 'new') === 'host' ? 65534 : 1000
  return { uid: policy.identity?.uid ?? fallback, gid: policy.identity?.gid ?? fallback }
}
