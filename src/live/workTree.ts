/** A directory of the host that the commands of a box write to without changing it: over it lies a layer, which is committed or dropped. */
import { realpathSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cacheDirectory } from '../cache/cacheDirectory.js'
import { systemFault } from '../kernel/systemError.js'
import { type AcceptedPolicy, acceptPolicy } from '../policy/check.js'
import { currentDirectory, isWithin, normal } from '../policy/path.js'
import type { StrictEntry } from '../policy/schema.js'
import { attempt } from '../text/attempt.js'
import { Fault, HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import type { BoxFiles } from './boxFiles.js'
import { placed } from './filesOptions.js'
import { Directories, HostDirectory, hostFailure } from './hostDirectory.js'
import { type Change, type Found, findChanges, type HostStatus, pathOf, typeOf } from './workChanges.js'
import { commitJournaled, type Top } from './workJournal.js'
import { LayerStore } from './workLayer.js'
import type { WorkMount } from './workMount.js'
import {
  type CommitOptions,
  checked,
  commitSchema,
  type DiffOptions,
  diffSchema,
  snapshotSchema,
  type WorkOptions,
  workSchema,
} from './workOptions.js'
import { markProtected, protectedNames } from './workProtection.js'

/** Milliseconds, for one question. */
const timeout = 60_000
const committable: readonly Change['type'][] = ['file', 'directory', 'link']

const isSpecial = ({ kind, type }: Change) => kind !== 'removed' && !committable.includes(type)
/** Whether it can be: nothing that is protected, and of what is added no device, FIFO or socket. */
export const isCommittable = (change: Change): boolean => !change.protected && !isSpecial(change)

/** A state of the tree that can be gone back to. */
interface Line {
  /** Layers that do not change any more, the first on top. */
  readonly lower: readonly number[]
  /** Since when the host's directory lies beneath, by the clock that files have. */
  readonly since: bigint
}

/** Where the tree lies, and what is asked of it. */
interface Place {
  readonly top: Top
  readonly inside: string
  readonly protected: readonly string[]
}

/** Layers that lie on each other: the search in them, and the kernel's options, take one page. */
const highest = 50

export class WorkTree {
  readonly #place: Place
  readonly #store: LayerStore
  readonly #base: Line
  readonly #snapshots = new Map<string, Line>()
  #line: Line
  /** The layer that is written to. */
  #layer: number
  /** When this process itself has written, by the path. */
  readonly #committed = new Map<string, bigint>()
  #busy = false

  /** @param line of a fork, that it starts from */
  private constructor(place: Place, store: LayerStore, mode: number, line?: Line) {
    this.#place = place
    this.#store = store
    this.#layer = store.fresh(mode)
    this.#base = line ?? { lower: [], since: store.madeAt(this.#layer) }
    this.#line = this.#base
  }

  /**
   * @throws {OptionError} when it is no directory
   * @throws {HostError} when there is no place for a layer
   */
  static over(options: WorkOptions, base = currentDirectory()): WorkTree {
    const asked = checked('work', workSchema, options)
    const path = resolve(base, asked.path)
    let real: string
    try {
      real = realpathSync(path)
    } catch (error) {
      throw OptionError.at(new Fault('work.path', printable(systemFault(error))))
    }
    const status = statSync(real, { bigint: true })
    if (!status.isDirectory()) throw OptionError.at(new Fault('work.path', 'must be a directory'))
    // The kernel takes no layer that lies in what it is over.
    const cache = cacheDirectory()
    if (isWithin(attempt(() => realpathSync(cache)) ?? cache, real))
      throw new HostError(`the layer would lie in ${printable(path)} itself`, {
        hint: 'set VIAL_CACHE to a directory of yours outside of it',
      })
    const place = {
      top: { path: real, dev: status.dev, ino: status.ino },
      inside: normal(asked.inside ?? path),
      protected: asked.protect ?? protectedNames,
    }
    return new WorkTree(place, new LayerStore(), Number(status.mode))
  }

  /** The policy with the layers, over all that lies there. */
  shownIn({ given, checked }: AcceptedPolicy): AcceptedPolicy {
    // There the kernel may leave the content of a file in the lower directory: metacopy of overlay, which user namespaces lack.
    if (checked.namespaces?.user === 'host')
      throw OptionError.at(new Fault('work', 'needs a user namespace: not with namespaces.user "host"'))
    return acceptPolicy({ ...given, filesystem: [...(given.filesystem ?? []), this.#entry()] })
  }

  /** A policy that shows the layers, to that one's user, and nothing else: of a box in which no command runs. */
  alone({ given: { identity } }: AcceptedPolicy): AcceptedPolicy {
    // The kernel takes a layer of a sandbox that has ended no more to be written to.
    this.#begin({ lower: [this.#layer, ...this.#line.lower], since: this.#line.since }, this.#fresh())
    return acceptPolicy({ filesystem: [this.#entry()], ...(identity === undefined ? {} : { identity }) })
  }

  #entry(): StrictEntry {
    const { inside, top } = this.#place
    const lower = [...this.#line.lower.map(this.#store.upper), top.path]
    const upper = { upper: this.#store.upper(this.#layer), work: this.#store.work(this.#layer), volatile: true }
    return { overlay: inside, lower, upper }
  }

  /** Keeps the tree as it is now, by a name that it can be gone back to by. */
  async snapshot(mount: WorkMount, name?: string): Promise<string> {
    const asked = checked('snapshot', snapshotSchema, { name })
    const free = () => {
      let number = this.#snapshots.size + 1
      while (this.#snapshots.has(`s${number}`)) number++
      return `s${number}`
    }
    const given = asked.name ?? free()
    if (this.#snapshots.has(given)) throw new OptionError(`there is a snapshot ${given} already`)
    this.#snapshots.set(given, await this.#keep(mount))
    return given
  }

  /** Has the tree be again what it was when that snapshot was made. */
  async restore(mount: WorkMount, name: string): Promise<void> {
    const line = this.#snapshots.get(checked('restore', snapshotSchema, { name }).name ?? '')
    if (line === undefined)
      throw new OptionError(`there is no snapshot ${JSON.stringify(printable(name))}`, {
        hint: this.#snapshots.size === 0 ? 'none was made' : `there are ${[...this.#snapshots.keys()].join(', ')}`,
      })
    await this.#goTo(mount, line)
  }

  /** Drops all that was written since the box was opened, or forked. */
  async rollback(mount: WorkMount): Promise<void> {
    await this.#goTo(mount, this.#base)
  }

  /** Another tree that starts from what this one is now. Each has its own changes from here on. */
  async fork(mount: WorkMount): Promise<WorkTree> {
    const line = await this.#keep(mount)
    const mode = statSync(this.#store.upper(line.lower[0]!)).mode
    return new WorkTree(this.#place, this.#store.share(), mode, line)
  }

  /** What is written from here on goes into another layer. */
  async #keep(mount: WorkMount): Promise<Line> {
    const line = { lower: [this.#layer, ...this.#line.lower], since: this.#line.since }
    if (line.lower.length > highest)
      throw new HostError(`more than ${highest} snapshots of this tree lie on each other`, {
        hint: 'commit it, or go back to an earlier one',
      })
    await this.#stack(mount, line, this.#fresh())
    return line
  }

  async #goTo(mount: WorkMount, line: Line): Promise<void> {
    const old = this.#layer
    const below = line.lower[0]
    const mode = statSync(below === undefined ? this.#place.top.path : this.#store.upper(below)).mode
    const layer = this.#store.fresh(mode)
    await this.#stack(mount, below === undefined ? { lower: [], since: this.#store.madeAt(layer) } : line, layer)
    this.#store.drop(old)
  }

  #fresh = (): number => this.#store.fresh(statSync(this.#store.upper(this.#layer)).mode)

  async #stack(mount: WorkMount, line: Line, layer: number): Promise<void> {
    if (this.#busy) throw new OptionError('another snapshot, fork or way back of this box is being made: wait for it')
    this.#busy = true
    const { path, upperBelow } = this.#store
    const { top, inside } = this.#place
    try {
      await mount.stack({
        home: path,
        host: top.path,
        place: inside,
        lower: line.lower.map(upperBelow),
        layer: `${layer}`,
      })
    } catch (error) {
      this.#store.drop(layer)
      throw error
    } finally {
      this.#busy = false
    }
    this.#begin(line, layer)
  }

  #begin(line: Line, layer: number): void {
    this.#line = line
    this.#layer = layer
  }

  async diff(files: BoxFiles, options: DiffOptions): Promise<Change[]> {
    const { text = false } = checked('diff', diffSchema, options)
    return this.#during('compare', async (host, uppers) => {
      const found = await this.#find(files, host, uppers)
      if (!text) return found.map(({ change }) => change)
      return (await import('./workText.js')).withTexts(host, uppers, found)
    })
  }

  async commit(files: BoxFiles, options: CommitOptions): Promise<Change[]> {
    const { only, conflict = 'refuse' } = checked('commit', commitSchema, options)
    return this.#during('commit', async (host, uppers) => {
      const chosen = choose(await this.#find(files, host, uppers), only)
      const special = chosen.filter(({ change }) => isSpecial(change))
      if (special.length > 0)
        throw new HostError(
          `only files, directories and links are committed: ${listed(special, ({ type }) => ` is a ${type}`)}`,
          { hint: 'leave them out by "only", or remove them in the box' },
        )
      const changed = conflict === 'overwrite' ? [] : chosen.filter((one) => this.#isConflict(one))
      if (changed.length > 0)
        throw new HostError(`changed on the host since the box was opened: ${listed(changed)}`, {
          code: 'ESTALE',
          hint: 'nothing was written',
        })
      const sides = { host, uppers, overwrites: conflict === 'overwrite' }
      this.#committing(host, chosen, () =>
        commitJournaled(this.#store.path, this.#place.top, sides, this.#uppers(), chosen),
      )
      return chosen.map(({ change }) => change)
    })
  }

  /** Of what has ended. */
  remove(): void {
    this.#store.release()
  }

  /** Of all its layers, below their directory. */
  #uppers = (): readonly string[] => [this.#layer, ...this.#line.lower].map(this.#store.upperBelow)

  /** A directory that stays one is changed by each new name in it, and takes part in no conflict. */
  #isConflict({ host, names, change, isSure }: Found): boolean {
    if (!isSure) return true
    if (host === undefined || (change.kind === 'changed' && change.type === 'directory' && isDirectory(host)))
      return false
    return this.#isLater(names, host)
  }

  #isLater(names: readonly Buffer[], { ctimeNs }: HostStatus): boolean {
    return ctimeNs > this.#line.since && this.#committed.get(keyOf(names)) !== ctimeNs
  }

  /** What is changed by this process itself is no conflict of the next commit: the path, and the directory that it is in. */
  #committing(host: HostDirectory, found: readonly Found[], action: () => void): void {
    const directories = new Directories(host)
    const status = (names: readonly Buffer[]) =>
      attempt(() => directories.in(names, (above, name) => above.status(name)))
    const paths = new Map<string, readonly Buffer[]>()
    for (const { names } of found)
      for (const path of [names, names.slice(0, -1)]) if (path.length > 0) paths.set(keyOf(path), path)
    const own = new Set(found.map(({ names }) => keyOf(names)))
    for (const [key, path] of paths) {
      const before = status(path)
      if (!own.has(key) && before !== undefined && this.#isLater(path, before)) paths.delete(key)
    }
    // What is kept open may be removed meanwhile.
    directories.close()
    try {
      action()
    } finally {
      for (const [key, path] of paths) {
        const after = status(path)
        if (after !== undefined) this.#committed.set(key, after.ctimeNs)
      }
      directories.close()
    }
  }

  async #find(files: BoxFiles, host: HostDirectory, uppers: readonly HostDirectory[]): Promise<readonly Found[]> {
    const has = async (names: readonly Buffer[]) => {
      const path = pathOf([Buffer.from(this.#place.inside), ...names])
      try {
        await files.ask('look at', path.toString(), timeout, { operation: 'stat', ...placed(path) })
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
        throw error
      }
    }
    const found = await findChanges({ host, uppers, isLater: (...asked) => this.#isLater(...asked), has })
    return markProtected(found, this.#place.protected)
  }

  async #during<Value>(
    verb: string,
    action: (host: HostDirectory, uppers: readonly HostDirectory[]) => Promise<Value>,
  ): Promise<Value> {
    const open: HostDirectory[] = []
    try {
      const { path, dev, ino } = this.#place.top
      const host = HostDirectory.at(path)
      open.push(host)
      const own = host.own()
      if (dev !== own.dev || ino !== own.ino)
        throw new HostError(`${printable(path)} is another directory than when the box was opened`)
      const uppers = this.#uppers().map((name) => {
        const upper = HostDirectory.at(join(this.#store.path, name))
        open.push(upper)
        return upper
      })
      return await action(host, uppers)
    } catch (error) {
      throw hostFailure(`${verb} ${this.#place.top.path} with its layers`, error)
    } finally {
      for (const directory of open) directory.close()
    }
  }
}

const keyOf = (names: readonly Buffer[]) => pathOf(names).toString('latin1')

/** With the directories that they need. What is protected is left out, and refused where it is asked for by its own path. */
function choose(all: readonly Found[], only: readonly string[] | undefined): readonly Found[] {
  const found = all.filter(({ change }) => !change.protected)
  if (only === undefined) return found
  const refused = all.filter(({ change }) => change.protected && only.includes(change.path))
  if (refused.length > 0)
    throw new HostError(`protected, and never committed: ${listed(refused)}`, {
      code: 'EPERM',
      hint: 'copy it by hand, or open the box with a shorter list of what work.protect names',
    })
  const unknown = only.find((path) => !found.some(({ change }) => isAt(change.path, path)))
  if (unknown !== undefined)
    throw OptionError.at(new Fault('only', `${JSON.stringify(printable(unknown))} is no path of the diff`))
  return found.filter(({ change, host }) =>
    only.some(
      (path) => isAt(change.path, path) || (becomesDirectory(change, host) && path.startsWith(`${change.path}/`)),
    ),
  )
}

const isAt = (path: string, above: string) => path === above || path.startsWith(`${above}/`)
const isDirectory = (status: HostStatus) => typeOf(status) === 'directory'
const becomesDirectory = ({ kind, type }: Change, host: Found['host']) =>
  kind !== 'removed' && type === 'directory' && (host === undefined || !isDirectory(host))

const mostListed = 20

function listed(found: readonly Found[], about: (change: Change) => string = () => ''): string {
  const said = found.slice(0, mostListed).map(({ change }) => printable(change.path) + about(change))
  return [...said, ...(found.length > mostListed ? [`and ${found.length - mostListed} more`] : [])].join(', ')
}
