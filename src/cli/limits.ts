/** Flags of limits → `limits` of a policy. */
import type { LimitsPolicy } from '../policy/limitsSchema.js'
import type { LimitFlags } from './options.js'

/** Which limit a flag is. */
export const limitOfFlag = {
  memory: 'memory',
  pids: 'pids',
  cpus: 'cpu',
  'cpu-time': 'cpuTime',
  'wall-time': 'wallTime',
  disk: 'disk',
  'file-size': 'fileSize',
} as const satisfies Partial<Record<keyof LimitFlags, keyof LimitsPolicy>>

/** The limits of a policy file, with those of the flags in their place. */
export function limitsFromFlags(flags: LimitFlags, file: LimitsPolicy | undefined): { limits?: LimitsPolicy } {
  const given = Object.entries(limitOfFlag).flatMap(([flag, limit]) => {
    const value = flags[flag as keyof LimitFlags]
    return value === undefined ? [] : [[limit, value] as const]
  })
  const limits = {
    ...file,
    ...Object.fromEntries(given),
    ...(flags['limits-optional'] ? { required: false } : {}),
  }
  return Object.keys(limits).length === 0 ? {} : { limits }
}
