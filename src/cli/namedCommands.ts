/** `vial ps`, `logs`, `stop`, `kill`, `rm` and `wait`: what is done with sandboxes by their names. */
import { followLog, readLog } from '../live/sandboxLog.js'
import { awaitEnd } from '../live/awaitEnd.js'
import { membersOf } from '../live/members.js'
import { lostText, noEnd, type NamedSandbox, namedSandboxes, sandboxNamed } from '../live/namedSandboxes.js'
import { removeNamed, requireOver } from '../live/removeNamed.js'
import { removeSandbox } from '../live/removeSandbox.js'
import { notRunning, runningSandbox } from '../live/runningSandbox.js'
import { endOf } from '../live/sandboxEnd.js'
import { signalNamed, signalSandbox } from '../live/signalSandbox.js'
import { stopSandbox } from '../live/stopSandbox.js'
import { columns } from '../text/columns.js'
import { printable } from '../text/printable.js'
import { printJson, write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import type { killOptions, logsOptions, psOptions, rmOptions, stopOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'
import { say } from './say.js'

const defaultGrace = 10_000

/** What is known of one, as `--json` has it. */
function rowOf(one: NamedSandbox) {
  const { name, state } = one
  if (one.state === 'ended') {
    const { status, verdict, usage, ended } = endOf(one)
    return { name, state, record: one.record, status, verdict, usage, ended }
  }
  if (one.state === 'running') {
    const { pids, memory, memoryBy } = membersOf(one.record)
    return { name, state, record: one.record, pids, memory, memoryBy }
  }
  return { name, state, ...('fault' in one ? { fault: one.fault } : {}) }
}

export function ps({ json }: FlagsOf<typeof psOptions>): void {
  const { found, lost } = namedSandboxes(removeSandbox)
  for (const name of lost) say(lostText(name))
  const rows = found.map(rowOf)
  if (json) {
    printJson(rows)
    return
  }
  const head = ['NAME', 'STATE', 'AGE', 'PROCESSES', 'MEMORY', 'COMMAND']
  const lines = rows.map((row) => [
    row.name,
    'status' in row ? `ended ${row.status}` : row.state,
    'record' in row ? age(Date.now() - Date.parse(row.record.created)) : '',
    'pids' in row ? String(row.pids.length) : '',
    'memory' in row ? megabytes(row.memory) : '',
    'record' in row ? printable((row.record.command ?? ['(none)']).join(' ')).slice(0, 60) : '',
  ])
  write(1, columns([head, ...lines]))
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const
function age(milliseconds: number): string {
  const [unit, worth] = units.find(([, worth]) => milliseconds >= worth) ?? ['s', 1000]
  return `${Math.floor(milliseconds / worth)}${unit}`
}
export const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)}M`

export async function logs(names: readonly string[], flags: FlagsOf<typeof logsOptions>): Promise<void> {
  const { home, found } = sandboxNamed(several(names)[0])
  if (found.state !== 'running' && found.state !== 'ended') throw notRunning(found)
  if (flags.follow) for await (const bytes of followLog(home, found, flags.lines)) write(1, bytes)
  else write(1, readLog(found.directory, flags.lines))
}

export async function stop(names: readonly string[], flags: FlagsOf<typeof stopOptions>): Promise<void> {
  const signal = flags.signal === undefined ? undefined : signalNamed(flags.signal)
  for (const name of several(names)) {
    const { home, found } = sandboxNamed(name)
    const end = found.state === 'running' ? await stopSandbox(home, found, flags.grace ?? defaultGrace, signal) : found
    // It was removed meanwhile.
    if (end === undefined) continue
    requireOver(end)
    if (flags.rm) removeSandbox(home, end)
  }
}

export function kill(names: readonly string[], { signal = 'KILL' }: FlagsOf<typeof killOptions>): void {
  const named = signalNamed(signal)
  for (const name of several(names)) signalSandbox(runningSandbox(name).found, named)
}

export async function rm(names: readonly string[], { force }: FlagsOf<typeof rmOptions>): Promise<void> {
  for (const name of several(names)) await removeNamed(name, force === true)
}

export async function wait(names: readonly string[]): Promise<void> {
  const [name] = several(names)
  const { home, found } = sandboxNamed(name)
  const end = found.state === 'ended' ? found : await awaitEnd(home, name)
  if (end?.state !== 'ended') throw noEnd(name, end)
  const { status } = endOf(end)
  write(1, `${status}\n`)
  process.exitCode = status
}

/** The names that were given. */
export function several([first, ...others]: readonly string[]): readonly [string, ...string[]] {
  if (first === undefined) throw new UsageError('no name of a sandbox was given: see "vial ps"')
  return [first, ...others]
}
