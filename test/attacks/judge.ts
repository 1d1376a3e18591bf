/** Whether a pair of runs, one against the wall and one without it, shows that the wall stands. */

export interface Claim {
  /** What the wall answers: several where kernels or callers differ. */
  readonly refused: readonly string[]
  /** What a kernel that lacks the feature answers, whatever the wall. */
  readonly lacking?: string
  /** Whether the wall that is taken away is the last one; where it is not, the kernel still has to refuse. */
  readonly last: boolean
}

/** What a run came to: `succeeded`, the name of an errno or of a signal, or why there is no sandbox. */
export interface Seen {
  readonly walled: string
  readonly weakened: string
}

/** Nothing follows from a skip, and it is counted; what is wrong fails the test. */
export type Judgement = { readonly proves: string } | { readonly skip: string } | { readonly wrong: string }

/** A crash is no answer: it says as much of the attack as of the wall. */
const crashes = ['SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGABRT']
/** What is said of something that is not there: said both times, it may never have been there. */
const absences = ['ENOENT', 'ENOSYS', 'ESRCH', 'ENODEV', 'ENXIO', 'ENOTTY', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'EBADF']

export function judge({ refused, lacking, last }: Claim, { walled, weakened }: Seen): Judgement {
  const crash = refused.find((one) => crashes.includes(one))
  if (crash !== undefined) return { wrong: `${crash} is no refusal` }
  if (lacking !== undefined && walled === lacking && weakened === lacking)
    return { skip: `this kernel lacks it, and answers ${lacking} with the wall and without` }
  if (!refused.includes(walled)) return { wrong: `the wall answered ${walled}, not ${refused.join(' or ')}` }
  if (last) {
    if (weakened === 'succeeded') return { proves: 'it succeeds without the wall' }
    if (weakened === lacking) return { proves: `the wall answers before the kernel, which lacks it (${lacking})` }
    return { wrong: `without the wall it does not succeed either: ${weakened}` }
  }
  if (weakened === 'succeeded') return { wrong: 'it succeeds where the kernel was said to refuse it' }
  if (walled === weakened && absences.includes(walled))
    return { wrong: `${walled} with the wall and without: what it is after may not be there` }
  return { proves: `the kernel refuses it too (${weakened})` }
}
