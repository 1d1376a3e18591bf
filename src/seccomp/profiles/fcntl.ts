/** What profiles let through of fcntl(2). */
import { F } from '../../kernel/flags.js'
import type { SeccompProfile } from '../profileSchema.js'
import { int } from './int.js'

/**
 * A lease makes a process outside that opens or executes the file wait, though it is shown read-only, as soon as its owner
 * is the payload's user: F_SETLEASE(2const). F_NOTIFY is inotify's elder. What is newer than the last command of Linux 6.18
 * is refused as the kernel refuses what it does not know: among these are leases of directories (F_SETDELEG).
 */
export const fcntlRules: SeccompProfile['rules'] = [
  { calls: ['fcntl'], when: [{ arg: 1, mask: int, in: [F.SETLEASE, F.NOTIFY] }], do: { errno: 'EINVAL' } },
  { calls: ['fcntl'], when: [{ arg: 1, mask: int, gt: F.SET_FILE_RW_HINT }], do: { errno: 'EINVAL' } },
  { calls: ['fcntl'], do: 'allow' },
]
