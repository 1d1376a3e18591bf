/** From what the guests told to one table: kernel × feature. */
import type { Feature } from './jobs.js'
import type { EndLine, FactsLine, Line, TestLine } from './report.js'

/** All that the guests of one kernel told. */
export interface Outcome {
  readonly kernel: string
  readonly lines: readonly Line[]
  /** Why a guest did not end by itself. */
  readonly broken?: readonly string[]
}

const isTest = (line: Line): line is TestLine => 'test' in line
export const isEnd = (line: Line): line is EndLine => 'end' in line
export const isFacts = (line: Line): line is FactsLine => 'facts' in line

/** `12 of 12`, `11 of 12`, `no: why it was skipped`, or `-` where nothing was run. */
export function cellOf(feature: Feature, { lines }: Outcome): string {
  const tests = lines
    .filter(isTest)
    .filter(({ job, test }) => job === feature.job && (feature.names?.test(test) ?? true))
  const ended = lines.filter(isEnd).find(({ job }) => job === feature.job)
  const run = tests.filter(({ status }) => status !== 'skipped')
  const passed = run.filter(({ status }) => status === 'passed')
  if (ended?.end === 'late') return `out of time after ${passed.length} passed`
  if (run.length > 0)
    return `${passed.length === run.length ? '' : '**'}${passed.length} of ${run.length}${passed.length === run.length ? '' : '**'}`
  const reasons = [...new Set(tests.map(({ why }) => why ?? 'skipped'))]
  if (reasons.length > 0) return reasons.join('; ')
  return ended === undefined ? '-' : '**nothing ran**'
}

export const failures = (outcome: Outcome): readonly TestLine[] =>
  outcome.lines.filter(isTest).filter(({ status }) => status === 'failed')

/** Whether all that was asked for was run, and passed. */
export const isGood = (outcome: Outcome, jobs: readonly string[]): boolean =>
  failures(outcome).length === 0 &&
  (outcome.broken ?? []).length === 0 &&
  jobs.every((id) => {
    const end = outcome.lines.filter(isEnd).find(({ job }) => job === id)
    return end?.end === 'ended' && outcome.lines.some((line) => isTest(line) && line.job === id)
  })

export function tableRows(outcomes: readonly Outcome[], features: readonly Feature[]): string[][] {
  return [
    ['', ...outcomes.map(({ kernel }) => kernel)],
    ...features.map((feature) => [feature.title, ...outcomes.map((outcome) => cellOf(feature, outcome))]),
  ]
}

/** The facts that the guests told, in the order of their telling; a booted systemd's is told by its own guest. */
export function factRows(outcomes: readonly Outcome[]): string[][] {
  const all = outcomes.map(({ lines }) => {
    const told = lines.filter(isFacts).map(({ facts }) => Object.entries(facts))
    return new Map(told.flat().filter(([, value]) => value !== 'not booted'))
  })
  const names = [...new Set(all.flatMap((facts) => [...facts.keys()]))]
  return names.map((name) => [name, ...all.map((facts) => facts.get(name) ?? '-')])
}

/** A table of Markdown. */
export const markdown = ([head, ...rows]: readonly (readonly string[])[]): string =>
  [head!, head!.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

/** In columns, for a terminal. */
export function columns(rows: readonly (readonly string[])[]): string {
  const plain = rows.map((row) => row.map((cell) => cell.replaceAll(/[*`]/g, '')))
  const widths = plain[0]!.map((_, column) => Math.max(...plain.map((row) => row[column]!.length)))
  return plain
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
