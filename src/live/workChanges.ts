/**
 * What layers change of the directory that they lie over. What was written lies in the upper directories of overlays, one on another. That
 * something was removed says a device of its name there, a whiteout. That a directory was made anew says an attribute which Node.js cannot
 * read: that is known by what the overlay itself lacks.
 */
import { type BigIntStats, closeSync, readSync } from 'node:fs'
import { S_IF } from '../kernel/flags.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { type FileKind, kinds } from './fileEntries.js'
import { type HostDirectory, within } from './hostDirectory.js'

/** One path that differs between a layer and the directory of the host that it lies over. */
export interface Change {
  /** Below the directory. Bytes that are no UTF-8 are U+FFFD. */
  readonly path: string
  /** `changed`: also where something of another type has the name now. */
  readonly kind: 'added' | 'changed' | 'removed'
  /** What it is in the layer; of what was removed, what it is on the host. */
  readonly type: FileKind
  /** Bytes, of a regular file and of the text of a link; of others 0. */
  readonly size: number
  /** Permissions, with the set-id and sticky bits. */
  readonly mode: number
  /** What differs, as a unified diff. It is there where {@link Box.diff} was asked for it, and for files and links. */
  readonly text?: string
  /** It is never committed: see {@link WorkOptions}. */
  readonly protected?: true
}

/** What is known of an entry of the host. */
export type HostStatus = Pick<BigIntStats, 'ino' | 'mode' | 'size' | 'rdev' | 'mtimeNs' | 'ctimeNs'>

/** A change with what it takes to apply it. */
export interface Found {
  readonly change: Change
  readonly names: readonly Buffer[]
  /** What the host has there; undefined: nothing. */
  readonly host: HostStatus | undefined
  /** It is known to be the layer's change, and not one that was made on the host meanwhile. */
  readonly isSure: boolean
  /** Which of the upper directories has it. */
  readonly layer: number
}

export interface Trees {
  readonly host: HostDirectory
  /** The one that is written to first, then those beneath. */
  readonly uppers: readonly HostDirectory[]
  /** Whether the host has changed it since the layer was made. */
  isLater(names: readonly Buffer[], status: HostStatus): boolean
  /** Whether the overlay shows this. */
  has(names: readonly Buffer[]): Promise<boolean>
}

/** How deep, and how many. */
const most = { depth: 200, entries: 1_000_000 }
const bufferSize = 65536

export const typeOf = ({ mode }: Pick<HostStatus, 'mode'>): FileKind => kinds[Number(mode) & S_IF.MT] ?? 'device'
export const permissions = ({ mode }: Pick<HostStatus, 'mode'>): number => Number(mode) & 0o777
const latin1 = (name: Buffer) => name.toString('latin1')
export const pathOf = (names: readonly Buffer[]): Buffer => Buffer.from(names.map(latin1).join('/'), 'latin1')

/** What overlay has for a name that was removed: a character device 0:0. */
const isWhiteout = (status: HostStatus) => typeOf(status) === 'device' && status.rdev === 0n

/**
 * Sorted by path, so a directory comes before what is in it.
 * @throws {HostError} when one of the trees cannot be read
 */
export async function findChanges(trees: Trees): Promise<Found[]> {
  const walk = new Walk(trees)
  const layers = trees.uppers.map((directory, index) => ({ directory, index }))
  await walk.both(trees.host, { layers, isAlone: false }, [])
  return walk.found.toSorted((a, b) => Buffer.compare(pathOf(a.names), pathOf(b.names)))
}

interface Layer {
  readonly directory: HostDirectory
  readonly index: number
}

/** One directory as it lies in several layers. */
interface Merged {
  /** From the top. */
  readonly layers: readonly Layer[]
  /** What lies beneath these is not seen through them. */
  readonly isAlone: boolean
}

class Walk {
  readonly found: Found[] = []
  readonly #trees: Trees
  readonly #mount: string | undefined
  #seen = 0

