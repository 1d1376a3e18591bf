/**
 * Changes as text: unified diffs as git(1) writes and applies them, git-diff(1), "Generating patch text with -p". Files that are no UTF-8 or
 * too large are only named, as git does with binary ones.
 */
import { isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, readSync } from 'node:fs'
import { structuredPatch } from 'diff'
import { attempt } from '../text/attempt.js'
import { type HostDirectory, inDirectory } from './hostDirectory.js'
import { type Change, type Found, permissions, typeOf } from './workChanges.js'

/** Bytes of one side of a change, and of all texts together. */
const most = { file: 2 ** 20, all: 2 ** 26 }
/** The search for the least difference takes some 10 ns for each pair of a line and an edit. Beyond this all lines are shown as replaced. */
const search = { edits: 2000, pairs: 2e7 }

/** One side of a change. */
interface Side {
  readonly mode: string
  /** Undefined: it is not text. */
  readonly text: string | undefined
}

/** Each with its text, if it has one: a directory, a FIFO, a socket and a device have none. */
export function withTexts(host: HostDirectory, uppers: readonly HostDirectory[], found: readonly Found[]): Change[] {
  let left = most.all
  return found.map((one) => {
    const text = textOf(host, uppers[one.layer]!, one, Math.min(most.file, left))
    left -= text === undefined ? 0 : Math.min(text.length, left)
    return text === undefined ? one.change : { ...one.change, text }
  })
}

function textOf(host: HostDirectory, upper: HostDirectory, one: Found, limit: number): string | undefined {
  const before = one.host === undefined ? undefined : sideOf(host, one.names, limit)
  const now = one.change.kind === 'removed' ? undefined : sideOf(upper, one.names, limit)
  if (before === undefined && now === undefined) return undefined
  const [from, to] = ['a/', 'b/'].map((prefix) => quotedName(prefix, one.names))
  const head = `diff --git ${from} ${to}\n`
  if (before === undefined) return `${head}new file mode ${now!.mode}\n${body('/dev/null', to!, undefined, now)}`
  if (now === undefined)
    return `${head}deleted file mode ${before.mode}\n${body(from!, '/dev/null', before, undefined)}`
  // For git a file that becomes a link is removed, and added.
  if (before.mode.slice(0, 3) !== now.mode.slice(0, 3))
    return [
      `${head}deleted file mode ${before.mode}\n${body(from!, '/dev/null', before, undefined)}`,
      `${head}new file mode ${now.mode}\n${body('/dev/null', to!, undefined, now)}`,
    ].join('')
  const modes = before.mode === now.mode ? '' : `old mode ${before.mode}\nnew mode ${now.mode}\n`
  return head + modes + body(from!, to!, before, now)
}

/** Undefined: it is none of the types that have a text. */
function sideOf(top: HostDirectory, names: readonly Buffer[], limit: number): Side | undefined {
  return inDirectory(top, names, (above, name) => {
    const status = above.status(name)
    const type = status === undefined ? undefined : typeOf(status)
    if (type === 'link') return { mode: '120000', text: decoded(above.linkText(name)) }
    if (type !== 'file') return undefined
    const mode = `100${permissions(status!).toString(8).padStart(3, '0')}`
    return { mode, text: decoded(attempt(() => content(above.read(name), limit))) }
  })
}

/** Undefined: it is too large, or becomes longer just now. */
function content(fd: number, limit: number): Buffer | undefined {
  try {
    // One more than there is: the payload may write on.
    const bytes = Buffer.allocUnsafe(Math.min(fstatSync(fd).size, limit) + 1)
    let size = 0
    for (let read = -1; read !== 0 && size < bytes.length; size += read)
      read = readSync(fd, bytes, size, bytes.length - size, size)
    return size === bytes.length ? undefined : bytes.subarray(0, size)
  } finally {
    closeSync(fd)
  }
}

const decoded = (bytes: Buffer | undefined) =>
  bytes === undefined || bytes.includes(0) || !isUtf8(bytes) ? undefined : bytes.toString()

function body(from: string, to: string, before: Side | undefined, now: Side | undefined): string {
  const texts = [before, now].map((side) => (side === undefined ? '' : side.text))
  const [old, young] = texts
  if (old === undefined || young === undefined) return `Binary files ${from} and ${to} differ\n`
  if (old === young) return ''
  return `--- ${ended(from)}\n+++ ${ended(to)}\n${hunks(old, young)}`
}

/** A name with a blank in it ends with a tab there, as git has it for patch(1). */
const ended = (name: string) => (name.includes(' ') ? `${name}\t` : name)

function hunks(old: string, young: string): string {
  const lines = old.split('\n').length + young.split('\n').length
  const maxEditLength = Math.min(search.edits, Math.floor(search.pairs / lines))
  const found = structuredPatch('', '', old, young, '', '', { context: 3, maxEditLength })?.hunks ?? [
    replaced(old, young),
  ]
  const range = (start: number, count: number) => `${count === 0 ? start - 1 : start}${count === 1 ? '' : `,${count}`}`
  return found
    .map(({ oldStart, oldLines, newStart, newLines, lines }) =>
      [`@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`, ...lines, ''].join('\n'),
    )
    .join('')
}

/** All lines of one text in place of all of the other. */
function replaced(old: string, young: string) {
  const [removed, added] = [old, young].map((text, index) => {
    const lines = text.split('\n').map((line) => (index === 0 ? '-' : '+') + line)
    const last = lines.pop()!
    return {
      lines: last.length === 1 ? lines : [...lines, last, '\\ No newline at end of file'],
      count: lines.length + (last.length === 1 ? 0 : 1),
    }
  })
  return {
    ...{ oldStart: 1, oldLines: removed!.count, newStart: 1, newLines: added!.count },
    lines: [...removed!.lines, ...added!.lines],
  }
}

const escapes: Readonly<Record<number, string>> = {
  7: 'a',
  8: 'b',
  9: 't',
  10: 'n',
  11: 'v',
  12: 'f',
  13: 'r',
  34: '"',
  92: '\\',
}

/** As git quotes a name that holds more than printable ASCII: git-config(1), core.quotePath. */
function quotedName(prefix: string, names: readonly Buffer[]): string {
  const path = prefix + names.map((name) => name.toString('latin1')).join('/')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is quoted
  const inQuotes = path.replace(/[\0-\x1f"\\\x7f-\xff]/g, (one) => {
    const code = one.charCodeAt(0)
    return `\\${escapes[code] ?? code.toString(8).padStart(3, '0')}`
  })
  return inQuotes === path ? path : `"${inQuotes}"`
}
