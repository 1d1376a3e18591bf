/** After a command that failed: which flag would show what its command line names and the sandbox does not see. */
import { existsSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { placeOf } from '../policy/complete.js'
import { findProgram } from '../policy/fill/closure.js'
import type { Policy } from '../policy/schema.js'

/**
 * One sentence for each thing that may have been the cause. The payload may have changed what is looked at here: nothing is opened.
 * @param policy a complete one
 * @param started whether the command ran, and failed by itself
 */
export function hints(policy: Policy, command: string, args: readonly string[], started: boolean): string[] {
  const view = new View(policy)
  const found = [...new Set([command, ...args])].flatMap((word) => view.hint(word, word === command))
  if (!started && !command.includes('/')) found.push(...programHint(view, command))
  return [...new Set(found)]
}

/** What an entry shows: a host path, what a link leads to, or neither. */
interface Seen {
  readonly place: string
  readonly from?: string
  readonly to?: string
  readonly writable: boolean
}

class View {
  readonly #entries: readonly Seen[]
  /** Whether a relative path means the same file inside. */
  readonly #here: boolean

  constructor(policy: Policy) {
    this.#entries = (policy.filesystem ?? [])
      .map((entry): Seen => {
        const place = placeOf(entry)
        if ('bind' in entry)
          return { place, from: resolve(entry.from ?? entry.bind), writable: entry.writable === true }
        if ('symlink' in entry) return { place, to: resolve(dirname(place), entry.to), writable: true }
        // Not the host's, but what a command line means by these names is there.
        return 'proc' in entry || 'dev' in entry || 'file' in entry
          ? { place, from: place, writable: true }
          : { place, writable: true }
      })
      .reverse()
    this.#here = policy.cwd === process.cwd()
  }

  /** The bind that shows a host path at the same place inside, if no other entry lies over it; links inside are followed. */
  bindOf(path: string, links = 0): Seen | undefined {
    const over = this.#entries.find(({ place }) => path === place || path.startsWith(place === '/' ? '/' : `${place}/`))
    if (over?.to !== undefined)
      // As path_resolution(7) has it: more links than this are a loop.
      return links === 40 ? undefined : this.bindOf(over.to + path.slice(over.place.length), links + 1)
    return over?.from === over?.place ? over : undefined
  }

  hint(word: string, isCommand: boolean): string[] {
    if (!likeAPath.test(word) || (isCommand && !word.includes('/'))) return []
    const path = resolve(word)
    const bind = this.bindOf(path)
    if (existsSync(path)) {
      if (bind === undefined) return [`${word} exists, but the sandbox does not see it: add ${this.#flags(word, path)}`]
      if (!word.startsWith('/') && !this.#here)
        return [`${word} starts from this folder, but the command works in another one: add --cwd ${process.cwd()}`]
      return []
    }
    const looksLikeOutput = !isCommand && /[./]/.test(word) && existsSync(dirname(path))
    return looksLikeOutput && bind?.writable === false
      ? [`${word} is not there, and what it lies in is shown read-only: if it is to be written, use --rw ${bind.place}`]
      : []
  }

  /** A relative path needs the folder that it starts from, too. */
  #flags(word: string, path: string): string {
    if (word.startsWith('/') || this.#here) return `--ro ${word} (or --rw ${word})`
    const below = path === process.cwd() || path.startsWith(`${process.cwd()}/`)
    return below ? '--ro . (or --rw .)' : `--ro . --ro ${word}`
  }
}

/** Not a flag, nor a piece of code. */
const likeAPath = /^[^-\s"'(){};|&$<>*?=,][^\s"'(){};|&$<>*?=,]*$/

function programHint(view: View, command: string): string[] {
  const found = findProgram(command, process.env.PATH ?? '')
  if (found !== undefined)
    return view.bindOf(found) === undefined
      ? [
          `${command} is ${found} outside, which the sandbox does not see: add --fill ${found}, or --ro ${dirname(found)}`,
        ]
      : []
  const here = existsSync(resolve(command)) ? `; for the file in this folder: --ro . -- ./${basename(command)}` : ''
  return [`${command} is not on your PATH either${here}`]
}
