/** Flags and a policy file → a policy. */
import { dirname, resolve } from 'node:path'
import { ownOverRoot } from '../policy/overRoot.js'
import { isWithin, normal } from '../policy/path.js'
import type { LimitsPolicy } from '../policy/limitsSchema.js'
import { otherNames } from '../run/otherNames.js'
import { checkPolicy } from '../policy/check.js'
import { PolicyError } from '../text/error.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import { profileNames } from '../seccomp/schema.js'
import { didYouMean } from '../text/closest.js'
import { jsonFault } from './json.js'
import { limitOfFlag, limitsFromFlags } from './limits.js'
import { fileFault } from './obstacle.js'
import type { PolicyFlags } from './options.js'
import { UsageError } from './parse.js'
import { entryOf } from './sources.js'
import { Texts } from './texts.js'

/** An entry, and the flag that it comes from as it was typed. */
interface Shown {
  readonly flag: string
  readonly entry: FilesystemEntry
}

/**
 * The policy that a policy file and flags describe, checked; host paths in it are absolute.
 * @param limits of flags that only one command has
 * @param texts what was read of the files before
 * @throws {UsageError} when flags contradict each other
 * @throws {PolicyError} whose faults name the flag or the file
 */
export function policyFromFlags(
  flags: PolicyFlags,
  named?: string,
  limits: LimitsPolicy = {},
  texts = new Texts(),
): Policy {
  if (named !== undefined && flags.policy !== undefined)
    throw new UsageError(`two policies are given: ${named} and --policy ${flags.policy}`)
  const from = named ?? flags.policy
  const file: Policy = from === undefined ? {} : readPolicy(from, texts)
  // In the order given: each lies over those before it.
  const shown = (flags.shown ?? []).map(({ name, value }): Shown => {
    return { flag: `--${name} ${value}`, entry: entryOf[name](value) }
  })
  refuseContradictions(flags, file, shown)
  const cwd = flags.cwd ?? file.cwd ?? (isShown(process.cwd(), shown) ? process.cwd() : undefined)
  const variables = (flags.env ?? []).map((flag) => flag.split(/=(.*)/s) as [string, string?])
  const ready = flags.fill !== undefined || from !== undefined
  const preset = flags.preset ?? (ready ? undefined : 'system')
  const policy = {
    ...file,
    ...(preset === undefined ? {} : { preset }),
    ...(flags.fill === undefined ? {} : { fill: { program: [...flags.fill] } }),
    filesystem: [...(file.filesystem ?? []), ...shown.map(({ entry }) => entry)],
    ...(flags.network === undefined ? {} : { network: flags.network }),
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(flags['share-session'] ? { session: 'host' } : {}),
    ...(flags.seccomp === undefined ? {} : { seccomp: seccompOf(flags.seccomp, texts) }),
    ...limitsFromFlags(flags, { ...file.limits, ...limits }),
    ...(flags.root ? { namespaces: { ...file.namespaces, user: 'host' } } : {}),
    identity: {
      ...file.identity,
      ...(flags.uid === undefined ? {} : { uid: flags.uid }),
      ...(flags.gid === undefined ? {} : { gid: flags.gid }),
    },
    env: {
      ...file.env,
      set: { ...file.env?.set, ...Object.fromEntries(variables.filter(([, value]) => value !== undefined)) },
      inherit:
        file.env?.inherit === true
          ? true
          : [
              ...(file.env?.inherit ?? ['TERM']),
              ...variables.filter(([, value]) => value === undefined).map(([name]) => name),
            ],
    },
  }
  // What it says of an order is clearer than a place that is writable.
  const checked = check(policy, (fault) => nameFlag(fault, flags, shown, file.filesystem?.length ?? 0))
  refuseOtherNames(policy.filesystem, shown, file.filesystem?.length ?? 0)
  return checked
}

function check(policy: unknown, name: (fault: string) => string): Policy {
  try {
    return checkPolicy(policy)
  } catch (error) {
    throw error instanceof PolicyError ? new PolicyError(error.faults.map(name)) : error
  }
}

function refuseContradictions(flags: PolicyFlags, file: Policy, shown: readonly Shown[]): void {
  if (flags.fill !== undefined && (flags.preset ?? file.preset) === 'system')
    throw new UsageError(
      '--fill shows only what a program needs, and the preset system shows all programs: leave one of them out',
    )
  const places = new Map<string, string>()
  for (const { flag, entry } of shown) {
    const place = normal(String(Object.values(entry)[0]))
    const other = places.get(place)
    if (other !== undefined) throw new UsageError(`${other} and ${flag} are for the same place inside, ${place}`)
    places.set(place, flag)
  }
}

