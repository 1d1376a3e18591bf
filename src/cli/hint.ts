/** After a command that failed: which flag would show what its command line names and the sandbox does not see. Nothing is advised of what it sees. */
import { constants, existsSync, readlinkSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { placeOf } from '../fill/complete.js'
import { findProgram } from '../fill/findProgram.js'
import { isWithin } from '../policy/path.js'
import type { Policy } from '../policy/schema.js'
import { mayAccess } from '../text/attempt.js'
import { obstacleTo } from './obstacle.js'

/**
 * One sentence for each thing that may have been the cause. The payload may have changed what is looked at here: nothing is opened.
 * @param policy a complete one
 * @param started whether the command ran, and failed by itself
 * @param lacks what comes before the flags that would show it
 */
export function hints(
  policy: Policy,
  command: string,
  args: readonly string[],
  started: boolean,
  lacks: Lacks,
): string[] {
  const view = new View(policy, lacks)
  const found = [...new Set([command, ...args])].flatMap((word) => view.hint(word, word === command))
  if (!started) found.push(...(command.includes('/') ? executableHint(view, command) : programHint(view, command)))
  return [...new Set(found)]
}

/** A run can be repeated with other flags; a sandbox that runs has those of its start. */
export type Lacks = 'add' | 'it was started without'

/** What an entry shows: a host path, what a link leads to, or neither. */
interface Seen {
  readonly place: string
  readonly from?: string
  readonly to?: string
  readonly writable: boolean
}

/** Where a name of the caller's leads inside. */
type Found =
  /** To the same file as outside. */
  | { readonly is: 'seen'; readonly by: Seen }
  /** To something that the sandbox has of its own, or made on the way to an entry. */
  | { readonly is: 'its own' }
  /** Nowhere: this is what would have to be shown. */
  | { readonly is: 'hidden'; readonly path: string }
  | { readonly is: 'a loop' }

class View {
  readonly #entries: readonly Seen[]
  /** Whether a relative path means the same file inside. */
  readonly #here: boolean

  constructor(
    policy: Policy,
    readonly lacks: Lacks,
  ) {
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

  /** Follows a path as the payload would: through links of the policy, and of the host where they are shown. */
  find(path: string, links = 0): Found {
    // As path_resolution(7) has it: more links than this are a loop.
    if (links > 40) return { is: 'a loop' }
    const over = this.#entries.find(({ place }) => isWithin(path, place))
    if (over?.to !== undefined) return this.find(over.to + path.slice(over.place.length), links + 1)
    if (over === undefined || over.from !== over.place)
      return this.#entries.some(({ place }) => isWithin(place, path)) ? { is: 'its own' } : { is: 'hidden', path }
    const link = firstLink(over.place, path)
    return link === undefined ? { is: 'seen', by: over } : this.find(link, links + 1)
  }

  hint(word: string, isCommand: boolean): string[] {
    if (!likeAPath.test(word) || (isCommand && !word.includes('/'))) return []
    const path = resolve(word)
    const obstacle = obstacleTo(path)
    if (obstacle === undefined) return this.#hidden(word, path)
    if (obstacle.kind !== 'missing') return [`${word} cannot be reached outside either: ${obstacle.words}`]
    if (isCommand || obstacle.at !== path || !/[./]/.test(word)) return []
    const directory = this.find(dirname(path))
    return directory.is === 'seen' && !directory.by.writable
      ? [
          `${word} is not there, and what it lies in is shown read-only: if it is to be written, ${this.lacks} --rw ${directory.by.place}`,
        ]
      : []
  }

  /** Of what is there outside. */
  #hidden(word: string, path: string): string[] {
    const found = this.find(path)
    if (found.is === 'hidden') {
      if (!isOpen(path)) return [`${word} exists, but is closed to this user, and the sandbox does not see it`]
      if (found.path === path)
        return [`${word} exists, but the sandbox does not see it: ${this.lacks} ${this.#flags(word, path)}`]
      return [
        `${word} leads to ${found.path}, which the sandbox does not see: ${this.lacks} --ro ${found.path} (or --rw ${found.path})`,
      ]
    }
    return found.is === 'seen' && !word.startsWith('/') && !this.#here
      ? [`${word} starts from this directory, but the command works in another one: add --cwd ${process.cwd()}`]
      : []
  }

  /** A relative path needs the directory that it starts from, too. */
  #flags(word: string, path: string): string {
    if (word.startsWith('/') || this.#here) return `--ro ${word} (or --rw ${word})`
    return isWithin(path, process.cwd()) ? '--ro . (or --rw .)' : `--ro . --ro ${word}`
  }
}

/** Where the first symbolic link below a bind leads, with the rest of the path. */
function firstLink(place: string, path: string): string | undefined {
  const names = path
    .slice(place === '/' ? 0 : place.length)
    .split('/')
    .slice(1)
  for (let count = 0; count <= names.length; count++) {
    const at = join(place, ...names.slice(0, count))
    let target: string
    try {
      target = readlinkSync(at)
    } catch {
      continue
    }
    // Those of /proc lead to what has no path.
    return at.startsWith('/proc/') ? undefined : resolve(dirname(at), target, ...names.slice(count))
  }
  return undefined
}

const isOpen = (path: string) => mayAccess(path, constants.R_OK)

/** Not a flag, nor a piece of code. */
const likeAPath = /^[^-\s"'(){};|&$<>*?=,][^\s"'(){};|&$<>*?=,]*$/

/** Of a file that the sandbox sees: why execve(2) refuses it. */
function executableHint(view: View, command: string): string[] {
  const path = resolve(command)
  if (view.find(path).is !== 'seen') return []
  const status = statSync(path, { throwIfNoEntry: false })
  if (status?.isDirectory()) return [`${command} is a directory`]
  return status?.isFile() && (status.mode & 0o111) === 0
    ? [`${command} is not executable: chmod +x ${command}, or name the program that reads it`]
    : []
}

function programHint(view: View, command: string): string[] {
  const found = findProgram(command, process.env.PATH ?? '')
  if (found !== undefined)
    return view.find(found).is === 'hidden'
      ? [
          `${command} is ${found} outside, which the sandbox does not see: ${view.lacks} --fill ${found}, or --ro ${dirname(found)}`,
        ]
      : []
  const here =
    view.lacks === 'add' && existsSync(resolve(command))
      ? `; for the file in this directory: --ro . -- ./${basename(command)}`
      : ''
  return [`${command} is not on your PATH either${here}`]
}
