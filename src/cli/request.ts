/** What `vial run` compiles from, as one text: the same text, the same vial. So a vial is found before the compiler is loaded. */
import { release } from 'node:os'
import { dirname, resolve } from 'node:path'
import { trustedPaths } from '../compile/trustedPaths.js'
import { keptOver, otherNames, writableEntries } from '../compile/writableEntries.js'
import { heldBy } from '../fill/heldBy.js'
import { hostNames, nameFiles, sharesNetwork } from '../fill/hostNames.js'
import { layersOf, showsRoot } from '../fill/overRoot.js'
import { systemEntries } from '../fill/system.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import type { Limiter } from '../run/limiter.js'
import type { Stdio } from '../run/stdio.js'
import { entryOf } from './pathFlags.js'
import type { RunFlags } from './policyFlags.js'
import { limitOptions } from './settings.js'
import type { Texts } from './texts.js'
import { isProfile, trustedBy } from './trusted.js'

export interface Request {
  readonly key: string
  /** Undefined: the policy has no limits. */
  readonly limiter: Limiter | undefined
  /** Whether the command stays in the session of the terminal. */
  readonly sharesSession: boolean
}

/** The request as the host is now. Undefined: it cannot be told before compiling, or the policy has faults to report. */
export type Requester = () => Request | undefined

/** Set by build/bundle.js: which code compiles. The modules themselves do not know. */
declare const bundledBuild: string

const limitFlags: readonly string[] = limitOptions.map(({ name }) => name)
/** Flags and keys of a policy that say everything themselves, with what the key has of the host. Any other is compiled each time. */
const plainFlags: readonly string[] = [
  ...['policy', 'preset', 'fill', 'shown', 'env', 'network', 'hostname', 'cwd', 'uid', 'gid', 'share-session', 'root'],
  ...['seccomp', ...limitFlags],
]
/** These are not about the sandbox. */
const runFlags: readonly string[] = ['timeout', 'verdict', 'report']
const plainKeys: readonly string[] = [
  ...[
    'preset',
    'fill',
    'limits',
    'filesystem',
    'root',
    'namespaces',
    'identity',
    'hostname',
    'domainname',
    'env',
    'cwd',
    'argv0',
    'umask',
  ],
  ...['rlimits', 'capabilities', 'session', 'dieWithParent', 'init', 'network', 'seccomp', 'landlock', 'disableUserns'],
]

/** Reads each file that is named once, and loads what limits need. */
export async function requesterOf(flags: RunFlags, texts: Texts): Promise<Requester> {
  const none = () => undefined
  if (typeof bundledBuild === 'undefined') return none
  const shown = Object.entries(flags).filter(([name]) => !runFlags.includes(name))
  if (shown.some(([name]) => !plainFlags.includes(name))) return none
  try {
    const text = flags.policy === undefined ? undefined : texts.read(flags.policy)
    const policy = (text === undefined ? {} : JSON.parse(text)) as Policy
    if (Object.keys(policy).some((name) => !plainKeys.includes(name))) return none
    // These are looked up in /etc/subuid.
    if (policy.identity?.ranges === 'subids') return none
    const filter = flags.seccomp === undefined || isProfile(flags.seccomp) ? undefined : texts.read(flags.seccomp)
    const isLimited = policy.limits !== undefined || shown.some(([name]) => limitFlags.includes(name))
    const limiter = isLimited ? (await import('./limited.js')).limiterOf(flags, policy, filter) : undefined
    return () => {
      try {
        const key = keyOf(flags, policy, { text, filter, limiter })
        if (key === undefined) return undefined
        return { key, limiter, sharesSession: flags['share-session'] === true || policy.session === 'host' }
      } catch {
        return undefined
      }
    }
  } catch {
    return none
  }
}

interface Named {
  readonly text: string | undefined
  readonly filter: string | undefined
  readonly limiter: Limiter | undefined
}

function keyOf(flags: RunFlags, policy: Policy, { text, filter, limiter }: Named): string | undefined {
  const preset = flags.preset ?? (flags.fill === undefined && text === undefined ? 'system' : policy.preset)
  const filesystem = [
    ...(policy.filesystem ?? []),
    ...(flags.shown ?? []).map(({ name, value }) => entryOf[name](value)),
  ]
  const base = flags.policy === undefined ? process.cwd() : dirname(resolve(flags.policy))
  const group = limiter?.option()
  const kept = keptOf(flags, filesystem, base, group?.bases ?? [])
  if (kept === undefined) return undefined
  return JSON.stringify([
    bundledBuild,
    process.arch,
    // The filter of system calls is for one kernel.
    release(),
    [process.getuid!(), process.geteuid!(), process.getgid!(), process.getegid!()],
    process.cwd(),
    Object.entries(flags).filter(([name]) => !runFlags.includes(name)),
    text === undefined ? null : [text, base],
    preset === 'system' ? systemEntries() : null,
    sharesNetwork({ ...policy, ...(flags.network === 'host' ? { network: flags.network } : {}) })
      ? [nameFiles(), hostNames()]
      : null,
    showsRoot({ filesystem }) ? heldBy(layersOf(filesystem[0]!, base)) : null,
    filter ?? null,
    // Where the caller's own group is says nothing of the vial: each run opens a group, and hands on descriptors.
    group === undefined ? null : { ...group, bases: null },
    kept,
  ])
}

/** The payload's standard streams: the caller's own, except those whose bytes are counted. */
export const stdioOf = (limiter: Pick<Limiter, 'limitsOutput'> | undefined): Stdio =>
  limiter?.limitsOutput ? ['inherit', 'output', 'output'] : ['inherit', 'inherit', 'inherit']

/**
 * What of the host is laid over writable entries: other links, another place of vial, another vial. Undefined: a read-only
 * entry has another name, which is an error.
 */
function keptOf(
  flags: RunFlags,
  filesystem: readonly FilesystemEntry[],
  base: string,
  bases: readonly string[],
): unknown {
  const writable = writableEntries(filesystem, base)
  if (otherNames(filesystem, base, writable).length > 0) return undefined
  return [...keptOver(writable, () => trustedPaths([...trustedBy(flags), ...bases])).values()]
}
