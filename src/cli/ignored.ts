/**
 * Signals that the caller has ignored, as nohup(1) has SIGHUP, and a script's job in the background SIGINT. Node.js gives each its
 * default action at its start; the script before it (build/command.js) says which were ignored.
 */
import { constants } from 'node:os'

export const ignoredVariable = 'VIAL_IGNORED_SIGNALS'

/** Bit N - 1 is signal N, as /proc/PID/status has it: proc_pid_status(5), SigIgn. */
let mask = 0n

/** Ignores them again. The variable is for this process alone. */
export function ignoreAsCaller(): void {
  const told = process.env[ignoredVariable]
  delete process.env[ignoredVariable]
  if (told === undefined || !/^[\da-f]{1,16}$/i.test(told)) return
  mask = BigInt(`0x${told}`)
  // No process can have a handler for these two: signal(7).
  for (const [name, number] of Object.entries(constants.signals))
    if (((mask >> BigInt(number - 1)) & 1n) === 1n && name !== 'SIGKILL' && name !== 'SIGSTOP')
      process.on(name as NodeJS.Signals, () => {})
}

export const ignoredSignals = (): bigint => mask
