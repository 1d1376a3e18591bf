/** Users of the outside of a user namespace. */
import { readFileSync } from 'node:fs'

/**
 * Whether this id stands for all those that the caller's user namespace does not map: user_namespaces(7), "Unmapped user and
 * group IDs". Such a directory was put there by the outside of that namespace, which chose all that is seen here: `/` itself
 * belongs to this id in a namespace of one user. Where the id is mapped, as in the first namespace, it is a user like others.
 */
export function isUnmapped(uid: number): boolean {
  try {
    if (uid !== Number(readFileSync('/proc/sys/kernel/overflowuid', 'utf8'))) return false
    return readFileSync('/proc/self/uid_map', 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .every(([inside = 0, , count = 0]) => uid < inside || uid >= inside + count)
  } catch {
    return false
  }
}