/**
 * Flags have a sentence of their own; a policy's entries have {@link compile}'s.
 * @throws {UsageError} that names what to write
 */
function refuseOtherNames(entries: readonly FilesystemEntry[], shown: readonly Shown[], before: number): void {
  for (const { index, by, place, real, seen } of otherNames(entries, process.cwd())) {
    const flag = shown[index - before]?.flag
    if (flag === undefined) continue
    const writable = shown[by - before]?.flag ?? `filesystem[${by}]`
    throw new UsageError(
      `${flag}: ${writable} leaves it writable at ${seen}: write --ro ${real}${seen === real ? '' : `:${seen}`} behind that, or ${flag}:${place} if only this place is meant`,
    )
  }
}

/** `filesystem[2].tmpfs: …` → `--tmpfs scratch: …`. */
function nameFlag(fault: string, flags: PolicyFlags, shown: readonly Shown[], before: number): string {
  const named = fault.replace(
    /filesystem\[(\d+)\](?:\.\w+)?/g,
    (path, index) => shown[Number(index) - before]?.flag ?? path,
  )
  if (named !== fault) return named
  for (const [key, name] of flagOfKey) {
    const value = flags[name]
    if (
      value !== undefined &&
      (fault.startsWith(`${key}:`) || fault.startsWith(`${key}.`) || fault.startsWith(`${key}[`))
    )
      return `--${name}${value === true ? '' : ` ${value}`}: ${fault.slice(fault.indexOf(': ') + 2)}`
  }
  return fault
}

const flagOfKey: readonly (readonly [string, keyof PolicyFlags])[] = [
  ['preset', 'preset'],
  ['fill', 'fill'],
  ['network', 'network'],
  ['hostname', 'hostname'],
  ['cwd', 'cwd'],
  ['identity.uid', 'uid'],
  ['identity.gid', 'gid'],
  ['env', 'env'],
  ...Object.entries(limitOfFlag).map(([flag, limit]) => [`limits.${limit}`, flag as keyof PolicyFlags] as const),
]

/** Reads and checks a policy file; its relative host paths start from its folder. */
function readPolicy(path: string, texts: Texts): Policy {
  let text: string
  try {
    text = texts.read(path)
  } catch (error) {
    throw new UsageError(`cannot read the policy ${path}: ${fileFault(error, path, 'read')}`)
  }
  const policy = check(parsed(text, path), (fault) => `${path}: ${fault}`)
  const base = dirname(resolve(path))
  const absolute = (host: string) => resolve(base, host)
  return {
    ...policy,
    filesystem: (policy.filesystem ?? []).map((entry) => {
      if ('bind' in entry)
        return entry.fd === undefined && entry.from !== undefined ? { ...entry, from: absolute(entry.from) } : entry
      if (!('overlay' in entry)) return entry
      const upper =
        typeof entry.upper === 'object'
          ? { upper: { upper: absolute(entry.upper.upper), work: absolute(entry.upper.work) } }
          : {}
      return { ...entry, lower: entry.lower.map(absolute), ...upper }
    }),
  }
}

/** The name of a profile, or what stands in a file of this path. */
function seccompOf(flag: string, texts: Texts): unknown {
  if ((profileNames as readonly string[]).includes(flag)) return flag
  let text: string
  try {
    text = texts.read(flag)
  } catch (error) {
    const near = didYouMean(flag, profileNames)
    const fault = near === '' ? `, or a profile in a file: ${fileFault(error, flag, 'read')}` : near
    throw new UsageError(`--seccomp ${flag}: must be one of ${profileNames.join(', ')}${fault}`)
  }
  return parsed(text, flag)
}

/** @throws {UsageError} that says where the text is no JSON, and what was expected there */
function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const { line, column, message } = jsonFault(text)
    throw new UsageError(`${path}:${line}:${column}: ${message}`)
  }
}

/** Whether a host path is seen at the same place inside. */
function isShown(path: string, shown: readonly Shown[]): boolean {
  return shown.some(({ entry }) => {
    if (!('bind' in entry)) return false
    const place = normal(entry.bind)
    if ((entry.from ?? place) !== place) return false
    return place === '/' ? !ownOverRoot.some((own) => isWithin(path, own)) : isWithin(path, place)
  })
}
