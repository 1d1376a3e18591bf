/**
 * How a named sandbox ended. No process of vial's is there when it does: the first command that sees the end measures its cgroup, keeps
 * what that tells in `usage.json`, and removes the cgroup.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from '../cache/wholeFile.js'
import { killAndRemove } from '../cgroup/garbage.js'
import type { GroupUsage } from '../cgroup/group.js'
import { openGroup } from '../cgroup/openGroup.js'
import { parseLimits } from '../policy/limits.js'
import { type Ending, endingOf, shellStatus } from '../run/result.js'
import { noUsage, type Usage } from '../run/status.js'
import { type Verdict, verdictOf } from '../run/verdict.js'
import { attempt } from '../text/attempt.js'
import { type FoundSandbox, statusName } from './findSandbox.js'
import { presentGroup, type SandboxRecord } from './recordFile.js'

export interface SandboxEnd extends Ending {
  /** As a shell has it: the exit status, or 128 + the signal. */
  readonly status: number
  readonly verdict: Verdict
  /** What all of it used: the payload, and what entered. */
  readonly usage: Usage
  /** When it ended: ISO 8601. */
  readonly ended: string
}

type Ended = FoundSandbox & { readonly state: 'ended' }

export function endOf({ record, outcome, directory }: Ended): SandboxEnd {
  const ending = endingOf(outcome, { exitCode: null, signal: 'SIGKILL' })
  const usage = { ...(outcome.usage ?? noUsage), ...groupUsage(directory, record) }
  const limits = record.policy.limits
  const verdict = verdictOf({
    ...ending,
    usage,
    payloadEnded: outcome.payloadEnded ?? false,
    reached: outcome.reached,
    limits: limits === undefined ? undefined : parseLimits(limits),
  })
  // The monitor's last word is the last that is written there.
  const ended = attempt(() => statSync(join(directory, statusName)).mtime) ?? new Date()
  return { ...ending, status: shellStatus(ending), verdict, usage, ended: ended.toISOString() }
}

/** Of which sandbox it is: another may have the name by the time that it is written. */
interface Measured {
  readonly monitor: SandboxRecord['monitor']
  readonly usage: GroupUsage
}

function groupUsage(directory: string, record: SandboxRecord): GroupUsage {
  const { monitor } = record
  if (record.group === undefined) return {}
  const path = join(directory, 'usage.json')
  const kept = () => {
    const known = attempt(() => JSON.parse(readFileSync(path, 'utf8')) as Measured)
    return known?.monitor?.start === monitor.start && known.monitor.pid === monitor.pid ? known.usage : undefined
  }
  const known = kept()
  const group = presentGroup(record)
  if (group === undefined) return known ?? {}
  if (known === undefined) {
    const usage = openGroup(group.version, group.paths).measure()
    // Another command may have removed it while it was measured: that one has kept what it measured before.
    if (!group.paths.every(existsSync)) return kept() ?? usage
    attempt(() => replaceFile(path, Buffer.from(JSON.stringify({ monitor, usage } satisfies Measured)), 0o600))
    if (kept() === undefined) return usage
  }
  killAndRemove(group.paths)
  return known ?? kept() ?? {}
}
