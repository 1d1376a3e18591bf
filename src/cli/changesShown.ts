/** How changes of a work tree are printed. */
import type { Change } from '../live/workChanges.js'
import { columns } from '../text/columns.js'
import { printable } from '../text/printable.js'

const marks: Readonly<Record<Change['kind'], string>> = { added: 'A', changed: 'M', removed: 'D' }

export function tableOf(changes: readonly Change[]): string {
  if (changes.length === 0) return ''
  return columns(
    changes.map(({ kind, type, size, path, protected: isProtected }) => [
      marks[kind],
      type === 'file' ? String(size) : type,
      printable(path) + (type === 'directory' ? '/' : '') + (isProtected ? ' (protected)' : ''),
    ]),
  )
}

/** What is in the files is the command's, and may hold what a terminal obeys. */
export const textOf = (changes: readonly Change[]): string =>
  changes
    .flatMap(({ text = '' }) => text.split('\n').slice(0, -1))
    .map((line) => `${line.split('\t').map(printable).join('\t')}\n`)
    .join('')
