/** Read-only binds that do not make read-only what they name: a writable one shows it at another place as well. */
import { resolve } from 'node:path'
import { realpath } from '../fill/view.js'
import { kindOf } from '../policy/hidden.js'
import { isWithin, normal } from '../policy/path.js'
import type { FilesystemEntry } from '../policy/schema.js'
import { writableSource } from './kept.js'

export interface OtherName {
  /** The read-only bind, and the entry that leaves it writable. */
  readonly index: number
  readonly by: number
  /** Its place, its real path on the host, and the place where it stays writable. */
  readonly place: string
  readonly real: string
  readonly seen: string
}

/**
 * Parts of a writable directory that are to be read-only, but lie elsewhere inside: by a symbolic link, or since the directory
 * has another place. At their place in that directory they would stay writable. An entry that says `from` means its own place only.
 * @param base where relative paths of the host start
 */
export function otherNames(entries: readonly FilesystemEntry[], base: string): OtherName[] {
  const written = entries.flatMap((entry, by) => {
    const source = writableSource(entry, base)
    return source === undefined ? [] : [{ by, top: kindOf(entry).place, realTop: realpath(source) ?? source }]
  })
  if (written.length === 0) return []
  return entries.flatMap((entry, index) => {
    if (!('bind' in entry) || entry.writable || entry.fd !== undefined || entry.from !== undefined) return []
    const { place } = kindOf(entry)
    const source = resolve(base, entry.bind)
    // What is not there is complained about elsewhere.
    const real = realpath(source) ?? source
    const other = written.flatMap(({ by, top, realTop }) => {
      if (!isWithin(real, realTop)) return []
      const seen = normal(`${top}/${real.slice(realTop.length)}`)
      const covered = entries.some((later, at) => at > by && isWithin(seen, kindOf(later).place))
      return seen === place || covered ? [] : [{ index, by, place, real, seen }]
    })
    return other.slice(0, 1)
  })
}
