/** Flags and a policy file → a policy. */
import { dirname, resolve } from 'node:path'
import { ownOverRoot } from '../fill/overRoot.js'
import { type AcceptedPolicy, acceptPolicy, checkPolicy } from '../policy/check.js'
import { isWithin, normal } from '../policy/path.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import { profileNames } from '../seccomp/profileSchema.js'
import { didYouMean } from '../text/closest.js'
import { VialError } from '../text/error.js'
import type { Names } from '../text/words.js'
import { UsageError } from './commandLine.js'
import { withVariables } from './environmentFlags.js'
import { jsonFault } from './json.js'
import { namesIn, type Origin, TypedNames } from './names.js'
import { fileFault } from './obstacle.js'
import { entryOf } from './pathFlags.js'
import { type Option, type PolicyFlags, policyOptions } from './policyFlags.js'
import { put, settingsOf } from './settings.js'
import { Texts } from './texts.js'
import { isProfile } from './trusted.js'
import { withDestinations } from './networkFlags.js'

/** An entry, and the flag that it comes from as it was typed. */
interface Shown {
  readonly flag: string
  readonly entry: FilesystemEntry
}

/** Where a policy is looked for besides its flags. */
export interface Sources {
  /** A policy file that is named without a flag. */
  readonly named?: string | undefined
  /** The flags of the command; default: those that all have. */
  readonly options?: readonly Option[]
  /** What was read of the files before. */
  readonly texts?: Texts
}

/**
 * The policy that a policy file and flags describe, checked; host paths in it are absolute.
 * @throws {UsageError} when flags contradict each other
 * @throws {PolicyError} whose faults name the flag or the file
 */
export const policyFromFlags = (flags: PolicyFlags, sources?: Sources): AcceptedPolicy =>
  speaking(flags, sources, (policy) => policy)

/**
 * Does something with that policy.
 * @throws {VialError} whose message speaks of what was typed, whatever it is about
 */
export function speaking<Value>(
  flags: PolicyFlags,
  sources: Sources | undefined,
  action: (policy: AcceptedPolicy, names: Names) => Value,
): Value {
  const { policy, names } = describe(flags, sources)
  try {
    return action(acceptPolicy(policy), names)
  } catch (error) {
    throw error instanceof VialError ? error.speak(names) : error
  }
}

/** How to speak of that policy. */
export const namesFor = (flags: PolicyFlags, sources?: Sources): Names => describe(flags, sources).names

function describe(
  flags: PolicyFlags,
  { named, options = policyOptions, texts = new Texts() }: Sources = {},
): { readonly policy: object; readonly names: Names } {
  if (named !== undefined && flags.policy !== undefined)
    throw new UsageError(`two policies are given: ${named} and --policy ${flags.policy}`)
  const path = named ?? flags.policy
  const file = path === undefined ? undefined : { path: nameOf(path), policy: readPolicy(path, texts) }
  const { policy, origins } = merge(file?.policy ?? {}, flags, options, texts)
  const filled = file !== undefined || flags.fill !== undefined || flags.preset !== undefined
  return {
    policy: filled ? policy : { ...policy, preset: 'system' },
    names: new TypedNames(options, origins, file),
  }
}

/** A policy with what the flags say; and which flag says what. */
function merge(file: Policy, flags: PolicyFlags, options: readonly Option[], texts: Texts) {
  const origins = new Map<string, Origin>()
  let policy: object = file
  for (const { flag, path, value, typed } of settingsOf(flags, options)) {
    const isFile = path === 'seccomp' && !isProfile(String(value))
    policy = put(policy, path, isFile ? profileIn(String(value), texts) : value)
    origins.set(path, { typed, name: `--${flag}`, isFile })
  }
  if (flags.fill !== undefined) policy = { ...policy, fill: { program: [...flags.fill] } }
  for (const [index, program] of (flags.fill ?? []).entries())
    origins.set(`fill.program[${index}]`, { typed: `--fill ${program}`, name: '--fill' })
  policy = withDestinations(policy, flags, (key, origin) => origins.set(key, origin))
  // In the order given: each lies over those before it.
  const shown = (flags.shown ?? []).map(({ name, value }): Shown => {
    return { flag: `--${name} ${value}`, entry: entryOf[name](value) }
  })
  refuseContradictions(flags, file, shown)
  const before = file.filesystem ?? []
  for (const [index, { flag }] of shown.entries()) origins.set(`filesystem[${before.length + index}]`, { typed: flag })
  const cwd = flags.cwd ?? file.cwd ?? (isShown(process.cwd(), shown) ? process.cwd() : undefined)
  policy = {
    ...policy,
    filesystem: [...before, ...shown.map(({ entry }) => entry)],
    ...(cwd === undefined ? {} : { cwd }),
    env: withVariables({ inherit: ['TERM'], ...file.env }, flags.env, (key, typed) => origins.set(key, { typed })),
  }
  return { policy, origins }
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

/** What `<(…)` gives is a number to the shell only. */
const nameOf = (path: string) => (/^\/(dev|proc)\//.test(path) ? 'the policy' : path)

/** Reads and checks a policy file; its relative host paths start from its directory. */
function readPolicy(path: string, texts: Texts): Policy {
  let text: string
  try {
    text = texts.read(path)
  } catch (error) {
    throw new UsageError(`cannot read the policy ${path}: ${fileFault(error, path, 'read')}`)
  }
  const policy = inFile(nameOf(path), () => checkPolicy(parsed(text, path)))
  const { filesystem } = policy
  if (filesystem === undefined) return policy
  const base = dirname(resolve(path))
  return { ...policy, filesystem: filesystem.map((entry) => fromBase(entry, (host) => resolve(base, host))) }
}

/** An entry whose paths of the host are absolute. */
function fromBase(entry: FilesystemEntry, absolute: (host: string) => string): FilesystemEntry {
  if ('bind' in entry)
    return entry.fd === undefined && entry.from !== undefined ? { ...entry, from: absolute(entry.from) } : entry
  if (!('overlay' in entry)) return entry
  const upper =
    typeof entry.upper === 'object'
      ? { upper: { upper: absolute(entry.upper.upper), work: absolute(entry.upper.work) } }
      : {}
  return { ...entry, lower: entry.lower.map(absolute), ...upper }
}

function inFile<Value>(path: string, action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    throw error instanceof VialError ? error.speak(namesIn(path)) : error
  }
}

/** The profile in a file of this path. */
function profileIn(path: string, texts: Texts): unknown {
  let text: string
  try {
    text = texts.read(path)
  } catch (error) {
    const near = didYouMean(path, profileNames)
    const fault = near === '' ? `, or a profile in a file: ${fileFault(error, path, 'read')}` : near
    throw new UsageError(`--seccomp ${path}: must be one of ${profileNames.join(', ')}${fault}`)
  }
  return parsed(text, path)
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
