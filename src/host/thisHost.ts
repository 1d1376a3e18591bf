/** Which machine this is, and who calls. */
import { userInfo } from 'node:os'
import type { Architecture } from '../kernel/architecture.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'

/**
 * This machine's architecture.
 * @throws {HostError} when it is another
 */
export function hostArchitecture(): Architecture {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch
  throw new HostError(`vial does not know the architecture ${process.arch}: it compiles for x64 and arm64`)
}

/** The name of the caller's account; the number of one that has no account, as in a container. */
export function callerName(): string {
  return attempt(() => userInfo().username) ?? String(process.getuid!())
}
