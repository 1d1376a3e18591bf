/** What `vial run` tells about a run: `--report` and `--verdict`. */
import { closeSync, constants, fstatSync, ftruncateSync, lstatSync, openSync, writeFileSync } from 'node:fs'
import type { KeyPath } from '../policy/keys.js'
import type { Policy } from '../policy/schema.js'
import type { EnforcementOf } from '../run/enforcement.js'
import type { Result } from '../run/result.js'
import type { Verdict } from '../run/verdict.js'
import type { VialError } from '../text/error.js'
import { type Names, policyNames } from '../text/words.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { fileFault } from './obstacle.js'

export interface ReportFlags {
  readonly report?: string
  readonly verdict?: true
}

/** How a command ended; without a sandbox there is only a verdict. */
type Report = Result | { readonly verdict: Verdict }

/** Where `--report FILE` goes. */
export interface ReportFile {
  readonly path: string
  readonly fd: number
}

/**
 * Opens the file before anything runs: later, the payload may have put a link to another file of the caller's at the place, or on
 * the way to it. Names in /dev and /proc are links by nature.
 * @throws {Error} when it cannot be written
 */
export function openReport(path: string): ReportFile | undefined {
  if (path === 'table' || path === 'json') return undefined
  const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
  const follow = /^\/(dev|proc)\//.test(path) ? 0 : O_NOFOLLOW
  try {
    return { path, fd: openSync(path, O_WRONLY | O_CREAT | O_NONBLOCK | follow, 0o666) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const left =
      code === 'ELOOP' ? 'it is a symbolic link' : code === 'ENXIO' ? 'it is a pipe without a reader' : undefined
    throw new UsageError(
      `--report ${path}: ${left === undefined ? fileFault(error, path, 'write') : `${left}${elsewhere}`}`,
    )
  }
}

interface Told {
  /** Of `--report FILE`. */
  readonly file: ReportFile | undefined
  /** How the limits of a table are named. */
  readonly names: Names | undefined
}

const elsewhere = '\n      a sandbox may have left it: look at it, or name a file where the sandbox does not write'

/**
 * Both go to standard error, a file named by `--report` aside: standard output is the command's. Where neither says there which limit
 * ended the command, a line does: its exit status alone would be that of any kill.
 */
export function tell(ended: Result | VialError, flags: ReportFlags, { file, names = policyNames }: Told): void {
  const report: Report = ended instanceof Error ? { verdict: faultOf(ended) } : ended
  const said = flags.verdict || flags.report === 'table' || flags.report === 'json'
  const limit = said ? undefined : limitMet(report.verdict)
  if (limit !== undefined) write(2, `vial: ${limit}\n`)
  if (flags.verdict) write(2, `vial: ${sentence(report.verdict)}\n`)
  if (flags.report === undefined) return
  if (file !== undefined) writeReport(file, `${JSON.stringify(report, null, 2)}\n`)
  else if (flags.report === 'table') write(2, table(report, names))
  else write(2, `${JSON.stringify(report)}\n`)
}

const faultOf = ({ stage, code, message }: VialError): Verdict => ({
  kind: 'sandbox-error',
  stage,
  ...(code === undefined ? {} : { code }),
  message,
})

/** @throws {Error} when another file is at the place by now: who reads there would take it for ours */
function writeReport({ path, fd }: ReportFile, text: string): void {
  const opened = fstatSync(fd)
  if (opened.isFile()) {
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (!/^\/(dev|proc)\//.test(path) && (there?.ino !== opened.ino || there.dev !== opened.dev))
      throw new UsageError(`--report ${path}: it is not the file that was there before the run${elsewhere}`)
    ftruncateSync(fd)
  }
  try {
    writeFileSync(fd, text)
  } catch (error) {
    throw new UsageError(`--report ${path}: ${fileFault(error, path, 'write')}`)
  } finally {
    closeSync(fd)
  }
}

/** `time-limit: cpu, 2000 ms`. */
export function sentence(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'ok':
      return 'ok'
    case 'exit':
      return `exit: ${verdict.code}`
    case 'signal':
      return `signal: ${verdict.signal}`
    case 'memory-limit':
      return `memory-limit: ${verdict.limit} bytes`
    case 'time-limit':
      return `time-limit: ${verdict.clock}, ${verdict.limit} ms`
    case 'output-limit':
      return `output-limit: ${verdict.stream}, ${verdict.limit} bytes`
    case 'pids-limit':
      return `pids-limit: ${verdict.limit}`
    case 'killed':
      return verdict.by === undefined ? 'killed' : `killed: ${verdict.by}`
    case 'sandbox-error':
      return `sandbox-error: ${verdict.message.split('\n')[0]}`
  }
}

/** Which limit ended the command, or stood in its way, for people. */
export function limitMet(verdict: Verdict): string | undefined {
  switch (verdict.kind) {
    case 'memory-limit':
      return `ended by the limit: memory, ${size(verdict.limit)}`
    case 'time-limit':
      return `ended by the limit: ${verdict.clock === 'cpu' ? 'CPU time' : 'wall time'}, ${time(verdict.limit)}`
    case 'output-limit':
      return `ended by the limit: ${verdict.stream === 'both' ? 'output' : verdict.stream}, ${size(verdict.limit)}`
    case 'pids-limit':
      return `it failed, and the limit had refused a process: pids, ${verdict.limit}`
    default:
      return undefined
  }
}

/**
 * Which limit of a single process ended the command, for people. The kernel tells it by a signal alone, which others may send, too:
 * it has no verdict of its own.
 */
export function processLimitMet(
  { verdict, usage, enforcement }: Result,
  { limits, rlimits }: Policy,
  names: Names,
): string | undefined {
  if (verdict.kind !== 'signal') return undefined
  const own = rlimits?.cpu
  const cpu = typeof own === 'object' ? own.hard : own
  // The kernel counts the ticks of its clock for this limit, and what was used for the usage: they differ by a fifth and more.
  const likely = typeof cpu === 'number' && usage.userMs + usage.systemMs >= 500 * cpu
  if (verdict.signal === 'SIGXFSZ') {
    const key: KeyPath | undefined =
      limits?.fileSize === undefined ? (rlimits?.fsize === undefined ? undefined : 'rlimits.fsize') : 'limits.fileSize'
    return `ended by the limit: size of a file, ${key === undefined ? "the caller's own (ulimit -f)" : names.key(key)}`
  }
  if (verdict.signal === 'SIGXCPU')
    return `ended by the limit: CPU time of a process, ${own === undefined ? "the caller's own (ulimit -t)" : names.key('rlimits.cpu' satisfies KeyPath)}`
  return likely && verdict.signal === 'SIGKILL'
    ? `killed, and probably by the limit: CPU time of a process, ${names.key('rlimits.cpu' satisfies KeyPath)}`
    : refusalBehind(verdict.signal, enforcement)
}

/** The kernel reports no refusal that an rlimit caused: only a signal, where it sends one, is seen. setrlimit(2). */
function refusalBehind(signal: string, enforcement: EnforcementOf): string | undefined {
  const behind = [
    ...(enforcement.memory === 'rlimit of each process' && signal !== 'SIGKILL'
      ? ['memory, which RLIMIT_DATA stands in for here']
      : []),
    ...(enforcement.stack !== undefined && signal === 'SIGSEGV' ? ['stack'] : []),
  ]
  return behind.length === 0 ? undefined : `ended by ${signal}: it may have met a limit: ${behind.join('; or ')}`
}

/** `64 MiB`, or to the byte. */
function size(value: number): string {
  const [unit, name] = (
    [
      [2 ** 30, 'GiB'],
      [MiB, 'MiB'],
      [1024, 'KiB'],
    ] as const
  ).find(([unit]) => value > 0 && value % unit === 0) ?? [1, 'bytes']
  return `${value / unit} ${name}`
}
const time = (value: number) => (value >= 1000 ? `${value / 1000} s` : `${value} ms`)

const MiB = 2 ** 20
const milliseconds = (value: number) => `${value.toFixed(1)} ms`
const bytes = (value: number) => (value < MiB ? `${(value / 1024).toFixed(0)} KiB` : `${(value / MiB).toFixed(1)} MiB`)

function table(report: Report, names: Names): string {
  const rows: [string, string | undefined][] = [['verdict', sentence(report.verdict)]]
  if ('usage' in report) {
    const { usage, durationMs, enforcement } = report
    const show = (value: number | undefined, how: (value: number) => string) =>
      value === undefined ? undefined : how(value)
    rows.push(
      ['wall time', milliseconds(durationMs)],
      ['CPU time', milliseconds(usage.cpuMs ?? usage.userMs + usage.systemMs)],
      ['  user', milliseconds(usage.cpuUserMs ?? usage.userMs)],
      ['  system', milliseconds(usage.cpuSystemMs ?? usage.systemMs)],
      ['  held back', show(usage.throttledMs, milliseconds)],
      ['peak memory', show(usage.peakMemory, bytes)],
      ['largest process', bytes(usage.maxRss)],
      ['killed for memory', show(usage.oomKills, String)],
      ['slowed down for memory', show(usage.memoryHighHits, String)],
      ['peak processes', show(usage.peakPids, String)],
      ['refused processes', show(usage.pidsLimitHits, String)],
      ['read', show(usage.readBytes, bytes)],
      ['written', show(usage.writtenBytes, bytes)],
      ...Object.entries<string>(enforcement).map(([name, by]): [string, string] => [names.key(`limits.${name}`), by]),
    )
  }
  const shown = rows.filter((row): row is [string, string] => row[1] !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}
