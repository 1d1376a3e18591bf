/** `vial run`. */
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { printable } from '../kernel/printable.js'
import type { Policy } from '../policy/schema.js'
import { SandboxError } from '../run/error.js'
import { sandbox } from '../run/sandbox.js'
import type { Result } from '../run/spawn.js'
import type { PolicyFlags } from './options.js'
import { policyFromFlags, requireSources } from './policy.js'
import type { ReportFlags } from './report.js'

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

export async function run(
  command: string,
  args: readonly string[],
  flags: PolicyFlags & ReportFlags & { readonly timeout?: number; readonly output?: string },
): Promise<void> {
  const policy = policyFromFlags(flags, undefined, flags.output === undefined ? {} : { output: flags.output })
  requireSources(flags)
  const { output, stdout, stderr } = policy.limits ?? {}
  const counted = [output, stdout, stderr].some((limit) => limit !== undefined)
  try {
    const child = sandbox(policy).spawn(command, args, {
      stdio: counted ? ['inherit', 'pipe', 'pipe'] : ['inherit', 'inherit', 'inherit'],
      ...(flags.timeout === undefined ? {} : { timeout: flags.timeout * 1000 }),
    })
    // In the terminal's own session these reach the payload by themselves.
    const alone = policy.session === 'host' ? ['SIGINT', 'SIGQUIT'] : []
    for (const signal of passedOn) process.on(signal, () => alone.includes(signal) || child.kill(signal))
    const passed = [passOn(child.stdout, process.stdout), passOn(child.stderr, process.stderr)]
    const result = await child.result
    await Promise.all(passed)
    const { exitCode, timedOut, verdict } = result
    if (timedOut) say(`killed after ${flags.timeout} s`)
    // What is beyond a limit may have been written just before the end.
    const signal = verdict.kind === 'output-limit' || verdict.kind === 'time-limit' ? 'SIGKILL' : result.signal
    process.exitCode = signal === null ? (exitCode ?? 125) : 128 + constants.signals[signal]
    await report(result, flags)
    if (exitCode !== null && exitCode !== 0) await explainFailure(policy, command, args, true)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    const cannotRun = error.message.startsWith('cannot run ')
    say(error.message)
    process.exitCode = cannotRun ? (error.code === 'ENOENT' ? 127 : 126) : 125
    await report(error, flags)
    if (cannotRun) await explainFailure(policy, command, args, false)
    else await explainHost(error)
  }
}

const say = (text: string) => process.stderr.write(`vial: ${text.split('\n').map(printable).join('\n')}\n`)

/** Ends when all is written, or when nobody reads it any more: then the payload's pipe is closed, too. */
async function passOn(from: Readable | null, to: Writable): Promise<void> {
  if (from !== null) await pipeline(from, to, { end: false }).catch(() => {})
}

async function report(ended: Result | SandboxError, flags: ReportFlags): Promise<void> {
  if (flags.verdict || flags.report !== undefined) (await import('./report.js')).tell(ended, flags)
}

async function explainFailure(policy: Policy, command: string, args: readonly string[], started: boolean) {
  for (const hint of (await import('./hint.js')).hints(policy, command, args, started)) say(hint)
}

/** The sandbox could not be made: perhaps this host makes none. */
async function explainHost(error: SandboxError): Promise<void> {
  if (error.code !== 'ENOSYS') return
  const { release } = await import('node:os')
  say(`this is Linux ${release()}; vial needs 5.12 or newer, and a container around it that does not forbid the call`)
}
