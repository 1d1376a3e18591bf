/** What is told of a running sandbox: what the kernel says of it, beside what its policy asked for. */

/**
 * How what was found agrees with what was asked for. `asked`: it is as asked. `stricter`: the sandbox may do less. `differs`: it may do
 * more, or something else. `untold`: the kernel does not tell it to another process, or it cannot be compared.
 */
export type Agreement = 'asked' | 'stricter' | 'differs' | 'untold'

/** What was found, or asked for: ids and limits are numbers, sets are lists, the rest is text. */
export type InspectedValue = string | number | readonly string[]

/** One thing that was looked at in a running sandbox. */
export interface InspectedFact {
  /** What it is: the name of a namespace, a place where something is mounted, a limit. */
  readonly name: string
  /** Absent: it is not there, or the kernel does not tell. */
  readonly found?: InspectedValue
  /** Absent: nothing of that kind was asked for. */
  readonly asked?: InspectedValue
  /** How the two agree. */
  readonly agreement: Agreement
}

/** A process in a running sandbox. */
export interface InspectedProcess {
  /** As it is outside. */
  readonly pid: number
  /** Its pid inside. */
  readonly inside: number
  /** `init`: vial's own pid 1. `inside`: it came to be in the sandbox. `entered`: it came from outside, as the command of an exec does. */
  readonly origin: 'init' | 'inside' | 'entered'
  /** Its arguments, which it may have changed. */
  readonly command: readonly string[]
  /** What it may do: its ids, namespaces, capabilities, filters, limits and cgroup. */
  readonly facts: readonly InspectedFact[]
}

/** A running sandbox as the kernel tells it, beside what its policy asked for. */
export interface Inspection {
  /** Absent: it has none. */
  readonly name?: string
  /** `differs`: at least one of the facts does. */
  readonly agreement: 'asked' | 'differs'
  /** Which are its own. */
  readonly namespaces: readonly InspectedFact[]
  /** Lines of its maps of ids, inside, outside and how many: user_namespaces(7). */
  readonly ids: readonly InspectedFact[]
  /** By place, in the order in which they lie over each other: what is shown there, and the flags of the mount. */
  readonly mounts: readonly InspectedFact[]
  /** Limits of all processes together, by the files of its cgroup. */
  readonly limits: readonly InspectedFact[]
  /** What was asked for, but is told to no other process. */
  readonly untold: readonly InspectedFact[]
  /** All that are in it, in the order of their pids outside. */
  readonly processes: readonly InspectedProcess[]
}

/** All facts of it. */
export const factsOf = ({ namespaces, ids, mounts, limits, untold, processes }: Omit<Inspection, 'agreement'>) => [
  ...namespaces,
  ...ids,
  ...mounts,
  ...limits,
  ...untold,
  ...processes.flatMap(({ facts }) => facts),
]

/** A fact of which each side may be missing. */
export function fact(
  name: string,
  found: InspectedValue | undefined,
  asked: InspectedValue | undefined,
  agreement: Agreement,
): InspectedFact {
  return { name, ...(found === undefined ? {} : { found }), ...(asked === undefined ? {} : { asked }), agreement }
}

/** Of a set that may be smaller than asked, but no larger. */
export function agreementOfSets(found: readonly string[], asked: readonly string[]): Agreement {
  if (found.some((one) => !asked.includes(one))) return 'differs'
  return found.length < asked.length ? 'stricter' : 'asked'
}

/** Of what may be lower than asked, but no higher. */
export function agreementOfMost(found: number | bigint, asked: number | bigint): Agreement {
  if (found > asked) return 'differs'
  return found < asked ? 'stricter' : 'asked'
}
