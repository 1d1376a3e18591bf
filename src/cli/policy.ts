/** Flags and a policy file → a policy. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type LimitFlags, limitsFromFlags } from './limits.js'
import { checkPolicy, type FilesystemEntry, type Policy } from '../policy/schema.js'

export interface PolicyFlags extends LimitFlags {
  readonly policy?: string
  readonly preset?: string
  readonly fill?: string[]
  readonly ro?: string[]
  readonly rw?: string[]
  readonly tmpfs?: string[]
  readonly env?: string[]
  readonly network?: string
  readonly hostname?: string
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  readonly shareSession?: boolean
  readonly root?: boolean
}

/** The policy that the flags describe, checked; host paths in it are absolute. */
export function policyFromFlags(flags: PolicyFlags): Policy {
  const file: Policy = flags.policy === undefined ? {} : readPolicy(flags.policy)
  const shown = [
    ...(flags.ro ?? []).map((flag) => bindOf(flag, false)),
    ...(flags.rw ?? []).map((flag) => bindOf(flag, true)),
  ]
  const tmpfs = (flags.tmpfs ?? []).map((flag): FilesystemEntry => {
    const [place = '', size] = flag.split(':')
    return size === undefined ? { tmpfs: place } : { tmpfs: place, size }
  })
  const ready = flags.fill !== undefined || flags.preset !== undefined || flags.policy !== undefined
  const here = process.cwd()
  const hereShown = shown.some((entry) => 'bind' in entry && (here === entry.bind || here.startsWith(`${entry.bind}/`)))
  const cwd = flags.cwd ?? file.cwd ?? (hereShown ? here : undefined)
  const variables = (flags.env ?? []).map((flag) => flag.split(/=(.*)/s) as [string, string?])
  const policy = {
    ...file,
    ...(flags.preset === undefined ? (ready ? {} : { preset: 'system' }) : { preset: flags.preset }),
    ...(flags.fill === undefined ? {} : { fill: { program: flags.fill } }),
    filesystem: [...(file.filesystem ?? []), ...shown, ...tmpfs],
    ...(flags.network === undefined ? {} : { network: flags.network }),
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(flags.shareSession ? { session: 'host' } : {}),
    ...limitsFromFlags(flags, file.limits),
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
  return checkPolicy(policy)
}

/** Reads and checks a policy file; its relative host paths start from its folder. */
function readPolicy(path: string): Policy {
  let input: unknown
  try {
    input = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`)
  }
  let policy: Policy
  try {
    policy = checkPolicy(input)
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`)
  }
  const base = dirname(resolve(path))
  const absolute = (host: string) => resolve(base, host)
  return {
    ...policy,
    filesystem: (policy.filesystem ?? []).map((entry) => {
      if ('bind' in entry) return { ...entry, from: absolute(entry.from ?? entry.bind) }
      if (!('overlay' in entry)) return entry
      const upper =
        typeof entry.upper === 'object'
          ? { upper: { upper: absolute(entry.upper.upper), work: absolute(entry.upper.work) } }
          : {}
      return { ...entry, lower: entry.lower.map(absolute), ...upper }
    }),
  }
}

/** `./config:/etc/conf` → a bind. */
function bindOf(flag: string, writable: boolean): FilesystemEntry {
  const colon = flag.lastIndexOf(':/')
  const from = resolve(colon > 0 ? flag.slice(0, colon) : flag)
  return { bind: colon > 0 ? flag.slice(colon + 1) : from, from, writable }
}
