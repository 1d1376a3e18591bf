/** Whether a policy is for programs that make sandboxes themselves. */
import type { Policy } from '../policy/schema.js'

/**
 * Such a payload mounts, which Landlock forbids to whom it restricts, and mounts a /proc of its own, which the kernel
 * forbids where any part of the outer one is covered.
 */
export function nests(policy: Policy): boolean {
  return policy.seccomp === 'nested' || (policy.capabilities ?? []).includes('CAP_SYS_ADMIN')
}
