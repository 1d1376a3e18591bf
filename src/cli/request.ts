/** What `vial run` compiles from, as one text: the same text, the same vial. So a vial is found before the compiler is loaded. */
import { release } from 'node:os'
import { dirname, resolve } from 'node:path'
import { hostNames, nameFiles, sharesNetwork } from '../policy/fill/network.js'
import { heldBy } from '../policy/fill/root.js'
import { systemEntries } from '../policy/fill/system.js'
import type { Policy } from '../policy/schema.js'
import type { Size } from '../policy/units.js'
import { keptOver, trustedPaths } from '../run/kept.js'
import { type LimitedPolicy, Limiter } from '../run/limiter.js'
import type { Stdio } from '../run/stdio.js'
import type { RunFlags } from './attend.js'
import { limitOfFlag, limitsFromFlags } from './limits.js'
import { sidesOf } from './sources.js'
import type { Texts } from './texts.js'
import { profiles, trustedBy } from './trusted.js'

export interface Request {
  readonly key: string
  /** Of the policy's limits; none: it has none. */
  readonly limiter: Limiter | undefined
  /** Whether the command stays in the session of the terminal. */
  readonly sharesSession: boolean
}

/** Set by build/bundle.js: which code compiles. The modules themselves do not know. */
declare const bundledBuild: string

/** Flags and keys of a policy that say everything themselves, with what the key has of the host. Any other is compiled each time. */
const plainFlags: readonly string[] = [
  ...['policy', 'preset', 'fill', 'shown', 'env', 'network', 'hostname', 'cwd', 'uid', 'gid', 'share-session', 'root'],
  ...['seccomp', 'output', 'limits-optional', ...Object.keys(limitOfFlag)],
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

/** Undefined: it cannot be told beforehand, or there is something to complain about. */
export function requestOf(flags: RunFlags, texts: Texts): Request | undefined {
  if (typeof bundledBuild === 'undefined') return undefined
  const shown = Object.entries(flags).filter(([name]) => !runFlags.includes(name))
  if (shown.some(([name]) => !plainFlags.includes(name))) return undefined
  try {
    const text = flags.policy === undefined ? undefined : texts.read(flags.policy)
    const policy = (text === undefined ? {} : JSON.parse(text)) as Policy
    if (Object.keys(policy).some((name) => !plainKeys.includes(name))) return undefined
    // These are looked up in /etc/subuid.
    if (policy.identity?.ranges === 'subids') return undefined
    const filter = flags.seccomp === undefined || isProfile(flags.seccomp) ? undefined : texts.read(flags.seccomp)
    const limiter = limiterOf(flags, policy, filter)
    const group = limiter?.option(stdioOf(limiter).length + 1)
    const preset = flags.preset ?? (flags.fill === undefined && text === undefined ? 'system' : policy.preset)
    const key = JSON.stringify([
      bundledBuild,
      process.arch,
      // The filter of system calls is for one kernel.
      release(),
      [process.getuid!(), process.geteuid!(), process.getgid!(), process.getegid!()],
      process.cwd(),
      shown,
      text === undefined ? null : [text, dirname(resolve(flags.policy!))],
      preset === 'system' ? systemEntries() : null,
      sharesNetwork({ ...policy, ...(flags.network === 'host' ? { network: flags.network } : {}) })
        ? [nameFiles(), hostNames()]
        : null,
      heldBy(rootsIn(flags, policy)),
      filter ?? null,
      group === undefined ? null : { ...group, bases: null },
      keptIn(flags, policy, group?.bases ?? []),
    ])
    return { key, limiter, sharesSession: flags['share-session'] === true || policy.session === 'host' }
  } catch {
    return undefined
  }
}

/** Host directories that are shown as the root itself. */
function rootsIn(flags: RunFlags, { filesystem = [] }: Policy): string[] {
  const sides = (flags.shown ?? []).map(({ value }) => sidesOf(value)).filter(({ inside }) => resolve(inside) === '/')
  const base = flags.policy === undefined ? process.cwd() : dirname(resolve(flags.policy))
  const layers = filesystem.flatMap((one) =>
    'bind' in one && resolve(one.bind) === '/'
      ? [one.from ?? one.bind]
      : 'overlay' in one && resolve(one.overlay) === '/'
        ? one.lower
        : [],
  )
  return [...sides.map(({ from }) => from), ...layers.map((layer) => resolve(base, layer))]
}

/** The payload's standard streams: the caller's own, but those whose bytes are counted. */
export const stdioOf = (limiter: Limiter | undefined): Stdio =>
  limiter?.limitsOutput ? ['inherit', 'output', 'output'] : ['inherit', 'inherit', 'inherit']

const isProfile = (seccomp: string) => Object.hasOwn(profiles, seccomp)

/** What faults its policy may have is told when it is compiled: nothing is stored for one that has any. */
function limiterOf(flags: RunFlags, policy: Policy, filter: string | undefined): Limiter | undefined {
  const { output } = flags
  const { limits } = limitsFromFlags(flags, {
    ...policy.limits,
    ...(output === undefined ? {} : { output: output as Size }),
  })
  if (limits === undefined) return undefined
  const seccomp = filter === undefined ? (flags.seccomp ?? policy.seccomp) : JSON.parse(filter)
  return new Limiter({ ...policy, limits, ...(seccomp === undefined ? {} : { seccomp }) } as LimitedPolicy)
}

/** What of the host is laid over writable entries: other links, another place of vial, another vial. */
function keptIn(flags: RunFlags, { filesystem = [] }: Policy, bases: readonly string[]): unknown {
  const written = (flags.shown ?? []).filter(({ name }) => name === 'rw')
  const entries = written.map(({ value }) => ({ bind: '/', from: sidesOf(value).from, writable: true }))
  const base = flags.policy === undefined ? process.cwd() : dirname(resolve(flags.policy))
  return [
    ...keptOver({ filesystem: [...filesystem, ...entries] }, base, () => trustedPaths([...trustedBy(flags), ...bases])),
  ].map(([, kept]) => kept)
}
