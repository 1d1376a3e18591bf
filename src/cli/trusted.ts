/** What a command line names that the next run trusts: compile/writableEntries.ts keeps it from the payload. */
import { profileWords } from './offers.js'
import type { PolicyFlags } from './policyFlags.js'

export const isProfile = (seccomp: string) => profileWords.includes(seccomp)

/**
 * Its policy, its filter, and the name by which the command itself was called, which may be a link in `node_modules/.bin`.
 * Names in /dev and /proc, as of `<(…)`, are of this run only.
 */
export function trustedBy({ policy, seccomp }: PolicyFlags, named?: string): string[] {
  const filter = seccomp !== undefined && isProfile(seccomp) ? undefined : seccomp
  return [policy, named, filter, process.argv[1]].filter(
    (path): path is string => path !== undefined && !/^\/(dev|proc)\//.test(path),
  )
}
