/** Presets and fill: a policy that says "a system" or "what python3 needs" becomes one that lists every entry. */
import { identityOf } from '../policy/identity.js'
import { faultAt } from '../policy/keys.js'
import { normal, usualPath } from '../policy/path.js'
import type { Entry, FilesystemEntry, Policy } from '../policy/schema.js'
import { PolicyError } from '../text/error.js'
import { accountFiles } from './accounts.js'
import { CannotFill, closure } from './closure.js'
import { hostPath } from './findProgram.js'
import { hostNames, type NetworkChoice, resolverFiles, sharesNetwork } from './hostNames.js'
import { homeOverRoot, overRoot, showsRoot } from './overRoot.js'
import { systemEntries } from './system.js'

const home = '/home/vial'

/** What stands for `preset` and `fill`, by what is named besides. */
type Completable = NetworkChoice &
  Pick<Policy, 'preset' | 'fill' | 'filesystem' | 'identity' | 'hostname' | 'env' | 'cwd'>

/** What `preset` and `fill` of a policy stand for. */
export interface Completion {
  /** How many of the policy's own entries come before these: the root itself, where it is the first. */
  readonly at: 0 | 1
  readonly entries: readonly Entry[]
  readonly cwd: string
  readonly env: NonNullable<Policy['env']>
}

/**
 * The same policy without `preset` and `fill`: what they stand for comes before the policy's own entries, which lie
 * over it; where the first of these is the root itself, of the preset comes what belongs over a root. HOME, cwd and a few
 * variables get the values that programs expect.
 * @param base where a relative host path starts
 * @throws {PolicyError} when a program to fill with is not on this host.
 */
export const completePolicy = <Given extends Completable>(policy: Given, base = '.') =>
  completed(policy, completionOf(policy, base))

export function completed<Given extends Completable>(policy: Given, completion: Completion | undefined) {
  const { preset, fill, ...rest } = policy
  if (completion === undefined) return rest
  const { at, entries, cwd, env } = completion
  const own: readonly NonNullable<Given['filesystem']>[number][] = policy.filesystem ?? []
  return { ...rest, filesystem: [...own.slice(0, at), ...entries, ...own.slice(at)], cwd, env }
}

export function completionOf(policy: Completable, base: string): Completion | undefined {
  const { preset, fill } = policy
  if (fill === undefined && preset !== 'system') return undefined
  const programs = fill === undefined ? [] : typeof fill.program === 'string' ? [fill.program] : fill.program
  if (showsRoot(policy)) return { at: 1, entries: overRoot(policy, base), ...surroundings(policy, homeOverRoot) }
  const shown = preset === 'system' ? systemEntries() : []
  const closures = programs.length === 0 ? [] : closureOf(programs, fill?.path)
  const identity = identityOf(policy)
  const user = userOf(policy)
  const entries: Entry[] = [
    ...(mergeEntries([...shown, ...closures]) as Entry[]),
    ...(accountFiles({
      ...identity,
      user,
      group: policy.identity?.group ?? user,
      home,
      // A host without a name is localhost: hostname(5).
      hostname: policy.hostname === '' ? 'localhost' : (policy.hostname ?? 'vial'),
      shell: '/bin/sh',
      hosts: sharesNetwork(policy) ? hostNames() : '',
    }) as Entry[]),
    ...(resolverFiles(policy) as Entry[]),
    { proc: '/proc' },
    { dev: '/dev' },
    { tmpfs: '/tmp', mode: 0o1777 },
    { tmpfs: home, mode: 0o700 },
    { directory: '/run' },
    { symlink: '/var/run', to: '../run' },
    { tmpfs: '/var/tmp', mode: 0o1777 },
  ]
  const taken = new Set((policy.filesystem ?? []).filter(replaces).map(placeOf))
  return { at: 0, entries: entries.filter((entry) => !taken.has(placeOf(entry))), ...surroundings(policy, home) }
}

function surroundings(policy: Completable, home: string): Pick<Completion, 'cwd' | 'env'> {
  const user = userOf(policy)
  const path = hostPath()
  const variables = {
    ...(path === usualPath ? {} : { PATH: path }),
    ...{ HOME: home, USER: user, LOGNAME: user, LANG: 'C.UTF-8' },
  }
  return {
    cwd: policy.cwd ?? home,
    env: { ...policy.env, set: { ...withoutInherited(variables, policy), ...policy.env?.set } },
  }
}

const userOf = ({ identity }: Completable) => identity?.user ?? 'vial'

function closureOf(programs: readonly string[], path: string | undefined) {
  try {
    return closure(programs, path === undefined ? {} : { path })
  } catch (error) {
    const said = error instanceof CannotFill ? error.said : (error as Error).message
    throw new PolicyError([faultAt('fill.program', said)], { cause: error })
  }
}

/** Whether an entry stands in for what a preset has at its place, instead of changing it or perhaps not being there. */
function replaces(entry: FilesystemEntry): boolean {
  return !('readonly' in entry || 'chmod' in entry || ('bind' in entry && entry.optional === true))
}

/** A variable that the policy asks of the caller by its name is the caller's. */
function withoutInherited(variables: Record<string, string>, policy: Completable): Record<string, string> {
  const inherit = policy.env?.inherit ?? []
  return Object.fromEntries(Object.entries(variables).filter(([name]) => inherit === true || !inherit.includes(name)))
}

/** The place inside that an entry is for. */
export function placeOf(entry: object): string {
  const [place] = Object.values(entry)
  return normal(String(place))
}

/** Entries of several fills together: the first of each place, and nothing beneath a bound directory. */
function mergeEntries<Entry extends object>(entries: readonly Entry[]): Entry[] {
  const bound = entries.filter((entry) => 'bind' in entry).map(placeOf)
  const seen = new Set<string>()
  return entries.filter((entry) => {
    const place = placeOf(entry)
    if (seen.has(place) || bound.some((above) => place.startsWith(`${above}/`))) return false
    seen.add(place)
    return true
  })
}
