/**
 * The work tree of a sandbox that has a name. Any process of its user works on it, one after another: its layers and its state lie in one
 * directory of the cache, which its record names. Each step is written down before it is done, so that the next one finds what a
 * process that was killed has left half done, and ends it.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from '../text/attempt.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { sandboxHome } from './home.js'
import { HostDirectory } from './hostDirectory.js'
import { isMonitor, type ProcessIdentity } from './processes.js'
import type { RecordWithWork, SandboxRecord } from './recordFile.js'
import { type Finished, finishCommit } from './workJournal.js'
import { LayerStore, removeLayer } from './workLayer.js'
import { takeLock } from './workLock.js'
import { WorkMount } from './workMount.js'
import type { WorkOptions } from './workOptions.js'
import { requireLayers, writeOwner } from './workOwner.js'
import {
  enterNext,
  type Held,
  type KeptWork,
  neededLayers,
  noteCommitted,
  type WorkPlace,
  type WorkState,
} from './workState.js'
import { readState, writeState } from './workStateFile.js'
import { firstState, WorkTree, workPlace } from './workTree.js'

/** A work tree that is to be that of a named sandbox. */
export interface NewNamedWork {
  /** The directory that its record is to name. */
  readonly layers: string
  shownIn(policy: AcceptedPolicy): AcceptedPolicy
  /** The sandbox runs: now they are its. */
  heldBy(monitor: ProcessIdentity): void
  /** There is no sandbox. */
  remove(): void
}

/** @throws {VialError} when it cannot be made; nothing is left then */
export function newNamedWork(name: string, options: WorkOptions, base: string): NewNamedWork {
  const place = workPlace(options, base)
  const record = join(sandboxHome(), name)
  const store = LayerStore.make(record)
  try {
    const state = firstState(place, store)
    writeState(store.path, { last: store.last, place, state })
    const tree = new WorkTree(place, store, new SharedState(store, place, state))
    return {
      layers: store.path,
      shownIn: (policy) => tree.shownIn(policy),
      heldBy: (monitor) => writeOwner(store.path, { record, monitor }),
      remove: () => tree.remove(),
    }
  } catch (error) {
    store.release()
    throw error
  }
}

/**
 * That of a sandbox which runs, or has ended.
 * @param record the directory of its record
 * @param tells hears of a commit that was killed, and is finished
 * @throws {HostError} when it is not there any more
 */
export function namedWork(sandbox: RecordWithWork, record: string, tells?: (finished: Finished) => void): WorkTree {
  const { layers } = sandbox.work
  requireLayers(layers, record)
  const { place, state, last } = readState(layers)
  const store = new LayerStore(layers, last)
  return new WorkTree(place, store, new SharedState(store, place, state, sandbox, tells))
}

class SharedState implements KeptWork {
  readonly isShared = true
  state: WorkState
  readonly #store: LayerStore
  readonly #place: WorkPlace
  readonly #sandbox: SandboxRecord | undefined
  readonly #tells: (finished: Finished) => void

  constructor(
    store: LayerStore,
    place: WorkPlace,
    state: WorkState,
    sandbox?: SandboxRecord,
    tells: (finished: Finished) => void = () => {},
  ) {
    this.#store = store
    this.#place = place
    this.state = state
    this.#sandbox = sandbox
    this.#tells = tells
  }

  async use<Value>(action: (state: WorkState, held: Held) => Promise<Value>): Promise<Value> {
    const { path } = this.#store
    const lock = await takeLock(path)
    try {
      const { state, last } = readState(path)
      this.state = state
      this.#store.last = last
      const save = () => writeState(path, { last: this.#store.last, place: this.#place, state })
      this.#finish(state, save)
      return await action(state, { save, lock: lock.fd })
    } finally {
      lock.release()
    }
  }

  /** What a process that was killed had begun. */
  #finish(state: WorkState, save: () => void): void {
    const { path } = this.#store
    const finished = finishCommit(path, ({ left }) => {
      const host = attempt(() => HostDirectory.at(this.#place.top.path))
      if (host !== undefined) noteCommitted(state, host, left)
      host?.close()
      save()
    })
    if (finished !== undefined) this.#tells(finished)
    // Without a journal nothing was begun.
    state.committing = undefined
    if (state.next !== undefined) {
      if (this.#isThere(state.next.layer)) enterNext(state)
      else state.next = undefined
      save()
    }
    const needed = neededLayers(state)
    for (const name of readdirSync(path))
      if (/^\d+$/.test(name) && !needed.has(Number(name))) attempt(() => removeLayer(join(path, name)))
  }

  /** Whether a layer came to the tree. Of a sandbox that has ended it is the same where nothing was written to it: then it did not. */
  #isThere(layer: number): boolean {
    if (this.#sandbox !== undefined && isMonitor(this.#sandbox)) {
      const shown = attempt(() => new WorkMount(this.#sandbox!).shows(this.#place.inside, layer))
      if (shown !== undefined) return shown
    }
    return readdirSync(this.#store.upper(layer)).length > 0
  }
}
