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
export type Line = TestLine | FactsLine | EndLine

export function parseLine(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line
  } catch {
    return undefined
  }
}

export const isTest = (line: Line): line is TestLine => 'test' in line
export const isEnd = (line: Line): line is EndLine => 'end' in line
export const isFacts = (line: Line): line is FactsLine => 'facts' in line
