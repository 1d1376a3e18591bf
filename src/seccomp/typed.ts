/** A profile of our own → filter. */
import { type Abi, abiSyscalls, abisOf, arm32Private } from '../kernel/abis.js'
import type { Architecture } from '../kernel/architecture.js'
import type { CapabilityName } from '../kernel/capabilities.js'
import { type ErrnoName, errno } from '../kernel/errno.js'
import { SECCOMP } from '../kernel/flags.js'
import { type AbiFilter, everyBit, type Filter, type Rule, type Test, word } from './filterRules.js'
import {
  type ArgumentTest,
  comparisonNames,
  type SeccompAction,
  type SeccompProfile,
  type Situation,
} from './profileSchema.js'

export function filterOfProfile(
  profile: SeccompProfile,
  architecture: Architecture,
  kept: readonly CapabilityName[],
  situations: readonly Situation[],
): Filter {
  const [own, ...others] = abisOf[architecture] as readonly Abi[]
  const allowed = (profile.abis ?? []) as readonly Abi[]
  return {
    abis: [own!, ...others.filter((abi) => allowed.includes(abi))].map((abi) =>
      abiFilter(profile, abi, kept, situations),
    ),
    foreign: SECCOMP.RET_KILL_PROCESS,
  }
}

function abiFilter(
  profile: SeccompProfile,
  abi: Abi,
  kept: readonly CapabilityName[],
  situations: readonly Situation[],
): AbiFilter {
  const numbers = abiSyscalls(abi)
  const otherwise = actionValue(profile.default)
  const rules = new Map<number, Rule[]>()
  for (const { calls, when, capability, where, do: action } of profile.rules) {
    if (capability !== undefined && !kept.includes(capability)) continue
    if (where !== undefined && !situations.includes(where)) continue
    const rule = { tests: (when ?? []).map(testOf), action: actionValue(action) }
    for (const name of calls) {
      const number = numbers.get(name)
      if (number === undefined) continue
      const earlier = rules.get(number)
      if (earlier === undefined) rules.set(number, [rule])
      // What follows a rule that always fits is never reached.
      else if (earlier.at(-1)!.tests.length > 0) earlier.push(rule)
    }
  }
  return {
    abi,
    rules,
    otherwise,
    newest: Math.max(...[...numbers.values()].filter((number) => number < arm32Private || abi === 'x32')),
    newer: profile.newer === undefined ? newerAction(otherwise) : actionValue(profile.newer),
  }
}

/** ENOSYS instead of any other errno: the C library then tries an older call; everything else stays as it is. */
export function newerAction(otherwise: number): number {
  return otherwise >>> 16 === SECCOMP.RET_ERRNO >>> 16 ? SECCOMP.RET_ERRNO | errno.ENOSYS : otherwise
}

function actionValue(action: SeccompAction): number {
  if (typeof action === 'object')
    return 'errno' in action ? SECCOMP.RET_ERRNO | numberOf(action.errno) : SECCOMP.RET_TRACE | action.trace
  return simpleActions[action]
}
/** 0 is what a call answers that is not made, and says that it was. */
const numberOf = (name: ErrnoName | 0) => (name === 0 ? 0 : errno[name])
const simpleActions = {
  allow: SECCOMP.RET_ALLOW,
  log: SECCOMP.RET_LOG,
  trap: SECCOMP.RET_TRAP,
  kill: SECCOMP.RET_KILL_PROCESS,
  killThread: SECCOMP.RET_KILL_THREAD,
} as const

type Comparison = (typeof comparisonNames)[number]
/** `not ≥` is `<`. */
const comparisons: Record<Comparison, Pick<Test, 'op' | 'negate'>> = {
  eq: { op: 'in', negate: false },
  ne: { op: 'in', negate: true },
  in: { op: 'in', negate: false },
  notIn: { op: 'in', negate: true },
  gt: { op: 'gt', negate: false },
  le: { op: 'gt', negate: true },
  ge: { op: 'ge', negate: false },
  lt: { op: 'ge', negate: true },
}

function testOf(test: ArgumentTest): Test {
  const name = comparisonNames.find((one) => one in test)!
  const given = (test as Partial<Record<Comparison, number | string | readonly (number | string)[]>>)[name]!
  return {
    arg: test.arg,
    mask: test.mask === undefined ? everyBit : word(test.mask)!,
    ...comparisons[name],
    values: (Array.isArray(given) ? given : [given]).map((one: number | string) => word(one)!),
  }
}
