/** What is known of a work tree: which layers it has, what they lie on, and what was committed of them. */
import { attempt } from '../text/attempt.js'
import { Directories, type HostDirectory } from './hostDirectory.js'
import type { Top } from './workJournal.js'

/** Where the tree lies, and what is never committed of it. */
export interface WorkPlace {
  readonly top: Top
  readonly inside: string
  readonly protected: readonly string[]
}

/** A state of the tree that can be gone back to. */
export interface Line {
  /** Layers that do not change any more, the first on top. */
  readonly lower: readonly number[]
  /** Since when the host's directory lies beneath, by the clock that files have. */
  readonly since: bigint
}

/** Layers that are about to be put in the place of those that are there. */
export interface NextLayers {
  readonly line: Line
  readonly layer: number
  /** The name of the snapshot that `line` becomes. */
  readonly snapshot?: string | undefined
}

export interface WorkState {
  /** What it was opened with. */
  readonly base: Line
  /** What the layer that is written to lies on. */
  line: Line
  /** The layer that is written to. */
  layer: number
  readonly snapshots: Map<string, Line>
  /** When a commit of this tree has written a path of the host, by its ctime. */
  readonly committed: Map<string, bigint>
  next?: NextLayers | undefined
  /** Paths of the host whose times a commit changes that was begun. */
  committing?: readonly string[] | undefined
}

/** What is done with a state as long as no other process does something with it. */
export interface Held {
  /** Writes down what has become of it: a process that is killed leaves the last that it wrote. */
  readonly save: () => void
  /** A descriptor: no other process comes to the state until each process that has it has closed it. */
  readonly lock?: number | undefined
}

/** Where the state of a tree is kept. */
export interface KeptWork {
  /** As it was last seen. */
  readonly state: WorkState
  /** Whether other processes come to it as well. */
  readonly isShared: boolean
  use<Value>(action: (state: WorkState, held: Held) => Promise<Value>): Promise<Value>
}

/** In this process alone. */
export const ownState = (state: WorkState): KeptWork => ({
  state,
  isShared: false,
  use: (action) => action(state, { save: () => {} }),
})

export const freshState = (layer: number, line: Line): WorkState => ({
  base: line,
  line,
  layer,
  snapshots: new Map(),
  committed: new Map(),
})

/** The layers are there that were to come. */
export function enterNext(state: WorkState): void {
  const { next } = state
  if (next === undefined) return
  if (next.snapshot !== undefined) state.snapshots.set(next.snapshot, next.line)
  state.line = next.line
  state.layer = next.layer
  state.next = undefined
}

/** Those that something of it still needs. */
export function neededLayers({ base, line, layer, snapshots, next }: WorkState): ReadonlySet<number> {
  const lines = [base, line, ...snapshots.values(), ...(next === undefined ? [] : [next.line])]
  return new Set([layer, ...(next === undefined ? [] : [next.layer]), ...lines.flatMap(({ lower }) => lower)])
}

/** Bytes stand for themselves. */
export const keyOf = (names: readonly Buffer[]): string => names.map((name) => name.toString('latin1')).join('/')
const namesOf = (key: string) => key.split('/').map((name) => Buffer.from(name, 'latin1'))

/** What a commit has changed is no conflict of the next one. `left`: paths, as a diff has them, that it has left as they were. */
export function noteCommitted(state: WorkState, host: HostDirectory, left: readonly string[] = []): void {
  const directories = new Directories(host)
  const kept = new Set(left)
  for (const key of state.committing ?? []) {
    if (kept.has(Buffer.from(key, 'latin1').toString())) continue
    const after = attempt(() => directories.in(namesOf(key), (above, name) => above.status(name)))
    if (after !== undefined) state.committed.set(key, after.ctimeNs)
  }
  directories.close()
  state.committing = undefined
}
