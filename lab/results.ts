/** What the guests told, as it is kept: lab/results.json, from which docs/lab.md is written. A run replaces what it ran. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Feature } from './jobs.js'
import { type EndLine, isEnd, isFacts, isTest, type Line } from './report.js'

/** All that the guests of one kernel told in one run of the lab. */
export interface Outcome {
  readonly kernel: string
  readonly lines: readonly Line[]
  /** Why a guest did not end by itself. */
  readonly broken?: readonly string[]
}

/** One feature on one kernel. */
export interface Cell {
  readonly passed: number
  /** Why, in a line, by the tests' names; empty: not known. */
  readonly failed: Readonly<Record<string, string>>
  readonly skipped: Readonly<Record<string, string>>
  /** How the job ended; undefined: the guest did not say. */
  readonly end?: EndLine['end']
  readonly seconds?: number
}

/** By the names of kernels; cells by the titles of features. */
export type Results = Readonly<Record<string, KernelResults>>
export interface KernelResults {
  readonly facts: Readonly<Record<string, string>>
  readonly cells: Readonly<Record<string, Cell>>
}

function cellOf({ job, names }: Feature, lines: readonly Line[]): Cell {
  const tests = lines.filter(isTest).filter((line) => line.job === job && (names?.test(line.test) ?? true))
  const why = (wanted: string, shown: (text: string) => string) =>
    Object.fromEntries(tests.filter(({ status }) => status === wanted).map(({ test, why }) => [test, shown(why ?? '')]))
  const ended = lines.filter(isEnd).find((line) => line.job === job)
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: why('failed', (text) => text.split('\n')[0]!.slice(0, 200)),
    skipped: why('skipped', (text) => text || 'skipped'),
    ...(ended === undefined ? {} : { end: ended.end, seconds: Math.round(ended.seconds) }),
  }
}

/** The features of these jobs, as a run told them. A booted systemd's facts are told by its own guest only. */
export function resultsOf(outcomes: readonly Outcome[], features: readonly Feature[]): Results {
  const one = ({ lines }: Outcome): KernelResults => ({
    facts: Object.fromEntries(
      lines.filter(isFacts).flatMap(({ facts }) => Object.entries(facts).filter(([, value]) => value !== 'not booted')),
    ),
    cells: Object.fromEntries(features.map((feature) => [feature.title, cellOf(feature, lines)])),
  })
  return Object.fromEntries(outcomes.map((outcome) => [outcome.kernel, one(outcome)]))
}

/** Another release of a kernel's line is another kernel: nothing is left of what the one before told. */
export function merge(before: Results, now: Results): Results {
  const merged = { ...before }
  for (const [kernel, { facts, cells }] of Object.entries(now)) {
    const old = before[kernel]
    const same = old !== undefined && (facts.kernel === undefined || old.facts.kernel === facts.kernel)
    merged[kernel] = same ? { facts: { ...old.facts, ...facts }, cells: { ...old.cells, ...cells } } : { facts, cells }
  }
  return merged
}

/** Without the cells of features that the lab has no more. */
export const known = (results: Results, features: readonly Feature[]): Results =>
  Object.fromEntries(
    Object.entries(results).map(([kernel, { facts, cells }]) => [
      kernel,
      {
        facts,
        cells: Object.fromEntries(features.flatMap(({ title }) => (cells[title] ? [[title, cells[title]]] : []))),
      },
    ]),
  )

export const resultsFile = fileURLToPath(new URL('../../lab/results.json', import.meta.url))

export const readResults = (file = resultsFile): Results =>
  existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : {}

export const writeResults = (results: Results, file = resultsFile): void =>
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)

export const failures = ({ lines }: Outcome) => lines.filter(isTest).filter(({ status }) => status === 'failed')

/** Whether all jobs that were asked for were run, and passed. */
export const isGood = (outcome: Outcome, jobs: readonly string[]): boolean =>
  failures(outcome).length === 0 &&
  (outcome.broken ?? []).length === 0 &&
  jobs.every((id) => {
    const end = outcome.lines.filter(isEnd).find(({ job }) => job === id)
    return end?.end === 'ended' && outcome.lines.some((line) => isTest(line) && line.job === id)
  })
