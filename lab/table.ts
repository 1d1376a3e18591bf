/** From results to tables: kernel × feature, what the guests are, what was skipped. */
import type { Feature } from './jobs.js'
import type { Cell, KernelResults, Results } from './results.js'

/** `12 of 12`, `11 of 12` in bold, `no: why it was skipped`, or `-` where nothing was run. */
export function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return '-'
  const { passed, failed, skipped, end } = cell
  const fails = Object.keys(failed).length
  const run = passed + fails
  if (end === 'late') return `**out of time after ${passed} passed**`
  if (end === undefined) return `**the guest ended after ${passed} passed**`
  if (run > 0) return fails === 0 ? `${passed} of ${run}` : `**${passed} of ${run}**`
  const reasons = [...new Set(Object.values(skipped))]
  return reasons.length > 0 ? `no: ${reasons.join('; ')}` : '**nothing ran**'
}

type Kernels = readonly (readonly [name: string, results: KernelResults])[]
/** In this order; others are not in the tables. */
export const inOrder = (results: Results, names: readonly string[]): Kernels =>
  names.flatMap((name) => (results[name] === undefined ? [] : [[name, results[name]] as const]))

export const tableRows = (kernels: Kernels, features: readonly Feature[]): string[][] => [
  ['', ...kernels.map(([name]) => name)],
  ...features.map(({ title }) => [title, ...kernels.map(([, { cells }]) => cellText(cells[title]))]),
]

export function factRows(kernels: Kernels): string[][] {
  const names = [...new Set(kernels.flatMap(([, { facts }]) => Object.keys(facts)))]
  return names.map((name) => [name, ...kernels.map(([, { facts }]) => facts[name] ?? '-')])
}

/** The tests that failed, and those that were skipped beside others that ran: each with the kernels on which that was so. */
export function notesOf(kernels: Kernels, features: readonly Feature[]): string[][] {
  const notes = new Map<string, string[]>()
  const add = (kernel: string, ...row: string[]) => {
    const key = JSON.stringify(row)
    notes.set(key, [...(notes.get(key) ?? []), kernel])
  }
  for (const { title } of features)
    for (const [kernel, { cells }] of kernels) {
      const { passed = 0, failed = {}, skipped = {} } = cells[title] ?? {}
      for (const [test, why] of Object.entries(failed))
        add(kernel, test, why === '' ? '**failed**' : `**failed**: ${why}`)
      if (passed + Object.keys(failed).length > 0)
        for (const [test, why] of Object.entries(skipped)) add(kernel, test, why)
    }
  return [...notes].map(([key, on]) => [...(JSON.parse(key) as string[]), [...new Set(on)].join(', ')])
}

const escaped = (cell: string) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** A table of Markdown. */
export const markdown = ([head, ...rows]: readonly (readonly string[])[]): string =>
  [head!, head!.map(() => '---'), ...rows].map((row) => `| ${row.map(escaped).join(' | ')} |`).join('\n')

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
