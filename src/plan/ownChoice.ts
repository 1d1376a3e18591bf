/** What a command that enters a sandbox has of its own, in its specification: never more than the sandbox's own command could have. */
import type { CapabilityName } from '../kernel/capabilities.js'
import { RLIM_INFINITY } from '../kernel/rlimits.js'
import type { AnySyscallName } from '../kernel/abis.js'
import { setting } from '../policy/keys.js'
import { limitRows } from '../policy/limitRows.js'
import { type OwnLimitName, ownLimits } from '../policy/limits.js'
import type { Own } from '../policy/ownOptions.js'
import type { CheckedPolicy } from '../policy/schema.js'
import { letsThrough } from '../seccomp/answer.js'
import { Fault, OptionError } from '../text/error.js'
import { type Said, words } from '../text/words.js'
import { rlimitsOf } from './lowerLimits.js'
import type { RlimitChoice, Specification } from './specification.js'
import type { MapLine } from './step.js'

/** @throws {OptionError} for an id that it could not take, and for a limit that is higher than the sandbox's */
export function withOwn(specification: Specification, policy: CheckedPolicy, own: Own): Specification {
  const { ids, hardening, limits } = specification
  for (const name of ['uid', 'gid'] as const)
    if (own[name] !== undefined && own[name] !== ids[name]) refuse(name, idFault(name, own[name], specification))
  const lower = own.limits ?? {}
  for (const name of ownLimits) refuse(`limits.${name}`, limitFault(name, lower, specification, policy))
  const changed = rlimitsOf(lower, 'the limits of this command, for each process')
  return {
    ...specification,
    ids: { ...ids, uid: own.uid ?? ids.uid, gid: own.gid ?? ids.gid },
    hardening: {
      ...hardening,
      rlimits: [
        ...hardening.rlimits.filter(({ name }) => !changed.some((one) => one.name === name)),
        ...changed.map((one) => ({ ...one, hard: least(one.hard, hardOf(one.name, specification)) })),
      ],
    },
    limits: { ...limits, wallTime: lower.wallTime ?? limits.wallTime },
  }
}

/** Limits of each process that a command has of its own, in a sandbox of this specification. @throws {OptionError} as {@link withOwn} */
export function ownRlimits(specification: Specification, policy: CheckedPolicy, own: Own): readonly RlimitChoice[] {
  const named = rlimitsOf(own.limits ?? {}, '')
  const { rlimits } = withOwn(specification, policy, own).hardening
  return rlimits.filter(({ name }) => named.some((one) => one.name === name))
}

function refuse(path: string, said: Said | undefined): void {
  if (said !== undefined) throw OptionError.at(new Fault(path, said))
}

interface Kind {
  readonly map: 'uids' | 'gids'
  /** By which a process takes another one: credentials(7). */
  readonly capability: CapabilityName
  readonly calls: readonly AnySyscallName[]
}

const kinds: Readonly<Record<'uid' | 'gid', Kind>> = {
  uid: { map: 'uids', capability: 'CAP_SETUID', calls: ['setuid', 'setreuid', 'setresuid'] },
  gid: { map: 'gids', capability: 'CAP_SETGID', calls: ['setgid', 'setregid', 'setresgid'] },
}

/** Of another id than the policy's: what the sandbox's own command lacks to become it. */
function idFault(name: 'uid' | 'gid', asked: number, { ids, namespaces, hardening }: Specification): Said | undefined {
  const { map, capability, calls } = kinds[name]
  const has = rangesOf(ids.map[map])
  // Of a namespace that is joined the kernel knows the map, and in the host's there is each.
  if (namespaces.user.make !== 'no' && !has.some(([first, last]) => first <= asked && asked <= last))
    return `must be an id that the sandbox has: ${has.map(([first, last]) => (first === last ? first : `${first} to ${last}`)).join(', ')}`
  const keep = hardening.capabilities?.keep ?? []
  if ('without' in keep || !keep.includes(capability))
    return words`is not the sandbox's: its own command could become it only with ${setting('capabilities', [capability])} in the policy`
  const { filter } = hardening
  if (filter !== undefined && !calls.some((call) => letsThrough(filter.program, call, [asked, asked, asked])))
    return `is not the sandbox's: its filter of system calls refuses ${calls[0]}(2)`
  return undefined
}

/** First and last of each; what follows on another is one with it. */
function rangesOf(lines: readonly MapLine[]): readonly (readonly [number, number])[] {
  const ranges: [first: number, last: number][] = []
  const known = lines.flatMap(({ inside, count }) => (inside === 'caller' ? [] : [{ inside, count }]))
  for (const { inside, count } of known.sort((a, b) => a.inside - b.inside)) {
    const before = ranges.at(-1)
    if (before !== undefined && before[1] + 1 === inside) before[1] += count
    else ranges.push([inside, inside + count - 1])
  }
  return ranges
}

function limitFault(
  name: OwnLimitName,
  { [name]: asked }: NonNullable<Own['limits']>,
  specification: Specification,
  policy: CheckedPolicy,
): Said | undefined {
  if (asked === undefined) return undefined
  const had = policy.limits?.[name]
  const { unit } = limitRows[name]
  if (had !== undefined && asked > had)
    return `must be at most ${unit === 'time' ? `${had / 1000}s` : had}, as the sandbox has it`
  const [rlimit] = rlimitsOf({ [name]: asked }, '')
  if (rlimit === undefined) return undefined
  const hard = hardOf(rlimit.name, specification)
  if (rlimit.soft > hard) return `must be at most ${hard}, as the sandbox has it`
  // See defaultRlimits of lowerPolicy.ts.
  if (name === 'core' && rlimit.soft === 0n && hard !== 0n)
    return 'must be at least 1: with 0 the kernel would call a handler of the host, core(5)'
  return undefined
}

const hardOf = (rlimit: RlimitChoice['name'], { hardening }: Specification) =>
  hardening.rlimits.find(({ name }) => name === rlimit)?.hard ?? RLIM_INFINITY

const least = (one: bigint, other: bigint) => (one < other ? one : other)