  constructor(trees: Trees) {
    this.#trees = trees
    this.#mount = trees.host.mount()
  }

  /** A directory of the layers, and of the host where that has one. */
  async both(host: HostDirectory | undefined, merged: Merged, names: readonly Buffer[]): Promise<void> {
    const { layers, isAlone } = await this.#seenThrough(merged, names)
    const known = new Set<string>()
    const withWhiteouts = new Set<number>()
    for (const [depth, { directory }] of layers.entries())
      for (const { name } of directory.list()) {
        const status = directory.status(name)
        if (status === undefined) continue
        if (isWhiteout(status)) withWhiteouts.add(depth)
        if (known.has(latin1(name))) continue
        known.add(latin1(name))
        if (!isWhiteout(status)) await this.#entry(host, layers.slice(depth), [...names, name])
        else if (host !== undefined) this.#removed(host, [...names, name])
      }
    if (host === undefined) return
    const others = host.list().filter(({ name }) => !known.has(latin1(name)))
    const removeOthers = (isSure: boolean) => {
      for (const { name } of others) this.#removed(host, [...names, name], isSure)
    }
    if (isAlone) return removeOthers(true)
    // One that was made anew has no whiteouts. The top cannot be made anew.
    if (withWhiteouts.size === layers.length || names.length === 0) return
    // It lacks what the host had before. What came to the host later it may have or not.
    const before = others.find(({ name }) => {
      const status = host.status(name)
      return status !== undefined && !this.#trees.isLater([...names, name], status)
    })
    if (before === undefined || !(await this.#lacks(layers, names, before.name))) return
    // It may also be missing since the host itself has another directory there by now.
    removeOthers(!this.#trees.isLater(names, host.own()))
  }

  /** Without the layers that lie beneath one in which the directory was made anew. */
  async #seenThrough({ layers, isAlone }: Merged, names: readonly Buffer[]): Promise<Merged> {
    if (names.length === 0) return { layers, isAlone }
    const above = new Set<string>()
    for (const [depth, { directory }] of layers.entries()) {
      const written = directory.list().map(({ name }) => name)
      const own = written.find((name) => {
        const status = above.has(latin1(name)) ? undefined : directory.status(name)
        return status !== undefined && !isWhiteout(status)
      })
      const upper = layers.slice(0, depth)
      if (depth > 0 && own !== undefined && (await this.#lacks(upper, names, own)))
        return { layers: upper, isAlone: true }
      for (const name of written) above.add(latin1(name))
    }
    return { layers, isAlone }
  }

  /** Whether the overlay lacks what lies beneath these layers, and not since a command has removed it just now. */
  async #lacks(layers: readonly Layer[], names: readonly Buffer[], name: Buffer): Promise<boolean> {
    if (await this.#trees.has([...names, name])) return false
    return layers.every(({ directory }) => directory.status(name) === undefined)
  }

  /** @param layers from the first that has it */
  async #entry(above: HostDirectory | undefined, layers: readonly Layer[], names: readonly Buffer[]): Promise<void> {
    this.#count(names)
    const name = names.at(-1)!
    const { directory: upper, index } = layers[0]!
    const status = upper.status(name)
    if (status === undefined || isWhiteout(status)) return
    const host = above?.status(name)
    const [isDirectory, wasDirectory] = [status, host].map((one) => one !== undefined && typeOf(one) === 'directory')
    if (host === undefined) this.#found('added', names, status, host, true, index)
    else if (isDirectory && wasDirectory) {
      if (permissions(status) !== permissions(host)) this.#found('changed', names, status, host, true, index)
    } else if (isDirectory || wasDirectory || !isSame(above!, upper, name, host, status))
      this.#found('changed', names, status, host, true, index)
    if (isDirectory)
      await inLayers(layers, name, (below) =>
        wasDirectory
          ? this.#hostBelow(above!, names, (hostBelow) => this.both(hostBelow, below, names))
          : this.both(undefined, below, names),
      )
    else if (wasDirectory) await this.#hostBelow(above!, names, (below) => this.#allRemoved(below, names))
  }

  #removed(above: HostDirectory, names: readonly Buffer[], isSure = true): void {
    this.#count(names)
    const status = above.status(names.at(-1)!)
    if (status === undefined) return
    this.#found('removed', names, status, status, isSure)
    if (typeOf(status) === 'directory') this.#hostBelow(above, names, (below) => this.#allRemoved(below, names, isSure))
  }

  #allRemoved(host: HostDirectory, names: readonly Buffer[], isSure = true): void {
    for (const { name } of host.list()) this.#removed(host, [...names, name], isSure)
  }

  /** A layer lies over one mount: what is mounted in the directory is not seen through it, and would be taken for removed. */
  #hostBelow<Value>(above: HostDirectory, names: readonly Buffer[], action: (below: HostDirectory) => Value): Value {
    return within(above, names.at(-1)!, (below) => {
      if (below.mount() === this.#mount) return action(below)
      throw new HostError(`${printable(pathOf(names).toString())} is a mount of its own, which a layer does not show`)
    })
  }

  #found(
    kind: Change['kind'],
    names: readonly Buffer[],
    status: HostStatus,
    host: HostStatus | undefined,
    isSure = true,
    layer = 0,
  ): void {
    const type = typeOf(status)
    const size = type === 'file' || type === 'link' ? Number(status.size) : 0
    const change = { path: pathOf(names).toString(), kind, type, size, mode: Number(status.mode) & 0o7777 }
    this.found.push({ change, names, host, isSure, layer })
  }

