/**
 * What a layer changes of the directory that it lies over. What was written lies in the upper directory of the overlay. That something was
 * removed says a device of its name there, a whiteout. That it was made anew says an attribute which Node.js cannot read: that is known by what
 * the overlay itself lacks.
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
}

export interface Trees {
  readonly host: HostDirectory
  readonly upper: HostDirectory
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
  await walk.both(trees.host, trees.upper, [])
  return walk.found.toSorted((a, b) => Buffer.compare(pathOf(a.names), pathOf(b.names)))
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

  /** A directory that both have. */
  async both(host: HostDirectory, upper: HostDirectory, names: readonly Buffer[]): Promise<void> {
    const written = upper.list().map(({ name }) => name)
    const known = new Set(written.map(latin1))
    let whiteouts = 0
    for (const name of written) {
      const status = upper.status(name)
      if (status !== undefined && isWhiteout(status)) {
        whiteouts++
        this.#removed(host, [...names, name])
      } else await this.#entry(host, upper, [...names, name])
    }
    // The top cannot be made anew.
    if (whiteouts > 0 || names.length === 0) return
    const others = host.list().filter(({ name }) => !known.has(latin1(name)))
    // One that was made anew has no whiteouts, and lacks what the host had before. What came to the host later it may have or not.
    const before = others.find(({ name }) => {
      const status = host.status(name)
      return status !== undefined && !this.#trees.isLater([...names, name], status)
    })
    if (before === undefined || (await this.#trees.has([...names, before.name]))) return
    // It may also be missing since the host itself has another directory there by now.
    const isSure = !this.#trees.isLater(names, host.own())
    for (const { name } of others) this.#removed(host, [...names, name], isSure)
  }

  async #entry(above: HostDirectory | undefined, upper: HostDirectory, names: readonly Buffer[]): Promise<void> {
    this.#count(names)
    const name = names.at(-1)!
    const status = upper.status(name)
    if (status === undefined || isWhiteout(status)) return
    const host = above?.status(name)
    const [isDirectory, wasDirectory] = [status, host].map((one) => one !== undefined && typeOf(one) === 'directory')
    if (host === undefined) this.#found('added', names, status, host)
    else if (isDirectory && wasDirectory) {
      if (permissions(status) !== permissions(host)) this.#found('changed', names, status, host)
    } else if (isDirectory || wasDirectory || !isSame(above!, upper, name, host, status))
      this.#found('changed', names, status, host)
    if (isDirectory)
      await within(upper, name, async (below) => {
        if (wasDirectory) await this.#hostBelow(above!, names, (hostBelow) => this.both(hostBelow, below, names))
        else for (const entry of below.list()) await this.#entry(undefined, below, [...names, entry.name])
      })
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
  ): void {
    const type = typeOf(status)
    const size = type === 'file' || type === 'link' ? Number(status.size) : 0
    const change = { path: pathOf(names).toString(), kind, type, size, mode: Number(status.mode) & 0o7777 }
    this.found.push({ change, names, host, isSure })
  }

  /** The payload makes what it likes. */
  #count(names: readonly Buffer[]): void {
    if (++this.#seen > most.entries) throw new HostError(`the layer has more than ${most.entries} entries`)
    if (names.length > most.depth) throw new HostError(`the layer is deeper than ${most.depth} directories`)
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
    const [one, other] = files.map((fd) => ({ fd, bytes: Buffer.alloc(bufferSize) }))
    for (let at = 0; at < size; ) {
      const [read, same] = [one!, other!].map(({ fd, bytes }) => readSync(fd, bytes, 0, bufferSize, at))
      if (read === 0 || read !== same) return false
      if (!one!.bytes.subarray(0, read).equals(other!.bytes.subarray(0, read))) return false
      at += read!
    }
    return true
  } finally {
    files.forEach(closeSync)
  }
}
