/** `vial run`. */
import { constants, release } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { printable } from '../kernel/printable.js'
import type { Policy } from '../policy/schema.js'
import { SandboxError } from '../run/error.js'
import { findVial, rememberVial } from '../run/remember.js'
import { type Result, type SandboxProcess, type SpawnOptions, type Startable, spawnVial } from '../run/spawn.js'
import type { PolicyFlags } from './options.js'
import type { ReportFlags } from './report.js'
import { type Request, requestOf } from './request.js'
import { requireSources } from './sources.js'

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

type RunFlags = PolicyFlags & ReportFlags & { readonly timeout?: number; readonly output?: string }

export async function run(command: string, args: readonly string[], flags: RunFlags): Promise<void> {
  const options: SpawnOptions = {
    stdio: ['inherit', 'inherit', 'inherit'],
    ...(flags.timeout === undefined ? {} : { timeout: flags.timeout * 1000 }),
  }
  const request = requestOf(flags)
  try {
    const found = request === undefined ? undefined : startRemembered(command, args, flags, options, request)
    const { child, sharesSession } = found ?? (await startCompiled(command, args, flags, options, request))
    // In the terminal's own session these reach the payload by themselves.
    const alone = sharesSession ? ['SIGINT', 'SIGQUIT'] : []
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
    if (exitCode !== null && exitCode !== 0) await explainFailure(flags, command, args, true)
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    const cannotRun = error.message.startsWith('cannot run ')
    say(error.message)
    process.exitCode = cannotRun ? (error.code === 'ENOENT' ? 127 : 126) : 125
    await report(error, flags)
    if (cannotRun) await explainFailure(flags, command, args, false)
    else explainHost(error)
  }
}

interface Started {
  readonly child: SandboxProcess
  readonly sharesSession: boolean
}

/** Without the schema and the compiler, if the vial of the last time is there. */
function startRemembered(
  command: string,
  args: readonly string[],
  flags: RunFlags,
  options: SpawnOptions,
  { key, sharesSession }: Request,
): Started | undefined {
  const path = findVial(key)
  if (path === undefined) return undefined
  requireSources(flags)
  const removed = new Error('somebody emptied the cache since')
  let isThere = true
  const vial: Startable = {
    ownPids: true,
    limiter: undefined,
    path() {
      if (isThere) return path
      throw removed
    },
    forget() {
      isThere = false
    },
    async steps() {
      const policy = await policyOf(flags)
      const { compile } = await import('../run/compile.js')
      const { descriptors } = await import('../run/sandbox.js')
      // Steps of another vial would tell something else.
      return requestOf(flags)?.key === key ? compile(policy, descriptors(3)).steps : []
    },
  }
  try {
    return { child: spawnVial(vial, command, args, options), sharesSession }
  } catch (error) {
    if (error === removed) return undefined
    throw error
  }
}

async function startCompiled(
  command: string,
  args: readonly string[],
  flags: RunFlags,
  options: SpawnOptions,
  request: Request | undefined,
): Promise<Started> {
  const policy = await policyOf(flags)
  requireSources(flags)
  const { output, stdout, stderr } = policy.limits ?? {}
  const counted = [output, stdout, stderr].some((limit) => limit !== undefined)
  const { Sandbox } = await import('../run/sandbox.js')
  const { storeVial } = await import('../run/store.js')
  const store = (bytes: Uint8Array) =>
    // Files and host may have changed since they were looked at: then the vial is not that of the key.
    (request !== undefined && requestOf(flags)?.key === request.key ? rememberVial(request.key, bytes) : undefined) ??
    storeVial(bytes)
  const child = new Sandbox(policy, process.cwd(), store).spawn(command, args, {
    ...options,
    ...(counted ? { stdio: ['inherit', 'pipe', 'pipe'] } : {}),
  })
  return { child, sharesSession: policy.session === 'host' }
}

const policyOf = async (flags: RunFlags): Promise<Policy> =>
  (await import('./policy.js')).policyFromFlags(
    flags,
    undefined,
    flags.output === undefined ? {} : { output: flags.output },
  )

const say = (text: string) => process.stderr.write(`vial: ${text.split('\n').map(printable).join('\n')}\n`)

/** Ends when all is written, or when nobody reads it any more: then the payload's pipe is closed, too. */
async function passOn(from: Readable | null, to: Writable): Promise<void> {
  if (from === null) return
  const { pipeline } = await import('node:stream/promises')
  await pipeline(from, to, { end: false }).catch(() => {})
}

async function report(ended: Result | SandboxError, flags: ReportFlags): Promise<void> {
  if (flags.verdict || flags.report !== undefined) (await import('./report.js')).tell(ended, flags)
}

async function explainFailure(flags: RunFlags, command: string, args: readonly string[], started: boolean) {
  for (const hint of (await import('./hint.js')).hints(await policyOf(flags), command, args, started)) say(hint)
}

/** The sandbox could not be made: perhaps this host makes none. */
function explainHost(error: SandboxError): void {
  if (error.code !== 'ENOSYS') return
  say(`this is Linux ${release()}; vial needs 5.12 or newer, and a container around it that does not forbid the call`)
}
