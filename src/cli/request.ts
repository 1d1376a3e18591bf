/** What `vial run` compiles from, as one text: the same text, the same vial. So a vial is found before the compiler is loaded. */
import { release } from 'node:os'
import { dirname, resolve } from 'node:path'
import { hostNames, nameFiles, sharesNetwork } from '../policy/fill/network.js'
import { heldBy } from '../policy/fill/root.js'
import { systemEntries } from '../policy/fill/system.js'
import { layersOf, showsRoot } from '../policy/overRoot.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import { keptOver, trustedPaths } from '../run/kept.js'
import { otherNames } from '../run/otherNames.js'
import type { PolicyFlags } from './options.js'
import { entryOf } from './sources.js'
import type { Texts } from './texts.js'
import { trustedBy } from './trusted.js'

export interface Request {
  readonly key: string
  /** Whether the command stays in the session of the terminal. */
  readonly sharesSession: boolean
}

/** Set by build/bundle.js: which code compiles. The modules themselves do not know. */
declare const bundledBuild: string

/** Flags and keys of a policy that say everything themselves. Any other is compiled each time: what `fill` shows, for example. */
const plainFlags: readonly string[] = [
  ...['policy', 'preset', 'shown', 'env', 'network', 'hostname', 'cwd', 'uid', 'gid', 'share-session', 'root'],
]
/** These are not about the sandbox. */
const runFlags: readonly string[] = ['timeout', 'verdict', 'report']
const plainKeys: readonly string[] = [
  ...[
    'preset',
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
export function requestOf(flags: PolicyFlags, texts: Texts): Request | undefined {
  if (typeof bundledBuild === 'undefined') return undefined
  const shown = Object.entries(flags).filter(([name]) => !runFlags.includes(name))
  if (shown.some(([name]) => !plainFlags.includes(name))) return undefined
  try {
    const text = flags.policy === undefined ? undefined : texts.read(flags.policy)
    const policy = (text === undefined ? {} : JSON.parse(text)) as Policy
    if (Object.keys(policy).some((name) => !plainKeys.includes(name))) return undefined
    // These are looked up in /etc/subuid.
    if (policy.identity?.ranges === 'subids') return undefined
    const preset = flags.preset ?? (text === undefined ? 'system' : policy.preset)
    const filesystem = [
      ...(policy.filesystem ?? []),
      ...(flags.shown ?? []).map(({ name, value }) => entryOf[name](value)),
    ]
    const base = flags.policy === undefined ? process.cwd() : dirname(resolve(flags.policy))
    const kept = keptOf(flags, filesystem, base)
    if (kept === undefined) return undefined
    const key = JSON.stringify([
      bundledBuild,
      process.arch,
      // The filter of system calls is for one kernel.
      release(),
      [process.getuid!(), process.geteuid!(), process.getgid!(), process.getegid!()],
      process.cwd(),
      shown,
      text === undefined ? null : [text, base],
      preset === 'system' ? systemEntries() : null,
      sharesNetwork({ ...policy, ...(flags.network === 'host' ? { network: flags.network } : {}) })
        ? [nameFiles(), hostNames()]
        : null,
      showsRoot({ filesystem }) ? heldBy(layersOf(filesystem[0]!, base)) : null,
      kept,
    ])
    return { key, sharesSession: flags['share-session'] === true || policy.session === 'host' }
  } catch {
    return undefined
  }
}

/**
 * What of the host is laid over writable entries: other links, another place of vial, another vial. Undefined: a read-only
 * entry has another name, which is an error.
 */
function keptOf(flags: PolicyFlags, filesystem: readonly FilesystemEntry[], base: string): unknown {
  if (otherNames(filesystem, base).length > 0) return undefined
  return [...keptOver({ filesystem: [...filesystem] }, base, () => trustedPaths(trustedBy(flags)))].map(
    ([, kept]) => kept,
  )
}
