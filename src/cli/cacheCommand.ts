/** `vial cache`. */
import { basename } from 'node:path'
import { buildOf } from '../bwrap/frontFile.js'
import { cacheDirectory } from '../cache/cacheDirectory.js'
import { type CacheEntry, cacheEntries, clearCache } from '../cache/cacheEntries.js'
import { printJson, write } from '../text/write.js'
import { UsageError } from './commandLine.js'

export function cache(what: string, { json }: { readonly json?: true }): void {
  if (what === 'list') listCache(json)
  else if (what === 'clear') write(1, `${cacheDirectory()}: removed ${summary(clearCache())}\n`)
  else throw new UsageError(`cache: must be followed by list or clear, not by ${what}`)
}

function listCache(json?: true): void {
  const entries = cacheEntries()
  if (json) {
    printJson(entries)
    return
  }
  const current = Buffer.from(buildOf()).toString('hex')
  const lines = entries.map((entry) => {
    const time = entry.time.toISOString().slice(0, 16).replace('T', ' ')
    return `${entry.kind.padEnd(7)}  ${kilobytes(entry.size).padStart(9)}  ${time}  ${describe(entry, current)}\n`
  })
  write(1, `${cacheDirectory()}: ${summary(entries)}\n${lines.join('')}`)
}

function describe({ kind, key, path }: CacheEntry, current: string): string {
  if (kind === 'sandbox') return basename(path)
  if (key === undefined) return 'damaged; never used'
  const given = key.args.map((words) => ` (--args gave: ${words.map(quote).join(' ')})`).join('')
  const stale = key.build === current ? '' : ' (of another build of vial; never used by this one)'
  return `uid ${key.uid}: ${key.words.map(quote).join(' ')}${given}${stale}`
}

/** As a shell would take it; what a terminal would obey is escaped. */
function quote(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  return JSON.stringify(word).replace(/[\x7f-\x9f]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`)
}

const summary = (entries: readonly CacheEntry[]) =>
  `${entries.length} ${entries.length === 1 ? 'vial' : 'vials'}, ${kilobytes(entries.reduce((sum, { size }) => sum + size, 0))}`

const kilobytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KB`
