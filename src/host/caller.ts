/** Who calls. */
import { userInfo } from 'node:os'

/** The name of the caller's account; the number of one that has no account, as in a container. */
export function callerName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid!())
  }
}
