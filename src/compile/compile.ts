/** Policy → vial: the whole compiler in one call. */
import { release } from 'node:os'
import { resolve } from 'node:path'
import { textOf } from '../cgroup/privilege.js'
import { completed, completionOf } from '../fill/complete.js'
import { callerName, hostArchitecture } from '../host/thisHost.js'
import type { Architecture } from '../kernel/architecture.js'
import type { SubidRange } from '../plan/ids.js'
import { lowerPolicy } from '../plan/lowerPolicy.js'
import { ownRlimits } from '../plan/ownChoice.js'
import type { Plan } from '../plan/plan.js'
import { makeEntrantPlan, makePlan, type PlanOptions } from '../plan/planPolicy.js'
import type { RlimitChoice } from '../plan/specification.js'
import type { LaunchedStep } from '../plan/step.js'
import { type AcceptedPolicy, acceptPolicy } from '../policy/check.js'
import type { Own } from '../policy/ownOptions.js'
import { faultAt, key, readOnlyEntry } from '../policy/keys.js'
import { currentDirectory } from '../policy/path.js'
import type { FilesystemEntry, StrictPolicy } from '../policy/schema.js'
import { PolicyError } from '../text/error.js'
import { words } from '../text/words.js'
import { compilePlan } from './compilePlan.js'
import { requirePasta } from './findPasta.js'
import { trustedPaths } from './trustedPaths.js'
import { keptOver, otherNames, type Writable, writableEntries } from './writableEntries.js'

/** How a policy is compiled. */
export interface CompileOptions extends PlanOptions {
  /** Directory that relative host paths start from; default: the current one. */
  readonly base?: string
  /** Paths that the next run trusts, besides vial, its cache and Node.js: a writable bind that covers one does not let it be written. */
  readonly trusted?: readonly string[]
  /** Default: this machine's. */
  readonly architecture?: Architecture
  /**
   * Compiles what enters a living sandbox of this policy; default: what makes a sandbox.
   * @internal
   */
  readonly enters?: true
}

/** A compiled policy. */
export interface Compiled {
  /** The executable. */
  readonly bytes: Uint8Array
  /**
   * What it was compiled from: not part of the stable interface.
   * @internal
   */
  readonly plan: Plan
  /** With what `preset` and `fill` stand for. */
  readonly policy: StrictPolicy
  /**
   * The steps by the numbers that status records use: not part of the stable interface.
   * @internal
   */
  readonly steps: readonly LaunchedStep[]
}

/**
 * Compiles a policy.
 * @throws {PolicyError} when the policy has faults.
 */
export const compile = (policy: StrictPolicy, options: CompileOptions = {}): Compiled =>
  compileAccepted(acceptPolicy(policy), options)

/** @throws {PolicyError} for faults that only this host shows. */
export function compileAccepted({ given, checked }: AcceptedPolicy, options: CompileOptions = {}): Compiled {
  const base = options.base ?? currentDirectory()
  const { filesystem = [] } = checked
  const writable = writableEntries(filesystem, base)
  refuseOtherNames(filesystem, base, writable)
  // What a preset or fill adds is never writable.
  const completion = completionOf(checked, base)
  const complete = completed(checked, completion)
  const subids = complete.identity?.ranges === 'subids' ? { subids: callerSubids() } : {}
  const kept = keptOver(writable, () => trustedPaths([...(options.trusted ?? []), ...(options.group?.bases ?? [])]))
  const architecture = options.architecture ?? hostArchitecture()
  // What enters a sandbox finds it connected.
  const pasta = checked.network === 'private' && !options.enters ? requirePasta() : undefined
  const host = { architecture, base, kernel: release(), pasta }
  const planned = { ...subids, kept, ...options }
  const entrantOf = (descriptors: PlanOptions['descriptors'] = {}) =>
    compilePlan(makeEntrantPlan(complete, host, { ...planned, pipes: [], descriptors }), { architecture }).bytes
  const plan = options.enters ? makeEntrantPlan(complete, host, planned) : makePlan(complete, host, planned)
  const entrants =
    options.living === undefined ? undefined : { alone: entrantOf(), reporting: entrantOf({ status: 1 }) }
  return {
    ...compilePlan(plan, { architecture, entrants }),
    plan,
    policy: completed(given, completion) as StrictPolicy,
  }
}

/**
 * Limits of each process that a command has of its own in a sandbox of this policy.
 * @throws {OptionError} for one that is higher than the policy's
 */
export function rlimitsOfOwn({ checked }: AcceptedPolicy, base: string, own: Own): readonly RlimitChoice[] {
  const host = { architecture: hostArchitecture(), base, kernel: release() }
  return ownRlimits(lowerPolicy(checked, host, { outputIsWatched: true }), checked, own)
}

function refuseOtherNames(filesystem: readonly FilesystemEntry[], base: string, writable: readonly Writable[]): void {
  const faults = otherNames(filesystem, base, writable).map(({ index, by, place, real, seen }) => {
    const covers = readOnlyEntry(
      { bind: seen, ...(seen === real ? {} : { from: real }) },
      seen === real ? real : `${real}:${seen}`,
    )
    const only = readOnlyEntry({ bind: place, from: resolve(base, place) }, `${resolve(base, place)}:${place}`)
    return faultAt(
      `filesystem[${index}].bind`,
      words`${key(`filesystem[${by}]`)} leaves it writable at ${seen}: write ${covers} behind that, or ${only} if only this place is meant`,
    )
  })
  if (faults.length > 0) throw new PolicyError(faults)
}

/** The caller's lines of subuid(5) and subgid(5). */
function callerSubids(): { uids: SubidRange[]; gids: SubidRange[] } {
  const username = callerName()
  const read = (path: string) => {
    const ranges = textOf(path)
      .split('\n')
      .flatMap((line) => {
        const [name, start, count] = line.split(':')
        return name === username || name === String(process.getuid!())
          ? [{ start: Number(start), count: Number(count) }]
          : []
      })
    if (ranges.length === 0)
      throw new PolicyError([
        faultAt(
          'identity.ranges',
          `${username} has no range in ${path}; add one with: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
        ),
      ])
    return ranges
  }
  return { uids: read('/etc/subuid'), gids: read('/etc/subgid') }
}
