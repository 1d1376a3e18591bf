/** A directory of the host that the commands of a box write to without changing it: over it lies a layer, which is committed or dropped. */
import { realpathSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cacheDirectory } from '../cache/cacheDirectory.js'
import { systemFault } from '../kernel/systemError.js'
import { type AcceptedPolicy, acceptPolicy } from '../policy/check.js'
import { currentDirectory, isWithin, normal } from '../policy/path.js'
import type { StrictEntry, StrictPolicy } from '../policy/schema.js'
import { attempt } from '../text/attempt.js'
import { Fault, HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import type { BoxFiles } from './boxFiles.js'
import { placed } from './filesOptions.js'
import { Directories, HostDirectory, hostFailure } from './hostDirectory.js'
import { type Change, type Found, findChanges, type HostStatus, pathOf } from './workChanges.js'
import { choose, isDirectory, listed } from './workChoice.js'
import { commitJournaled } from './workJournal.js'
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
import {
  enterNext,
  freshState,
  type Held,
  type KeptWork,
  keyOf,
  type Line,
  noteCommitted,
  ownState,
  type WorkPlace,
  type WorkState,
} from './workState.js'

/** Milliseconds, for one question. */
const timeout = 60_000

/** Layers that lie on each other: the search in them, and the kernel's options, take one page. */
const highest = 50

/**
 * What is asked for.
 * @throws {OptionError} when it is no directory
 * @throws {HostError} when its layers would lie in it
 */
export function workPlace(options: WorkOptions, base = currentDirectory()): WorkPlace {
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
  return {
    top: { path: real, dev: status.dev, ino: status.ino },
    inside: normal(asked.inside ?? path),
    protected: asked.protect ?? protectedNames,
  }
}

export class WorkTree {
  readonly #place: WorkPlace
  readonly #store: LayerStore
  readonly #kept: KeptWork
  #isRemoved = false
  #busy = false

  constructor(place: WorkPlace, store: LayerStore, kept: KeptWork) {
    this.#place = place
    this.#store = store
    this.#kept = kept
  }

  /**
   * One of this process, which ends with it.
   * @throws {VialError} as {@link workPlace} does, and when there is no place for a layer
   */
  static over(options: WorkOptions, base?: string): WorkTree {
    const place = workPlace(options, base)
    const store = LayerStore.make()
    return new WorkTree(place, store, ownState(firstState(place, store)))
  }

  /** The policy with the layers, over all that lies there. */
  shownIn({ given, checked }: AcceptedPolicy): AcceptedPolicy {
    // There the kernel may leave the content of a file in the lower directory: metacopy of overlay, which user namespaces lack.
    if (checked.namespaces?.user === 'host')
      throw OptionError.at(new Fault('work', 'needs a user namespace: not with namespaces.user "host"'))
    const { layer } = this.#kept.state
    const upper = { upper: this.#store.upper(layer), work: this.#store.work(layer), volatile: true }
    return acceptPolicy({ ...given, filesystem: [...(given.filesystem ?? []), { ...this.#lower(false), upper }] })
  }

  /** A policy that shows the tree as it is, to that user, and nothing else: of a box in which no command runs. */
  alone(identity: StrictPolicy['identity']): AcceptedPolicy {
    return acceptPolicy({ filesystem: [this.#lower(true)], ...(identity === undefined ? {} : { identity }) })
  }

  /** The kernel takes a layer of a sandbox that has ended no more to be written to, so `all` are read. */
  #lower(all: boolean): Extract<StrictEntry, { overlay: string }> {
    const { inside, top } = this.#place
    const { layer, line } = this.#kept.state
    const layers = [...(all ? [layer] : []), ...line.lower]
    return { overlay: inside, lower: [...layers.map(this.#store.upper), top.path] }
  }

  /** Keeps the tree as it is now, by a name that it can be gone back to by. */
  async snapshot(mount: WorkMount, name?: string): Promise<string> {
    const asked = checked('snapshot', snapshotSchema, { name })
    return this.#kept.use(async (state, held) => {
      const { snapshots } = state
      let number = snapshots.size + 1
      while (snapshots.has(`s${number}`)) number++
      const given = asked.name ?? `s${number}`
      if (snapshots.has(given)) throw new OptionError(`there is a snapshot ${given} already`)
      await this.#keep(state, held, mount, given)
      return given
    })
  }

  /** Has the tree be again what it was when that snapshot was made. */
  async restore(mount: WorkMount, name: string): Promise<void> {
    const asked = checked('restore', snapshotSchema, { name }).name ?? ''
    await this.#kept.use(async (state, held) => {
      const line = state.snapshots.get(asked)
      if (line === undefined)
        throw new OptionError(`there is no snapshot ${JSON.stringify(printable(name))}`, {
          hint: state.snapshots.size === 0 ? 'none was made' : `there are ${[...state.snapshots.keys()].join(', ')}`,
        })
      await this.#goTo(state, held, mount, line)
    })
  }

  /** Drops all that was written since the box was opened, or forked. */
  async rollback(mount: WorkMount): Promise<void> {
    await this.#kept.use((state, held) => this.#goTo(state, held, mount, state.base))
  }

  /** Another tree that starts from what this one is now. Each has its own changes from here on. */
  async fork(mount: WorkMount): Promise<WorkTree> {
    if (this.#kept.isShared)
      throw new OptionError('a sandbox that has a name is not forked: its layers are of one sandbox', {
        hint: 'commit it, and start another one',
      })
    return this.#kept.use(async (state, held) => {
      const line = await this.#keep(state, held, mount)
      const { mode } = statSync(this.#store.upper(line.lower[0]!))
      const store = this.#store.share()
      return new WorkTree(this.#place, store, ownState(freshState(store.fresh(mode), line)))
    })
  }

  /** What is written from here on goes into another layer. */
  async #keep(state: WorkState, held: Held, mount: WorkMount, snapshot?: string): Promise<Line> {
    const line = { lower: [state.layer, ...state.line.lower], since: state.line.since }
    if (line.lower.length > highest)
      throw new HostError(`more than ${highest} snapshots of this tree lie on each other`, {
        hint: 'commit it, or go back to an earlier one',
      })
    const { mode } = statSync(this.#store.upper(state.layer))
    await this.#exchange(state, held, mount, { line, layer: this.#store.fresh(mode), snapshot })
    return line
  }

  async #goTo(state: WorkState, held: Held, mount: WorkMount, line: Line): Promise<void> {
    const old = state.layer
    const below = line.lower[0]
    const { mode } = statSync(below === undefined ? this.#place.top.path : this.#store.upper(below))
    const layer = this.#store.fresh(mode)
    const since = below === undefined ? this.#store.madeAt(layer) : line.since
    await this.#exchange(state, held, mount, { line: { ...line, since }, layer })
    this.#store.drop(old)
  }

  async #exchange(state: WorkState, held: Held, mount: WorkMount, next: NonNullable<WorkState['next']>): Promise<void> {
    if (this.#busy) throw new OptionError('another snapshot, fork or way back of this box is being made: wait for it')
    this.#busy = true
    const { path, upperBelow } = this.#store
    const { top, inside } = this.#place
    state.next = next
    try {
      held.save()
      await mount.stack({
        home: path,
        host: top.path,
        place: inside,
        lower: next.line.lower.map(upperBelow),
        layer: `${next.layer}`,
        lock: held.lock,
      })
    } catch (error) {
      state.next = undefined
      this.#store.drop(next.layer)
      held.save()
      throw error
    } finally {
      this.#busy = false
    }
    enterNext(state)
    held.save()
  }

  async diff(files: BoxFiles, options: DiffOptions): Promise<Change[]> {
    const { text = false } = checked('diff', diffSchema, options)
    return this.#during('compare', async ({ state, host, uppers }) => {
      const found = await this.#find(state, files, host, uppers)
      if (!text) return found.map(({ change }) => change)
      return (await import('./workText.js')).withTexts(host, uppers, found)
    })
  }

  async commit(files: BoxFiles, options: CommitOptions): Promise<Change[]> {
    const { only, conflict = 'refuse' } = checked('commit', commitSchema, options)
    return this.#during('commit', async ({ state, held, host, uppers }) => {
      const chosen = choose(await this.#find(state, files, host, uppers), only)
      const changed = conflict === 'overwrite' ? [] : chosen.filter((one) => isConflict(state, one))
      if (changed.length > 0)
        throw new HostError(`changed on the host since the box was opened: ${listed(changed)}`, {
          code: 'ESTALE',
          hint: 'nothing was written',
        })
      const sides = { host, uppers, overwrites: conflict === 'overwrite' }
      state.committing = changedTimes(state, host, chosen)
      held.save()
      commitJournaled(this.#store.path, this.#place.top, sides, this.#uppers(state), chosen, () => {
        noteCommitted(state, host)
        held.save()
      })
      return chosen.map(({ change }) => change)
    })
  }

  /** Ends what a process that was killed has begun. */
  async settle(): Promise<void> {
    await this.#kept.use(async () => {})
  }

  /** Of what has ended. */
  remove(): void {
    this.#isRemoved = true
    this.#store.release()
  }

  /** Its layers may be gone. */
  get isRemoved(): boolean {
    return this.#isRemoved
  }

  /** Of all its layers, below their directory. */
  #uppers = ({ layer, line }: WorkState): readonly string[] => [layer, ...line.lower].map(this.#store.upperBelow)

  async #find(
    state: WorkState,
    files: BoxFiles,
    host: HostDirectory,
    uppers: readonly HostDirectory[],
  ): Promise<readonly Found[]> {
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
    const found = await findChanges({ host, uppers, isLater: (...asked) => isLater(state, ...asked), has })
    return markProtected(found, this.#place.protected)
  }

  async #during<Value>(verb: string, action: (opened: Opened) => Promise<Value>): Promise<Value> {
    const open: HostDirectory[] = []
    const opened = (path: string) => {
      const directory = HostDirectory.at(path)
      open.push(directory)
      return directory
    }
    const { path, dev, ino } = this.#place.top
    try {
      return await this.#kept.use(async (state, held) => {
        const host = opened(path)
        const own = host.own()
        if (dev !== own.dev || ino !== own.ino)
          throw new HostError(`${printable(path)} is another directory than when the box was opened`)
        const uppers = this.#uppers(state).map((name) => opened(join(this.#store.path, name)))
        return action({ state, held, host, uppers })
      })
    } catch (error) {
      throw hostFailure(`${verb} ${path} with its layers`, error)
    } finally {
      for (const directory of open) directory.close()
    }
  }
}

interface Opened {
  readonly state: WorkState
  readonly held: Held
  readonly host: HostDirectory
  readonly uppers: readonly HostDirectory[]
}

export function firstState({ top }: WorkPlace, store: LayerStore): WorkState {
  const layer = store.fresh(statSync(top.path).mode)
  return freshState(layer, { lower: [], since: store.madeAt(layer) })
}

/** A directory that stays one is changed by each new name in it, and takes part in no conflict. */
function isConflict(state: WorkState, { host, names, change, isSure }: Found): boolean {
  if (!isSure) return true
  if (host === undefined || (change.kind === 'changed' && change.type === 'directory' && isDirectory(host)))
    return false
  return isLater(state, names, host)
}

const isLater = ({ line, committed }: WorkState, names: readonly Buffer[], { ctimeNs }: Pick<HostStatus, 'ctimeNs'>) =>
  ctimeNs > line.since && committed.get(keyOf(names)) !== ctimeNs

/** What a commit changes the times of: each path, and the directory that it is in, unless that was changed by others before. */
function changedTimes(state: WorkState, host: HostDirectory, found: readonly Found[]): readonly string[] {
  const directories = new Directories(host)
  const paths = new Map<string, readonly Buffer[]>()
  for (const { names } of found)
    for (const path of [names, names.slice(0, -1)]) if (path.length > 0) paths.set(keyOf(path), path)
  const own = new Set(found.map(({ names }) => keyOf(names)))
  for (const [key, path] of paths) {
    const before = attempt(() => directories.in(path, (above, name) => above.status(name)))
    if (!own.has(key) && before !== undefined && isLater(state, path, before)) paths.delete(key)
  }
  // What is kept open may be removed meanwhile.
  directories.close()
  return [...paths.keys()]
}
