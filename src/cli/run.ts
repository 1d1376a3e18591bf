/** `vial run`. */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SandboxError } from '../run/error.js'
import { sandbox } from '../run/sandbox.js'
import { completePolicy, placeOf } from '../policy/complete.js'
import { findProgram } from '../policy/fill/closure.js'
import type { Policy } from '../policy/schema.js'
import { type PolicyFlags, policyFromFlags } from './policy.js'
import { type ReportFlags, reportOf, tell } from './report.js'

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

export async function run(
  command: string,
  args: string[],
  flags: PolicyFlags & ReportFlags & { timeout?: number },
): Promise<void> {
  const policy = policyFromFlags(flags)
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
    const { exitCode, signal, timedOut, verdict } = result
    if (timedOut) process.stderr.write(`vial: killed after ${flags.timeout} s\n`)
    // What is beyond a limit may have been written just before the end.
    const ended = verdict.kind === 'output-limit' || verdict.kind === 'time-limit' ? 'SIGKILL' : signal
    process.exitCode = ended === null ? (exitCode ?? 125) : 128 + constants.signals[ended]
    tell(reportOf(result), flags)
    if (process.exitCode !== 0) hint(policy, command, args)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    process.stderr.write(`vial: ${error.message}\n`)
    process.exitCode = error.message.startsWith('cannot run ') ? (error.code === 'ENOENT' ? 127 : 126) : 125
    tell(reportOf(error), flags)
    hint(policy, command, args)
  }
}

/** Ends when all is written, or when nobody reads it any more: then the payload's pipe is closed, too. */
async function passOn(from: Readable | null, to: Writable): Promise<void> {
  if (from !== null) await pipeline(from, to, { end: false }).catch(() => {})
}

/** After a failure: names the flag that would show a file which the command line names and the sandbox does not see. */
function hint(policy: Policy, command: string, args: readonly string[]): void {
  const places = (completePolicy(policy).filesystem ?? [])
    .filter((entry) => 'bind' in entry || 'file' in entry)
    .map(placeOf)
  const visible = (path: string) =>
    places.some((place) => path === place || path.startsWith(`${place === '/' ? '' : place}/`))
  for (const word of new Set([command, ...args])) {
    if (word.startsWith('-')) continue
    const path = resolve(word)
    if ((word.includes('/') || word !== command) && existsSync(path) && !visible(path)) {
      process.stderr.write(
        `vial: ${word} exists, but the sandbox does not see it: add --ro ${word} (or --rw ${word})\n`,
      )
    }
  }
  if (command.includes('/')) return
  const found = findProgram(command, process.env.PATH ?? '')
  if (found !== undefined && !visible(found))
    process.stderr.write(
      `vial: ${command} is ${found} outside, which the sandbox does not see: add --fill ${found}, or --ro its folder\n`,
    )
}
