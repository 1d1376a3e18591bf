/** What each profile lets a program of each language do. `npm run languages` writes the table of docs/seccomp.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { columns, languages } from '../support/languages.js'

export function table(): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(['', ...columns.map((column) => `\`${column}\``)]),
    line(['---', ...columns.map(() => '---')]),
    ...languages.map(({ name, refused = {} }) =>
      line([name, ...columns.map((column) => (column in refused ? 'refused' : 'runs'))]),
    ),
  ].join('\n')
}

export const page = 'docs/seccomp.md'
const marks = ['<!-- npm run languages -->\n', '\n<!-- end of languages -->'] as const

/** The document with this between its marks. */
export function withTable(text: string, content: string): string {
  const [start, end] = marks.map((mark) => text.indexOf(mark)) as [number, number]
  if (start === -1 || end < start) throw new Error(`${page} has no place for the table`)
  return text.slice(0, start + marks[0].length) + content + text.slice(end)
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(page, withTable(readFileSync(page, 'utf8'), table()))