  /** The payload makes what it likes. */
  #count(names: readonly Buffer[]): void {
    if (++this.#seen > most.entries) throw new HostError(`the layer has more than ${most.entries} entries`)
    if (names.length > most.depth) throw new HostError(`the layer is deeper than ${most.depth} directories`)
  }
}

/** The directory of this name, as it lies in those layers that have one, down to the first that has something else. */
async function inLayers(layers: readonly Layer[], name: Buffer, action: (below: Merged) => Promise<void>) {
  const below: Layer[] = []
  try {
    let isAlone = false
    for (const { directory, index } of layers) {
      const status = directory.status(name)
      if (status === undefined) continue
      isAlone = typeOf(status) !== 'directory'
      if (isAlone) break
      below.push({ directory: directory.directory(name), index })
    }
    await action({ layers: below, isAlone })
  } finally {
    for (const { directory } of below) directory.close()
  }
}

/** Whether the layer has what the host has: a file may be copied into it, and then not be changed. */
export function isSame(
  above: HostDirectory,
  upper: HostDirectory,
  name: Buffer,
  host: HostStatus,
  layer: HostStatus,
): boolean {
  const type = typeOf(layer)
  if (type !== typeOf(host)) return false
  if (type === 'link') return upper.linkText(name).equals(above.linkText(name))
  if (permissions(layer) !== permissions(host)) return false
  if (type !== 'file') return layer.rdev === host.rdev
  // One that cannot be read cannot be compared.
  return layer.size === host.size && (attempt(() => hasSameBytes(above, upper, name, Number(host.size))) ?? false)
}

function hasSameBytes(above: HostDirectory, upper: HostDirectory, name: Buffer, size: number): boolean {
  const files = [above.read(name)]
  try {
    files.push(upper.read(name))
    const [one, other] = files.map((fd) => ({ fd, bytes: Buffer.allocUnsafe(Math.min(size, bufferSize)) }))
    for (let at = 0; at < size; ) {
      const [read, same] = [one!, other!].map(({ fd, bytes }) => readSync(fd, bytes, 0, bytes.length, at))
      if (read === 0 || read !== same) return false
      if (!one!.bytes.subarray(0, read).equals(other!.bytes.subarray(0, read))) return false
      at += read!
    }
    return true
  } finally {
    files.forEach(closeSync)
  }
}
