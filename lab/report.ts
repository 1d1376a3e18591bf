/** Lines of JSON that a guest writes to its port, and what they come to. */
export interface TestLine {
  readonly job: string
  readonly test: string
  readonly status: 'passed' | 'failed' | 'skipped'
  /** Why it failed or was skipped. */
  readonly why?: string
}
/** What the guest is. */
export interface FactsLine {
  readonly facts: Readonly<Record<string, string>>
}
export interface EndLine {
  readonly job: string
  readonly end: 'ended' | 'late'
  readonly seconds: number
  /** What was not a test's: standard error, and all that a bench printed. */
  readonly said?: string
}
/** A job has said nothing for so long. */
export interface SilentLine {
  readonly job: string
  /** The test that began last. */
  readonly silent: string
  readonly seconds: number
  /** What the guest was at. */
  readonly state: string
}
/** It was silent for too long, and is run once more from its beginning. */
export interface AgainLine {
  readonly job: string
  /** The test that hung. */
  readonly again: string
}
export type Line = TestLine | FactsLine | EndLine | SilentLine | AgainLine

export function parseLine(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line
  } catch {
    return undefined
  }
}

export const isTest = (line: Line): line is TestLine => 'test' in line
export const isEnd = (line: Line): line is EndLine => 'end' in line
export const isSilent = (line: Line): line is SilentLine => 'silent' in line
export const isAgain = (line: Line): line is AgainLine => 'again' in line
export const isFacts = (line: Line): line is FactsLine => 'facts' in line

/** The lines with one more: what a job told before it hung, and is run again, counts no longer. */
export const withLine = (lines: readonly Line[], line: Line): Line[] =>
  isAgain(line) ? [...lines.filter((old) => !(isTest(old) && old.job === line.job)), line] : [...lines, line]
