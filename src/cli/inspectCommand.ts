/** `vial inspect`. */
import { isatty } from 'node:tty'
import type { Agreement, InspectedFact, InspectedProcess, InspectedValue, Inspection } from '../live/inspection.js'
import { inspectSandbox } from '../live/inspectSandbox.js'
import { recordedMounts } from '../live/mountRecords.js'
import { runningSandbox } from '../live/runningSandbox.js'
import { printable } from '../text/printable.js'
import { printJson, write } from '../text/write.js'
import type { psOptions } from './liveFlags.js'
import { several } from './namedCommands.js'
import type { FlagsOf } from './policyFlags.js'

export async function inspect(names: readonly string[], { json }: FlagsOf<typeof psOptions>): Promise<void> {
  const [name] = several(names)
  const { record, directory } = runningSandbox(name).found
  const inspection = await inspectSandbox(record, recordedMounts(directory, record.monitor).all())
  if (json) printJson(inspection)
  else write(1, describe(name, inspection, isColoured() ? coloured : (line) => line))
  if (inspection.agreement === 'differs') process.exitCode = 1
}

/** https://no-color.org */
const isColoured = () => isatty(1) && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

/** What stands before a fact, and how a terminal shows its line: SGR of ECMA-48. */
const marks: Readonly<Record<Agreement, { readonly mark: string; readonly sgr: string; readonly means?: string }>> = {
  asked: { mark: ' ', sgr: '' },
  stricter: { mark: '+', sgr: '32', means: 'less than its policy asks for' },
  differs: { mark: '!', sgr: '1;31', means: 'more than that, or something else' },
  untold: { mark: '?', sgr: '2', means: 'the kernel does not tell, or it cannot be compared' },
}

const coloured = (line: string, agreement: Agreement): string => {
  const { sgr } = marks[agreement]
  return sgr === '' ? line : `\x1b[${sgr}m${line}\x1b[0m`
}

type Paint = (line: string, agreement: Agreement) => string

/** The parts that are lists of facts, with their headings. */
const parts = {
  namespaces: 'namespaces',
  ids: 'ids: inside, outside, how many',
  mounts: 'mounts',
  limits: 'limits of all processes together',
  untold: 'asked for besides',
} as const satisfies Partial<Record<keyof Inspection, string>>

function describe(name: string, inspection: Inspection, paint: Paint): string {
  const lists = Object.entries(parts).map(([part, heading]) => {
    const facts = inspection[part as keyof typeof parts]
    return facts.length === 0 ? [] : [heading, ...rowsOf(facts, paint)]
  })
  const processes = ['processes', ...inspection.processes.flatMap((one) => describeProcess(one, paint))]
  const all = [
    ...Object.keys(parts).flatMap((part) => inspection[part as keyof typeof parts]),
    ...inspection.processes.flatMap(({ facts }) => facts),
  ]
  const count = all.filter(({ agreement }) => agreement === 'differs').length
  const summary =
    count === 0 ? 'as its policy asks' : `${count} ${count === 1 ? 'difference' : 'differences'} from its policy`
  const legend = Object.entries(marks).flatMap(([agreement, { mark, means }]) =>
    means !== undefined && all.some((one) => one.agreement === agreement) ? [`${mark} ${means}`] : [],
  )
  const paragraphs = [[`${name}: ${summary}`, ...(legend.length === 0 ? [] : [legend.join(', ')])], ...lists, processes]
  return paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n')
}

/** What is as asked is told in one line. */
function describeProcess({ pid, inside, origin, command, facts }: InspectedProcess, paint: Paint): string[] {
  const others = facts.filter(({ agreement }) => agreement !== 'asked')
  const same = facts.filter(({ agreement }) => agreement === 'asked')
  const who = origin === 'init' ? "vial's own pid 1" : command.join(' ').slice(0, 100)
  const how = origin === 'entered' ? ', entered from outside' : ''
  return [
    printable(`    ${pid} (${inside} inside${how}): ${who}`),
    ...rowsOf(others, paint).map((row) => `    ${row}`),
    ...(same.length === 0 ? [] : [`        as asked: ${same.map(({ name }) => name).join(', ')}`]),
  ]
}

/** Three columns: what it is, what was found, what was asked for. */
function rowsOf(facts: readonly InspectedFact[], paint: Paint): string[] {
  const cells = facts.map(({ name, found, asked, agreement }) => [
    name,
    found === undefined ? (agreement === 'untold' ? 'not told' : 'missing') : said(found),
    asked === undefined ? 'not asked for' : said(asked),
  ])
  const widths = [0, 1].map((column) => Math.min(48, Math.max(...cells.map((row) => row[column]!.length))))
  return cells.map(([name, found, asked], index) => {
    const { agreement } = facts[index]!
    const line = `${name!.padEnd(widths[0]!)}  ${found!.padEnd(widths[1]!)}  ${asked}`
    return paint(`  ${marks[agreement].mark} ${printable(line)}`, agreement)
  })
}

function said(value: InspectedValue): string {
  if (typeof value !== 'object') return String(value)
  if (value.length === 0) return 'none'
  // Of a process that dropped none, such as root's.
  return value.length > 30 ? `${value.length}, ${value[0]} to ${value.at(-1)}` : value.join(', ')
}
