/**
 * The layers of a work tree: a directory of the caller's alone, in which the kernel keeps what is written over a directory of the host. Each layer
 * has a number. Those of a box and of its forks lie in one directory, which is removed when the last of them has ended. Its
 * name says which process has it. When that one was killed, the next who makes a layer, or `vial gc`, finishes its commit and removes it.
 *
 * Those of a sandbox that has a name outlive the process that made them. A file in their directory says which record they belong to, and
 * that record names the directory: they are removed with it, and when it is gone.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, realpathSync, renameSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { inCache, trustedCache } from '../cache/cacheDirectory.js'
import { ownDirectory } from '../cache/trust.js'
import { stackTarget } from '../launcher/mountCall.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { HostDirectory } from './hostDirectory.js'
import { type Finished, finishCommit } from './workJournal.js'
import { bootId, fateOf, identityOf, identityText, parseIdentity } from './processes.js'
import { isNamed, isWanted, layersName, namedPath, namedPrefix, requireLayers, writeOwner } from './workOwner.js'
import { tryLock } from './workLock.js'

export class LayerStore {
  readonly path: string
  /** The highest number that a layer has had. */
  last: number
  #users = 1

  /** Of layers that are there already. */
  constructor(path: string, last = 0) {
    this.path = path
    this.last = last
  }

  /**
   * Makes a place for layers, which ends with this process, or with the record of a sandbox.
   * @param record the directory in which it is, or is to be
   * @throws {HostError} when there is no place for it
   */
  static make(record?: string): LayerStore {
    return inCache('the layer of a work tree', (cache) => {
      const home = realpathSync(ownDirectory(join(cache, layersName)))
      removeDead(home)
      const path = newPath(home)
      mkdirSync(path, 0o700)
      mkdirSync(join(path, stackTarget), 0o700)
      if (record === undefined) return new LayerStore(path)
      writeOwner(path, { record })
      const named = namedPath(path)
      renameSync(path, named)
      return new LayerStore(named)
    })
  }

  /** Makes a layer, empty. `mode`: of the directory that it lies over, for the top of a layer is what is seen. */
  fresh(mode: number): number {
    const layer = ++this.last
    for (const path of [join(this.path, `${layer}`), this.work(layer)]) mkdirSync(path, 0o700)
    mkdirSync(this.upper(layer))
    chmodSync(this.upper(layer), mode & 0o777)
    return layer
  }

  /** What was written. */
  upper = (layer: number): string => join(this.path, this.upperBelow(layer))
  upperBelow = (layer: number): string => `${layer}/upper`
  /** The kernel's own: the second directory of an overlay. */
  work = (layer: number): string => join(this.path, `${layer}/work`)

  /** When it was made, by the clock that files have. */
  madeAt = (layer: number): bigint => statSync(this.work(layer), { bigint: true }).mtimeNs

  /** Removes a layer that no overlay has, later: that takes as long as there is much in it. What cannot be removed goes with all of it. */
  drop(layer: number): void {
    setImmediate(() => this.#users > 0 && attempt(() => removeLayer(join(this.path, `${layer}`))))
  }

  share(): this {
    this.#users++
    return this
  }

  /** Of one that has ended. What cannot be removed stays for `vial gc`. */
  release(): void {
    if (--this.#users === 0) attempt(() => removeLayer(this.path))
  }
}

/**
 * Removes, with its record, the layers of a sandbox that has ended.
 * @param remove removes the record: false: it was another's by then, and the layers stay
 * @throws {HostError} when another process works on them
 */
export function removeWithLayers(layers: string, record: string, remove: () => boolean): boolean {
  if (attempt(() => requireLayers(layers, record) ?? true) === undefined) return remove()
  const lock = tryLock(layers)
  if (lock === undefined)
    throw new HostError(`another command works on the work tree of "${basename(record)}"`, {
      hint: 'try again when it is over',
    })
  try {
    if (!remove()) return false
    // Without the record no process comes to them any more. What stays, is for `vial gc`.
    attempt(() => finishCommit(layers))
    attempt(() => removeLayer(layers))
    return true
  } finally {
    lock.release()
  }
}

/** What was left of processes that were killed. */
export interface Collected {
  readonly removed: readonly string[]
  /** Commits that were killed, and are finished. */
  readonly finished: readonly Finished[]
}

/** Removes what is left of processes that were killed, once what they were committing is committed. */
export function collectLayers(): Collected {
  return removeDead(join(trustedCache(undefined, { missing: 'refuse' }), layersName))
}

function removeDead(home: string): Collected {
  const removed: string[] = []
  const finished: Finished[] = []
  for (const name of attempt(() => readdirSync(home)) ?? []) {
    if (!isForsaken(home, name)) continue
    const lock = isNamed(name) ? attempt(() => tryLock(join(home, name))) : noLock
    if (lock === undefined) continue
    try {
      // It is ours from here on, and no other process finishes it as well.
      const path = newPath(home)
      if (attempt(() => renameSync(join(home, name), path) ?? true) === undefined) continue
      const commit = attempt(() => finishCommit(path))
      if (commit !== undefined) finished.push(commit)
      if (attempt(() => removeLayer(path)) !== undefined) removed.push(join(home, name))
    } finally {
      lock.release()
    }
  }
  return { removed, finished }
}

const noLock = { release: () => {} }

/** Whether it has an owner that is surely gone. */
function isForsaken(home: string, name: string): boolean {
  const owner = parseIdentity(makerOf(name))
  if (owner === undefined || fateOf(owner) !== 'dead') return false
  return !isNamed(name) || owner.boot !== bootId() || !isWanted(join(home, name))
}

/** Without what makes it different from others of the same process. */
const makerOf = (name: string) => name.slice(isNamed(name) ? namedPrefix.length : 0).replace(/\.[0-9a-f]{8}$/, '')

const newPath = (home: string) =>
  join(home, `${identityText(identityOf(process.pid)!)}.${randomBytes(4).toString('hex')}`)

/**
 * A payload may have made directories that may not be entered, and the kernel does so itself; and it may have made them deeper than this
 * process has descriptors. So each is moved to the top first. Only what has ended has written there.
 * @throws {Error} when something in it is not the caller's
 */
export function removeLayer(path: string): string {
  const at = path.lastIndexOf('/')
  const [home, name] = [HostDirectory.at(path.slice(0, at)), path.slice(at + 1)]
  try {
    const top = home.directory(name)
    try {
      let moved = 0
      const waiting: (string | Buffer)[] = []
      const empty = (directory: HostDirectory) => {
        directory.setMode(0o700)
        for (const entry of directory.list()) {
          if (!entry.isDirectory()) directory.remove(entry.name)
          else if (directory === top) waiting.push(entry.name)
          else {
            const below = directory.directory(entry.name)
            below.setMode(0o700)
            below.close()
            const next = `moved-${moved++}`
            directory.rename(entry.name, next, top)
            waiting.push(next)
          }
        }
      }
      empty(top)
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const directory = top.directory(next)
        try {
          empty(directory)
        } finally {
          directory.close()
        }
        top.removeDirectory(next)
      }
    } finally {
      top.close()
    }
    home.removeDirectory(name)
    return path
  } finally {
    home.close()
  }
}
