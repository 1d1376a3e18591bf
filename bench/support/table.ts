/** Plain tables on standard output. */
import { median, quantile, type Times } from './race.js'

/** Prints rows below a title; the first column is text, the others are set to the right. */
export function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  const shown = lines.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
  process.stdout.write(`\n${title}\n${'-'.repeat(title.length)}\n${shown.join('\n')}\n`)
}

/** One line about what is left out, and why. */
export function note(text: string): void {
  process.stdout.write(`  (${text})\n`)
}

/** A row of a race: how its median compares with another's, and what is asked of it. */
export interface Runner {
  readonly name: string
  readonly times: Times
  readonly against?: { readonly name: string; readonly times: Times; readonly target?: number }
}

const head = ['', 'median', 'p10', 'p90', 'least', 'ratio', 'to', 'target']

export function raceTable(title: string, runners: readonly Runner[]): void {
  table(title, head, runners.map(raceRow))
}

function raceRow({ name, times, against }: Runner): string[] {
  const numbers = [median(times), quantile(times, 0.1), quantile(times, 0.9), times[0]!].map(milliseconds)
  if (against === undefined) return [name, ...numbers]
  const ratio = median(times) / median(against.times)
  const { target } = against
  const verdict = target === undefined ? '' : `<= ${target}${ratio <= target ? '' : ' MISSED'}`
  return [name, ...numbers, ratio.toFixed(2), against.name, verdict]
}

export const milliseconds = (nanoseconds: number): string => `${(nanoseconds / 1e6).toFixed(2)} ms`
