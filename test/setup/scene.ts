/** A directory that an earlier payload could write, what lies beside it on the host, and how to tell that it was reached. */
import { chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { S_IF } from '../../src/kernel/flags.js'

/** What only the host has. */
export const canary = 'the secret of the host'

export interface Scene {
  /** The doors start here. */
  readonly base: string
  /** Shown as /shown, writable; a payload was there before. */
  readonly work: string
  /** Shown as /other, writable: but no entry of a case is meant for it. */
  readonly other: string
  /** Shown nowhere. */
  readonly outside: string
  /** The same as the builder may see it: the host can lie elsewhere while the new root is built. */
  readonly reach: string
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** `payload`: who wrote in /shown before; `caller` owns the rest. `host`: where the builder has the host's root. */
export function makeScene(top: string, caller: Owner, payload: Owner, host = ''): Scene {
  const base = mkdtempSync(join(top, 'scene-'))
  const at = (name: string) => join(base, name)
  for (const name of ['work', 'work/real', 'work/lower', 'other', 'other/dir', 'outside', 'outside/dir'])
    mkdirSync(at(name))
  writeFileSync(at('outside/secret'), canary, { mode: 0o644 })
  writeFileSync(at('outside/dir/secret'), canary, { mode: 0o644 })
  writeFileSync(at('other/file'), 'of another bind', { mode: 0o600 })
  if (process.getuid?.() === 0)
    for (const path of [base, ...readdirSync(base, { recursive: true }).map((name) => at(String(name)))]) {
      const { uid, gid } = path.startsWith(at('work')) ? payload : caller
      chownSync(path, uid, gid)
    }
  return {
    base,
    work: at('work'),
    other: at('other'),
    outside: at('outside'),
    reach: `${host}${at('outside')}`,
  }
}

/** All that a builder could change of a tree. */
export function picture(path: string): string {
  const { mode, uid, gid, size, nlink } = lstatSync(path)
  const status = [path, mode.toString(8), uid, gid]
  const kind = mode & S_IF.MT
  if (kind === S_IF.REG) return [...status, size, nlink, readFileSync(path)].join(' ')
  return [status.join(' '), ...(kind === S_IF.DIR ? names(path) : []).map((name) => picture(join(path, name)))].join(
    '\n',
  )
}

/** An overlay makes a directory that only root can look into. */
function names(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return []
    throw error
  }
}
