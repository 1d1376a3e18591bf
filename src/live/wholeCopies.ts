/**
 * What a copy writes on the host: each file comes whole or not at all, for it is written beside its place and renamed. A note in the cache says
 * where such a file may lie. When the program is killed, the next copy, or `vial gc`, removes it by that.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { inCache, trustedCache } from '../cache/cacheDirectory.js'
import { ownDirectory } from '../cache/trust.js'
import { attempt } from '../text/attempt.js'
import { HostDirectory, inDirectory } from './hostDirectory.js'
import { fateOf, identityOf, identityText, parseIdentity } from './processes.js'

const directoryName = 'copies'
const temporaryOf = (token: string) => `.vial-${token}`

/** A file that is being written. */
export interface ComingFile {
  readonly fd: number
  /** It is whole. */
  put(): void
  /** It comes to nothing. */
  drop(): void
}

/** The files of one copy, one at a time. */
export class WholeCopies {
  readonly #token = randomBytes(8).toString('hex')
  readonly #note: { readonly path: string; readonly fd: number } | undefined
  #noted: string | undefined

  constructor() {
    // Without a cache a copy is made all the same.
    this.#note = attempt(() =>
      inCache('the note of a copy', (cache) => {
        const home = ownDirectory(join(cache, directoryName))
        removeDead(home)
        const path = join(home, `${identityText(identityOf(process.pid)!)}.${this.#token}`)
        return { path, fd: openSync(path, 'wx', 0o600) }
      }),
    )
  }

  /**
   * Begins a regular file. One that is there keeps its owner and its mode; where these cannot be kept, or nothing can be made beside it, it is
   * written in its place.
   */
  begin(directory: HostDirectory, name: string | Buffer, mode: number): ComingFile {
    const there = directory.status(name) === undefined ? undefined : directory.writable(name)
    try {
      const coming = this.#beside(directory, name, mode, there)
      if (there !== undefined) closeSync(there)
      return coming
    } catch (error) {
      if (there === undefined) throw error
      if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) {
        closeSync(there)
        throw error
      }
    }
    ftruncateSync(there)
    return { fd: there, put: () => closeSync(there), drop: () => closeSync(there) }
  }

  #beside(directory: HostDirectory, name: string | Buffer, mode: number, there: number | undefined): ComingFile {
    const temporary = temporaryOf(this.#token)
    this.#tell(directory)
    const fd = directory.fresh(temporary, there === undefined ? mode : 0o600)
    const drop = () => {
      closeSync(fd)
      attempt(() => directory.remove(temporary))
    }
    try {
      if (there !== undefined) {
        const [before, own] = [fstatSync(there), fstatSync(fd)]
        if (before.uid !== own.uid || before.gid !== own.gid) fchownSync(fd, before.uid, before.gid)
        fchmodSync(fd, before.mode & 0o777)
      }
    } catch (error) {
      drop()
      throw error
    }
    const put = () => {
      try {
        directory.rename(temporary, name)
      } catch (error) {
        drop()
        throw error
      }
      closeSync(fd)
    }
    return { fd, put, drop }
  }

  /** Before anything is made there. */
  #tell(directory: HostDirectory): void {
    if (this.#note === undefined) return
    const path = directory.path().toString('latin1')
    if (path !== this.#noted) writeSync(this.#note.fd, Buffer.from(`${path}\0`, 'latin1'))
    this.#noted = path
  }

  end(): void {
    if (this.#note === undefined) return
    closeSync(this.#note.fd)
    attempt(() => unlinkSync(this.#note!.path))
  }
}

/** Removes what copies that were killed had begun, and gives their paths. */
export function collectCopies(): readonly string[] {
  return removeDead(join(trustedCache(undefined, { missing: 'refuse' }), directoryName))
}

function removeDead(home: string): readonly string[] {
  const removed: string[] = []
  for (const note of attempt(() => readdirSync(home)) ?? []) {
    const [, owner = '', token = ''] = /^(.*)\.([0-9a-f]{16})$/.exec(note) ?? []
    const identity = parseIdentity(owner)
    if (identity === undefined || fateOf(identity) !== 'dead') continue
    const path = join(home, note)
    const directories = (attempt(() => readFileSync(path, 'latin1')) ?? '').split('\0').slice(0, -1)
    for (const directory of directories)
      if (attempt(() => removeFrom(directory, temporaryOf(token)) ?? true) !== undefined)
        removed.push(`${Buffer.from(directory, 'latin1')}/${temporaryOf(token)}`)
    attempt(() => unlinkSync(path))
  }
  return removed
}

/** @param directory as Latin-1, which keeps each byte */
function removeFrom(directory: string, temporary: string): void {
  const names = [...directory.split('/').filter((name) => name !== ''), temporary]
  const root = HostDirectory.at('/')
  try {
    const bytes = names.map((name) => Buffer.from(name, 'latin1'))
    inDirectory(root, bytes, (above, name) => above.remove(name))
  } finally {
    root.close()
  }
}
