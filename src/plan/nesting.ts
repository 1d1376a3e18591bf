/** Whether a policy is for programs that make sandboxes themselves. */
import type { CheckedPolicy } from '../policy/schema.js'

/**
 * Such a payload mounts, which Landlock forbids to the processes that it restricts, and mounts a /proc of its own, which the kernel
 * forbids where any part of the outer one is covered.
 */
export function nests(policy: Pick<CheckedPolicy, 'seccomp' | 'capabilities'>): boolean {
  return policy.seccomp === 'nested' || (policy.capabilities ?? []).includes('CAP_SYS_ADMIN')
}

/**
 * Whether the payload may be able to mount, in a user namespace that it makes or in its own: anything but the profiles
 * that are known to refuse it. Landlock would, too, where the kernel has it.
 */
export function mayMount(policy: Pick<CheckedPolicy, 'seccomp' | 'capabilities'>): boolean {
  return !['default', 'strict'].includes(String(policy.seccomp ?? 'default')) || nests(policy)
}
