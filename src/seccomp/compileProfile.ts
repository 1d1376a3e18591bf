/** Profiles → filters that the kernel loads. */
import type { Architecture } from '../kernel/architecture.js'
import type { CapabilityName } from '../kernel/capabilities.js'
import { type Filter, refusesAlways, refusesIn } from './filterRules.js'
import { filterOfOci, flagsOfOci } from './oci.js'
import type { OciProfile, ProfileName, SeccompProfile, Situation } from './profileSchema.js'
import { defaultProfile } from './profiles/default.js'
import { nestedProfile } from './profiles/nested.js'
import { strictProfile } from './profiles/strict.js'
import { assembleFilter } from './searchTree.js'
import { filterOfProfile } from './typed.js'

export type Seccomp = ProfileName | SeccompProfile | OciProfile

export interface SeccompOptions {
  readonly architecture: Architecture
  /** What the payload keeps; default: none. */
  readonly capabilities?: readonly CapabilityName[]
  /** What the sandbox is, for rules that are only for such; default: nothing special. */
  readonly situations?: readonly Situation[]
  /** The release of the kernel that the filter is for, which an OCI profile may ask about. */
  readonly kernel: string
}

export interface CompiledSeccomp {
  /** An array of struct sock_filter. */
  readonly program: Uint8Array
  /** For seccomp(2): SECCOMP_FILTER_FLAG_…. */
  readonly flags: number
  /** Whether no key can be reached, by any ABI: add_key(2), keyctl(2), request_key(2). */
  readonly refusesKeys: boolean
  /** Whether execve(2) always fails, and so no command can be started. */
  readonly refusesExecution: boolean
}

/** The profiles that `seccomp` of a policy names, by their names. */
export const profiles: Readonly<Record<Exclude<ProfileName, 'none'>, SeccompProfile>> = {
  default: defaultProfile,
  strict: strictProfile,
  nested: nestedProfile,
}

const keyCalls = ['add_key', 'keyctl', 'request_key']

const compiled = new WeakMap<object, Map<string, CompiledSeccomp>>()

/**
 * The filter of a checked profile; undefined for `none`. A profile that was compiled before is not compiled again.
 * @throws {FilterTooLong}
 */
export function compileSeccomp(seccomp: Seccomp, options: SeccompOptions): CompiledSeccomp | undefined {
  if (seccomp === 'none') return undefined
  const profile = typeof seccomp === 'string' ? profiles[seccomp] : seccomp
  const capabilities = options.capabilities ?? []
  const key = [options.architecture, options.kernel, ...[...capabilities, ...(options.situations ?? [])].sort()].join(
    ' ',
  )
  let known = compiled.get(profile)
  if (known === undefined) {
    known = new Map()
    compiled.set(profile, known)
  }
  let result = known.get(key)
  if (result === undefined) {
    const flags = 'defaultAction' in profile ? flagsOfOci(profile) : 0
    const filter = filterOf(profile, { ...options, capabilities })
    result = {
      program: assembleFilter(filter),
      flags,
      refusesKeys: refusesAlways(filter, keyCalls),
      refusesExecution: refusesIn(filter, options.architecture, 'execve'),
    }
    known.set(key, result)
  }
  return result
}

/** The rules of a profile, before they are code. */
export function filterOf(
  profile: SeccompProfile | OciProfile,
  { architecture, capabilities = [], situations = [], kernel }: SeccompOptions,
): Filter {
  return 'defaultAction' in profile
    ? filterOfOci(profile, { architecture, capabilities, kernel })
    : filterOfProfile(profile, architecture, capabilities, situations)
}
