/** What a command that enters a sandbox has of its own, in place of what the policy gives the sandbox's own command. */
import * as v from 'valibot'
import { object } from '../text/shapes.js'
import { parseOptions } from './check.js'
import { limitNames, type OwnLimitName, ownLimits } from './limits.js'
import { type Limits, type LimitsPolicy, limitsSchema } from './limitsSchema.js'
import { id } from './values.js'

/** Limits of one command that enters a sandbox. None is higher than the sandbox's; what is not among them is for all in it together. */
export type OwnLimits = Pick<LimitsPolicy, OwnLimitName>

/** What a command that enters a sandbox may have of its own. An OptionError names what its policy does not give. */
export interface OwnOptions {
  /**
   * The user id inside; default: that of the policy. It is one that the sandbox has, and that its own command could become: another than
   * the policy's takes the capability CAP_SETUID in it.
   */
  readonly uid?: number | undefined
  /** The group id inside, alike, with CAP_SETGID. Default: that of the policy. */
  readonly gid?: number | undefined
  /**
   * Limits of this command: `wallTime`, `output`, `stdout`, `stderr`, and of each of its processes `cpuTime`, `fileSize`, `openFiles`,
   * `stack` and `core`. None may be more than the sandbox's. Default: those of the policy.
   */
  readonly limits?: OwnLimits | undefined
}

/** The same in bytes and milliseconds. */
export interface Own {
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly limits?: Pick<Limits, OwnLimitName> | undefined
}

const isOwn = (name: string) => ownLimits.some((own) => own === name)
const together = v.custom<undefined>(() => false, 'is for all in the sandbox together: its policy sets it')

const ownSchema = object({
  uid: v.optional(id),
  gid: v.optional(id),
  limits: v.optional(
    object(
      Object.fromEntries(
        limitNames.map((name) => [name, isOwn(name) ? limitsSchema.entries[name] : v.optional(together)]),
      ),
    ),
  ),
})

/** @throws {OptionError} that names the first fault */
export function parseOwn({ uid, gid, limits }: OwnOptions): Own {
  if (uid === undefined && gid === undefined && limits === undefined) return {}
  return parseOptions(ownSchema, { uid, gid, limits }) as Own
}
