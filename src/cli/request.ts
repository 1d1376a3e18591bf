/** What `vial run` compiles from, as one text: the same text, the same vial. So a vial is found before the compiler is loaded. */
import { dirname, resolve } from 'node:path'
import { hostFacts } from '../compile/hostFacts.js'
import type { NetworkWord } from '../policy/networkSchema.js'
import type { Policy } from '../policy/schema.js'
import type { Limiter } from '../run/limiter.js'
import type { Stdio } from '../run/stdio.js'
import { entryOf } from './pathFlags.js'
import { type Option, type RunFlags, runOptions } from './policyFlags.js'
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

/** By the names that their values have: a list has one for all its flags. */
const options: ReadonlyMap<string, Option> = new Map(runOptions.map((one: Option) => [one.list ?? one.name, one]))
/** What of the flags is about the sandbox. */
const aboutSandbox = (flags: RunFlags) => Object.entries(flags).filter(([name]) => !options.get(name)?.ofRun)

/** Keys of a policy that say everything themselves, with what the key has of the host. With any other it is compiled each time. */
const plainKeys = {
  ...{ preset: true, fill: true, limits: true, filesystem: true, root: true, namespaces: true, identity: true },
  ...{ hostname: true, domainname: true, env: true, cwd: true, argv0: true, umask: true, rlimits: true },
  ...{ capabilities: true, session: true, dieWithParent: true, init: true, network: true, seccomp: true },
  ...{ landlock: true, disableUserns: true, mounts: true },
} as const satisfies Readonly<Record<keyof Policy, boolean>>
const isPlain = (key: string) => Object.hasOwn(plainKeys, key) && plainKeys[key as keyof Policy]

/** Reads each file that is named once, and loads what limits need. */
export async function requesterOf(flags: RunFlags, texts: Texts): Promise<Requester> {
  const none = () => undefined
  if (typeof bundledBuild === 'undefined') return none
  const given = aboutSandbox(flags).map(([name]) => options.get(name))
  if (given.some((option) => !option?.remembered)) return none
  try {
    const text = flags.policy === undefined ? undefined : texts.read(flags.policy)
    const policy = (text === undefined ? {} : JSON.parse(text)) as Policy
    if (!Object.keys(policy).every(isPlain)) return none
    // This process is beside it then, and knows the destinations.
    if (typeof policy.network === 'object' || flags['network-log'] !== undefined) return none
    // These are looked up in /etc/subuid.
    if (policy.identity?.ranges === 'subids') return none
    const filter = flags.seccomp === undefined || isProfile(flags.seccomp) ? undefined : texts.read(flags.seccomp)
    const isLimited = policy.limits !== undefined || given.some((option) => option?.sets?.startsWith('limits.'))
    const limiter = isLimited ? (await import('./limited.js')).limiterOf(flags, policy, filter) : undefined
    return () => {
      try {
        const key = keyOf(flags, policy, { text, filter, limiter })
        if (key === undefined) return undefined
        return { key, limiter, sharesSession: sharesSession(flags, policy) }
      } catch {
        return undefined
      }
    }
  } catch {
    return none
  }
}

/** A terminal of its own is a session of its own. */
export const sharesSession = (
  flags: Pick<RunFlags, 'tty' | 'share-session'>,
  policy: Pick<Policy, 'session'>,
): boolean => flags.tty !== true && (flags['share-session'] === true || policy.session === 'host')

interface Named {
  readonly text: string | undefined
  readonly filter: string | undefined
  readonly limiter: Limiter | undefined
}

function keyOf(flags: RunFlags, policy: Policy, { text, filter, limiter }: Named): string | undefined {
  const preset = flags.preset ?? (flags.fill === undefined && text === undefined ? 'system' : policy.preset)
  const asked: Policy = {
    ...policy,
    preset: preset === 'system' ? 'system' : 'empty',
    ...(flags.network === undefined ? {} : { network: flags.network as NetworkWord }),
    filesystem: [...(policy.filesystem ?? []), ...(flags.shown ?? []).map(({ name, value }) => entryOf[name](value))],
  }
  const base = flags.policy === undefined ? process.cwd() : dirname(resolve(flags.policy))
  const group = limiter?.option()
  const facts = hostFacts(asked, base, [...trustedBy(flags), ...(group?.bases ?? [])])
  if (facts === undefined) return undefined
  return JSON.stringify([
    bundledBuild,
    process.cwd(),
    aboutSandbox(flags),
    text === undefined ? null : [text, base],
    filter ?? null,
    // Where the caller's own group is says nothing of the vial: each run opens a group, and hands on descriptors.
    group === undefined ? null : { ...group, bases: null },
    facts,
  ])
}

/** The payload's standard streams: the caller's own, except those whose bytes are counted. */
export const stdioOf = (limiter: Pick<Limiter, 'limitsOutput'> | undefined): Stdio =>
  limiter?.limitsOutput ? ['inherit', 'output', 'output'] : ['inherit', 'inherit', 'inherit']
