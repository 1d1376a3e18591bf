/**
 * What the profile `default` lets through of calls that change a process: its limits, priority and processors. All but
 * prlimit(2) go by the user alone, and the payload's is the caller's.
 */
import { IOPRIO_WHO, PRIO } from '../../kernel/flags.js'
import { rlimits } from '../../kernel/rlimits.js'
import type { SeccompProfile } from '../profileSchema.js'
import { int } from './int.js'

/**
 * vial's own process has the payload's uid, and so the kernel would let the payload set its priority, its processors and
 * its limits, one of which kills even it: setrlimit(2), RLIMIT_CPU.
 */
const init = 1
const core = { arg: 1, mask: int, eq: rlimits.core } as const
/** Their first argument is a process; 0 is the caller. */
const ofProcess = ['prlimit64', 'sched_setaffinity', 'sched_setattr', 'sched_setparam', 'sched_setscheduler'] as const
/** Their first argument says what the second is: a process, a group or a user. */
const ofMany = [
  ['setpriority', PRIO],
  ['ioprio_set', IOPRIO_WHO],
] as const

export const processRules: SeccompProfile['rules'] = [
  // To look at a limit, of any process.
  { calls: ['prlimit64'], when: [{ arg: 2, eq: 0 }], do: 'allow' },
  // The limit of core dumps stays, and programs that lower it, as gpg does, go on: none is written. See plan/lowerPolicy.ts.
  { calls: ['setrlimit'], when: [{ arg: 0, mask: int, eq: rlimits.core }], do: { errno: 0 } },
  { calls: ['setrlimit'], do: 'allow' },
  // With an old limit to be filled in, it would say what is not so.
  { calls: ['prlimit64'], when: [core, { arg: 3, eq: 0 }], do: { errno: 0 } },
  { calls: ['prlimit64'], when: [core], do: { errno: 'EPERM' } },

  // Any number may be one of the caller's processes; a filter does not know the program's own, but 0 is always itself.
  { calls: [...ofProcess], when: [{ arg: 0, mask: int, ne: 0 }], where: 'sharedPids', do: { errno: 'EPERM' } },
  { calls: [...ofProcess], when: [{ arg: 0, mask: int, ne: init }], do: 'allow' },
  ...ofMany.flatMap(([call, who]): SeccompProfile['rules'] => [
    { calls: [call], when: [{ arg: 1, mask: int, ne: 0 }], where: 'sharedPids', do: { errno: 'EPERM' } },
    // The caller's shell may be in it.
    { calls: [call], when: [{ arg: 0, mask: int, eq: who.PGRP }], where: 'sharedSession', do: { errno: 'EPERM' } },
    // Not those of a whole user: setpriority(2), ioprio_set(2).
    {
      calls: [call],
      when: [
        { arg: 0, mask: int, in: [who.PROCESS, who.PGRP] },
        { arg: 1, mask: int, ne: init },
      ],
      do: 'allow',
    },
  ]),
]
