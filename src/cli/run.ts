/** `vial run`. */
import { constants } from 'node:os'
import { printable } from '../kernel/printable.js'
import type { Policy } from '../policy/schema.js'
import { sandbox } from '../run/sandbox.js'
import { SandboxError } from '../run/spawn.js'
import type { PolicyFlags } from './options.js'
import { policyFromFlags, requireSources } from './policy.js'

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

export async function run(
  command: string,
  args: readonly string[],
  flags: PolicyFlags & { readonly timeout?: number },
): Promise<void> {
  const policy = policyFromFlags(flags)
  requireSources(flags)
  const child = sandbox(policy).spawn(command, args, {
    stdio: ['inherit', 'inherit', 'inherit'],
    ...(flags.timeout === undefined ? {} : { timeout: flags.timeout * 1000 }),
  })
  // In the terminal's own session these reach the payload by themselves.
  const alone = policy.session === 'host' ? ['SIGINT', 'SIGQUIT'] : []
  for (const signal of passedOn) process.on(signal, () => alone.includes(signal) || child.kill(signal))
  try {
    const { exitCode, signal, timedOut } = await child.result
    if (timedOut) say(`killed after ${flags.timeout} s`)
    process.exitCode = signal === null ? (exitCode ?? 125) : 128 + constants.signals[signal]
    if (exitCode !== null && exitCode !== 0) await explainFailure(policy, command, args, true)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    const cannotRun = error.message.startsWith('cannot run ')
    say(error.message)
    process.exitCode = cannotRun ? (error.code === 'ENOENT' ? 127 : 126) : 125
    if (cannotRun) await explainFailure(policy, command, args, false)
    else await explainHost(error)
  }
}

const say = (text: string) => process.stderr.write(`vial: ${text.split('\n').map(printable).join('\n')}\n`)

async function explainFailure(policy: Policy, command: string, args: readonly string[], started: boolean) {
  for (const hint of (await import('./hint.js')).hints(policy, command, args, started)) say(hint)
}

/** The sandbox could not be made: perhaps this host makes none. */
async function explainHost(error: SandboxError): Promise<void> {
  if (error.code !== 'ENOSYS') return
  const { release } = await import('node:os')
  say(`this is Linux ${release()}; vial needs 5.12 or newer, and a container around it that does not forbid the call`)
}
