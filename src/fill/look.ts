/**
 * How a fill looks at the host: all that it reads goes through these functions, most of which have the names of those of node:fs.
 * So what was looked at can be written down, and the answer is valid as long as all of it stays as it was.
 */
import * as fs from 'node:fs'
import { walkPath } from '../kernel/pathWalk.js'

export { closeSync, constants, type Dirent, fstatSync, readSync, type Stats } from 'node:fs'

/** Milliseconds: a second change within one tick of a filesystem's clock leaves the same times. FAT has the longest ticks. */
const tick = 2000

/** What was looked at, from the first look on. */
export class Looks {
  readonly #found = new Map<string, Found>()
  readonly #listed = new Set<string>()
  readonly #variables = new Map<string, string | undefined>()
  /** Calls of {@link note}: most paths are looked at several times. */
  readonly #noted = new Set<string>()

  /** @param settled milliseconds since the epoch: what changed later may change once more within the same tick */
  constructor(private readonly settled = Date.now() - tick) {}

  /** Notes each name on the way to `path`, and where links lead. To be called before the file is read. */
  note(path: string, listed: boolean): void {
    const call = `${listed ? 'l' : 'e'}${path}`
    if (this.#noted.has(call)) return
    this.#noted.add(call)
    const real = walkPath(path, {
      at: (next) => {
        const found = this.#found.get(next) ?? findAt(next)
        this.#found.set(next, found)
        return found.link ?? (found.status === undefined ? false : undefined)
      },
    })
    if (listed && real !== undefined) this.#listed.add(real)
  }

  noteVariable(name: string): void {
    this.#variables.set(name, process.env[name])
  }

  /**
   * All of it as one text, for {@link isAsSeen}; empty when nothing was looked at. Undefined: something of it changed so lately that
   * another change could not be told from that one.
   */
  written(): string | undefined {
    const lines: string[] = []
    for (const [path, { status }] of this.#found) {
      const listed = this.#listed.has(path)
      if (status !== undefined && (listed || !status.isDirectory()) && status.ctimeMs > this.settled) return undefined
      lines.push(`${listed ? 'l' : 'e'}${path}\0${identity(status, listed)}`)
    }
    for (const [name, value] of this.#variables) lines.push(`v${name}\0${wordOf(value)}`)
    return lines.join('\0')
  }
}

/** Whether all that {@link Looks.written} tells of is as it was. */
export function isAsSeen(written: string): boolean {
  const words = written === '' ? [] : written.split('\0')
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at]!.slice(1)
    const kind = words[at]![0]
    const now = kind === 'v' ? wordOf(process.env[name]) : identity(statusOf(name), kind === 'l')
    if (now !== words[at + 1]) return false
  }
  return true
}

const wordOf = (variable: string | undefined) => (variable === undefined ? '' : `=${variable}`)

interface Found {
  readonly status: fs.Stats | undefined
  readonly link?: string
}

function findAt(path: string): Found {
  const status = statusOf(path)
  if (!status?.isSymbolicLink()) return { status }
  try {
    return { status, link: fs.readlinkSync(path) }
  } catch {
    return { status: undefined }
  }
}

/** Undefined also of what cannot be looked at: below a file, or in a directory that is closed to the caller. */
function statusOf(path: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

/** In a directory that was only passed, names come and go: its times matter only where its names were listed. */
function identity(status: fs.Stats | undefined, listed: boolean): string {
  if (status === undefined) return ''
  const { dev, ino, mode, uid, gid, size, mtimeMs, ctimeMs } = status
  const times = listed || !status.isDirectory() ? `,${size},${mtimeMs},${ctimeMs}` : ''
  return `${dev},${ino},${mode},${uid},${gid}${times}`
}

let current: Looks | undefined

/** Writes down in `looks` what is looked at during `action`. */
export function noting<Value>(looks: Looks, action: () => Value): Value {
  const before = current
  current = looks
  try {
    return action()
  } finally {
    current = before
  }
}

export function lstatSync(path: string): fs.Stats {
  current?.note(path, false)
  return fs.lstatSync(path)
}

export function statSync(path: string): fs.Stats {
  current?.note(path, false)
  return fs.statSync(path)
}

export function readlinkSync(path: string): string {
  current?.note(path, false)
  return fs.readlinkSync(path)
}

export function realpathSync(path: string): string {
  current?.note(path, false)
  return fs.realpathSync(path)
}

export function existsSync(path: string): boolean {
  current?.note(path, false)
  return fs.existsSync(path)
}

export function accessSync(path: string, mode: number): void {
  current?.note(path, false)
  fs.accessSync(path, mode)
}

export function readdirSync(path: string): string[] {
  current?.note(path, true)
  return fs.readdirSync(path)
}

/** The same, with what kind of file each is. */
export function listSync(path: string): fs.Dirent[] {
  current?.note(path, true)
  return fs.readdirSync(path, { withFileTypes: true })
}

export function openSync(path: string, flags: number): number {
  current?.note(path, false)
  return fs.openSync(path, flags)
}

/** An environment variable of the caller. */
export function variable(name: string): string | undefined {
  current?.noteVariable(name)
  return process.env[name]
}

/** The bytes of a file, by its path or its descriptor. */
export function readFileSync(path: string | number): Buffer {
  if (typeof path === 'string') current?.note(path, false)
  return fs.readFileSync(path)
}
