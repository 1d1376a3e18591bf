/** Flags of limits, for every command that takes a policy. */
import type { Command } from 'commander'
import type { LimitsPolicy } from '../policy/limits.js'

export interface LimitFlags {
  readonly memory?: string
  readonly pids?: number
  readonly cpus?: number
  readonly cpuTime?: string
  readonly wallTime?: string
  /** `--output` of `vial run`; elsewhere that is a file's name. */
  readonly outputLimit?: string
  readonly disk?: string
  readonly fileSize?: string
  readonly limitsOptional?: boolean
}

export function limitOptions(command: Command): Command {
  return command
    .option('--memory <size>', 'at most so much memory, all processes together, such as 256M')
    .option('--pids <count>', 'at most so many processes and threads', Number)
    .option('--cpus <cores>', 'at most so many cores, such as 0.5', Number)
    .option('--cpu-time <time>', 'kill all after so much CPU time, such as 2s')
    .option('--wall-time <time>', 'kill all after so long, such as 5s')
    .option('--disk <size>', 'at most so much in each folder in memory that has no size of its own')
    .option('--file-size <size>', 'no file larger than this')
    .option('--limits-optional', 'without a cgroup: rlimits instead, where they come close')
}

/** The limits of a policy file, with those of the flags in their place. */
export function limitsFromFlags(flags: LimitFlags, file: LimitsPolicy | undefined): { limits?: LimitsPolicy } {
  const { memory, pids, cpus, cpuTime, wallTime, outputLimit, disk, fileSize, limitsOptional } = flags
  const required = limitsOptional ? false : undefined
  const given = { memory, pids, cpu: cpus, cpuTime, wallTime, output: outputLimit, disk, fileSize, required }
  const limits = {
    ...file,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }
  return Object.keys(limits).length === 0 ? {} : { limits }
}
