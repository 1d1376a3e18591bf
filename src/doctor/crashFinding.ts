/** Whether a crash inside a sandbox runs something of the host's: core(5), and plan/lowerPolicy.ts for what keeps it away. */
import { hasCapability, textOf } from '../cgroup/privilege.js'
import { setting } from '../host/sysctl.js'
import type { Finding } from './finding.js'

export interface CrashFacts {
  /** /proc/sys/kernel/core_pattern. */
  readonly pattern: string
  /** The caller's hard limit of core dumps in bytes; infinite where there is none. */
  readonly hardLimit: number
  /** Whether the caller may raise a hard limit; CAP_SYS_RESOURCE. */
  readonly raisesLimits: boolean
}

export function crashFinding({ pattern, hardLimit, raisesLimits }: CrashFacts = crashFacts()): Finding {
  const name = 'crashes stay inside'
  const detail = pattern === '' ? 'no core_pattern' : `kernel.core_pattern is ${pattern}`
  const without = "a wall between a payload's memory, when it crashes, and the host's crash handler, which reads it"
  // The limit of a socket is not asked about: fs/coredump.c since Linux 6.16.
  if (pattern.startsWith('@')) return { name, works: false, detail, without, ...setting('kernel.core_pattern', 'core') }
  if (pattern.startsWith('|') && hardLimit === 0 && !raisesLimits)
    return {
      name,
      works: false,
      detail: `${detail}, and the hard limit of core dumps is 0, which does not keep a pipe from being run`,
      without,
      repair: `a hard limit of 1 byte or more, in /etc/security/limits.conf ('* hard core 1') or a unit's LimitCORE=; or ${setting('kernel.core_pattern', 'core').repair}`,
    }
  return { name, works: true, detail }
}

function crashFacts(): CrashFacts {
  const hard = /^Max core file size\s+\S+\s+(\S+)/m.exec(textOf('/proc/self/limits'))?.[1]
  return {
    pattern: textOf('/proc/sys/kernel/core_pattern').trim(),
    hardLimit: hard === undefined || hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard),
    raisesLimits: hasCapability('CAP_SYS_RESOURCE'),
  }
}
