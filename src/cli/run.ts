/** `vial run`. */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { SandboxError } from '../run/error.js'
import { sandbox } from '../run/sandbox.js'
import { completePolicy, placeOf } from '../policy/complete.js'
import { findProgram } from '../policy/fill/closure.js'
import type { Policy } from '../policy/schema.js'
import { type PolicyFlags, policyFromFlags } from './policy.js'

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

export async function run(command: string, args: string[], flags: PolicyFlags & { timeout?: number }): Promise<void> {
  const policy = policyFromFlags(flags)
  const child = sandbox(policy).spawn(command, args, {
    stdio: ['inherit', 'inherit', 'inherit'],
    ...(flags.timeout === undefined ? {} : { timeout: flags.timeout * 1000 }),
  })
  // In the terminal's own session these reach the payload by themselves.
  const alone = policy.session === 'host' ? ['SIGINT', 'SIGQUIT'] : []
  for (const signal of passedOn) process.on(signal, () => alone.includes(signal) || child.kill(signal))
  try {
    const { exitCode, signal, timedOut } = await child.result
    if (timedOut) process.stderr.write(`vial: killed after ${flags.timeout} s\n`)
    process.exitCode = signal === null ? (exitCode ?? 125) : 128 + constants.signals[signal]
    if (process.exitCode !== 0) hint(policy, command, args)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    process.stderr.write(`vial: ${error.message}\n`)
    process.exitCode = error.message.startsWith('cannot run ') ? (error.code === 'ENOENT' ? 127 : 126) : 125
    hint(policy, command, args)
  }
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
