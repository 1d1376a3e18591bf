/**
 * A command that enters a named sandbox with something of its own, or with limits that are counted here. What the monitor's program does
 * not do is compiled, and found again by all that it is compiled from. Apart from enterSandbox.ts: others do not load it.
 */
import { openStored } from '../cache/contentVials.js'
import { findRemembered, rememberVial } from '../cache/rememberedVials.js'
import { compile } from '../compile/compile.js'
import { hostFacts } from '../compile/hostFacts.js'
import { limitsOutput, parseLimits } from '../policy/limits.js'
import { type OwnOptions, parseOwn } from '../policy/ownOptions.js'
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

/** The caller's streams, except those whose bytes are counted. */
export function ownEntrant(record: SandboxRecord, own: OwnOptions, ignored: bigint): OwnEntrant {
  const { base, trusted = [] } = record
  // What enters is given its environment, and says nothing of it.
  const { env: _, ...policy } = record.policy
  const entrant = entrantOf(record, ignored)
  const group = groupOf(record)
  const limiter = limiterOf(record, own)
  const counts = limiter !== undefined && limitsOutput(limiter.limits)
  const stdio: Stdio = counts ? ['inherit', 'output', 'output'] : ['inherit', 'inherit', 'inherit']
  if (Object.keys(own).length === 0 && !counts) return { vial: { ...entrant, limiter }, stdio }
  const compiled = () =>
    compile(policy, {
      base,
      trusted,
      enters: true,
      own: parseOwn(own),
      ...compiledFor(stdio, group),
    })
  const key = keyOf({ ...record, policy }, [own, counts])
  return {
    stdio,
    vial: {
      ...entrant,
      limiter,
      open() {
        const found = key === undefined ? undefined : findRemembered(key, () => true)
        if (found !== undefined) return found
        const { bytes } = compiled()
        return (key === undefined ? undefined : rememberVial(key, bytes, '')) ?? openStored(bytes)
      },
      steps: () => compiled().steps,
    },
  }
}

function limiterOf(record: SandboxRecord, { limits: lower }: OwnOptions): EntrantLimiter | undefined {
  const { limits } = record.policy
  if (limits === undefined && lower === undefined) return undefined
  const all = limits === undefined ? undefined : parseLimits(limits)
  const { required: _, ...own } = parseLimits(lower ?? {})
  return new EntrantLimiter(all, own, () => groupOf(record))
}

/** Undefined: it cannot be told before compiling. What fill finds is never writable, and so in no rule of what enters. */
function keyOf({ policy, base, trusted = [], ...record }: SandboxRecord, own: readonly unknown[]): string | undefined {
  // These are looked up in /etc/subuid.
  if (typeof bundledBuild === 'undefined' || policy.identity?.ranges === 'subids') return undefined
  const facts = attempt(() => hostFacts(policy, base, trusted))
  if (facts === undefined) return undefined
  const group = groupOf({ ...record, policy })
  return JSON.stringify(['enters', bundledBuild, policy, base, trusted, group ?? null, own, facts])
}
