/**
 * A command that enters a named sandbox with something of its own, or with limits that are counted here. What the monitor's program does
 * not do is compiled, and found again by all that it is compiled from. Apart from enterSandbox.ts: others do not load it; and the
 * compiler is loaded only where nothing is found.
 */
import { openSync } from 'node:fs'
import type { OpenVial } from '../cache/executable.js'
import { findRemembered, rememberVial } from '../cache/rememberedVials.js'
import type { compile } from '../compile/compile.js'
import { hostFacts } from '../compile/hostFacts.js'
import { limitsOutput, parseLimits } from '../policy/limits.js'
import type { OwnOptions } from '../policy/ownOptions.js'
import { EntrantLimiter } from '../run/entrantLimiter.js'
import type { Startable } from '../run/spawn.js'
import { compiledFor, type Stdio } from '../run/stdio.js'
import { attempt } from '../text/attempt.js'
import { entrantOf } from './enterSandbox.js'
import type { SandboxRecord } from './recordFile.js'
import { groupOf } from './recordedGroup.js'

/** Set by build/bundle.js: which code compiles. */
declare const bundledBuild: string

export interface OwnEntrant {
  readonly vial: Startable
  readonly stdio: Stdio
}

/**
 * The caller's streams, except those whose bytes are counted.
 * @param terminal the command gets one of its own, at that of the caller
 */
export async function ownEntrant(
  record: SandboxRecord,
  own: OwnOptions,
  ignored: bigint,
  terminal?: true,
): Promise<OwnEntrant> {
  const entrant = entrantOf(record, ignored)
  const limiter = limiterOf(record, own)
  const counts = limiter !== undefined && limitsOutput(limiter.limits)
  const stdio: Stdio = counts ? ['inherit', 'output', 'output'] : ['inherit', 'inherit', 'inherit']
  if (Object.keys(own).length === 0 && !counts && !terminal) return { vial: { ...entrant, limiter }, stdio }
  const compiled = () => compileOwn(record, own, stdio, terminal)
  const key = keyOf(record, [own, counts, terminal])
  const found = (key === undefined ? undefined : findRemembered(key, () => true)) ?? (await stored(key, compiled))
  const vial = {
    ...entrant,
    limiter,
    // It stays open, so that each attempt gets the same file, whatever becomes of the cache.
    open: () => ({ path: found.path, fd: openSync(`/proc/self/fd/${found.fd}`, 'r') }),
    steps: async () => (await compiled()).steps,
  }
  return { vial, stdio }
}

async function compileOwn(
  record: SandboxRecord,
  own: OwnOptions,
  stdio: Stdio,
  terminal: true | undefined,
): Promise<ReturnType<typeof compile>> {
  const [{ compile }, { parseOwn }] = await Promise.all([
    import('../compile/compile.js'),
    import('../policy/ownOptions.js'),
  ])
  const { base, trusted = [] } = record
  const options = { base, trusted, enters: true as const, own: parseOwn(own), ...(terminal ? { terminal } : {}) }
  return compile(ofAll(record), { ...options, ...compiledFor(stdio, groupOf(record)) })
}

async function stored(key: string | undefined, compiled: () => ReturnType<typeof compileOwn>): Promise<OpenVial> {
  const { bytes } = await compiled()
  const remembered = key === undefined ? undefined : rememberVial(key, bytes, '')
  return remembered ?? (await import('../cache/contentVials.js')).openStored(bytes)
}

/** What enters is given its environment, and says nothing of it. */
const ofAll = ({ policy: { env: _, ...policy } }: SandboxRecord) => policy

function limiterOf(record: SandboxRecord, { limits: lower }: OwnOptions): EntrantLimiter | undefined {
  const { limits } = record.policy
  if (limits === undefined && lower === undefined) return undefined
  const all = limits === undefined ? undefined : parseLimits(limits)
  const { required: _, ...own } = parseLimits(lower ?? {})
  return new EntrantLimiter(all, own, () => groupOf(record))
}

/** Undefined: it cannot be told before compiling. What fill finds is never writable, and so in no rule of what enters. */
function keyOf(record: SandboxRecord, own: readonly unknown[]): string | undefined {
  const { base, trusted = [] } = record
  const policy = ofAll(record)
  // These are looked up in /etc/subuid.
  if (typeof bundledBuild === 'undefined' || policy.identity?.ranges === 'subids') return undefined
  const facts = attempt(() => hostFacts(policy, base, trusted))
  if (facts === undefined) return undefined
  const group = groupOf(record)
  return JSON.stringify(['enters', bundledBuild, policy, base, trusted, group ?? null, own, facts])
}
