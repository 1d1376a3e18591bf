/**
 * Which mounts the steps of a plan's init make, and how they lie over each other: what a sandbox's table of mounts is compared with. The
 * steps are gone through once, in their order, as init does them.
 */
import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs'
import type { MountFlags, MountOptions, Place, Step, StepKind, Steps } from '../plan/step.js'
import { attempt } from '../text/attempt.js'
import { joined } from './mountTable.js'

/** What is to be seen at a place. */
export type Origin =
  /** A new filesystem, with these options. */
  | { readonly type: string; readonly options: MountOptions }
  /** A file or directory of the host; undefined: it came by a descriptor. */
  | { readonly host: string | undefined }
  /** What the place shows anyway: it is mounted on itself. */
  | 'itself'
  /** Nothing: an empty directory, or /dev/null. */
  | 'mask'

export interface ExpectedMount {
  readonly path: string
  readonly origin: Origin
  readonly flags: MountFlags
  /** With what is mounted on the host beneath it. */
  readonly recursive: boolean
  /** It may be missing. */
  readonly optional: boolean
}

/** What init sees of the host, which decides about some of the steps. */
export interface Surroundings {
  /** Whether a process inside can be the host's root. */
  readonly ownsHost: boolean
}

/** A step that mounts, or makes something else at a place: each has a row. */
type Mounting =
  | { [Kind in StepKind]: Steps[Kind] extends { readonly place: Place } ? Kind : never }[StepKind]
  | 'rootTmpfs'
  | 'rootBind'
  | 'sealRoot'

type Replays = { readonly [Kind in Mounting]: (table: Table, step: Step<Kind>) => void }

export function expectedMounts(steps: readonly Step[], surroundings: Surroundings): readonly ExpectedMount[] {
  const table = new Table(surroundings)
  for (const step of steps) {
    const replay = replays[step.do as Mounting] as ((table: Table, step: Step) => void) | undefined
    replay?.(table, step)
  }
  return table.mounts
}

const nothing = () => {}

const replays: Replays = {
  rootTmpfs: (table, { options }) =>
    table.root({ origin: { type: 'tmpfs', options }, flags: { nosuid: true, nodev: true }, recursive: false }),
  rootBind: (table, { source, flags, recursive }) => table.root({ origin: ofHost(source), flags, recursive }),
  sealRoot: (table) => table.change('/', { readonly: true }, false),
  directory: nothing,
  symlink: nothing,
  file: nothing,
  socket: nothing,
  chmod: nothing,
  mountFile: (table, { place, flags, room = [] }) =>
    table.put(place, { origin: { type: 'tmpfs', options: room }, flags, recursive: false, optional: false }),
  console: (table, { place, flags }) =>
    table.put(place, { origin: { host: undefined }, flags, recursive: false, optional: true }),
  bind: (table, { place, source, flags, recursive, optional }) =>
    table.put(place, { origin: ofHost(source), flags, recursive, optional }),
  mount(table, { place, type, options, flags }) {
    const made = { origin: { type, options }, flags, recursive: false }
    if (place.path === '') table.root(made)
    else table.put(place, { ...made, optional: false })
  },
  overlay(table, { place, flags }) {
    const made = { origin: { type: 'overlay', options: [] }, flags, recursive: false }
    if (place.path === '.') table.root(made)
    else table.put(place, { ...made, optional: false })
  },
  readonly(table, { place, recursive, only, flags }) {
    const path = pathOf(place)
    // These are of mounts that are there.
    if (path === '/' || only === 'mount') table.change(path, flags, recursive)
    else table.copy(path, flags, { recursive, optional: only !== undefined && !table.isThere(path) })
  },
  guard(table, { place, readonly, masked, worldReadable, eachCpu, when }) {
    const top = pathOf(place)
    // The files of the kernel are the same in each of its filesystems of a kind.
    const host = table.typeAt(top) === 'sysfs' ? '/sys' : '/proc'
    const cover = (name: string, origin: 'itself' | 'mask', always: boolean) => {
      const path = joined(top, `/${name}`)
      const optional = !always || !existsSync(`${host}/${name}`)
      if (origin === 'itself') table.copy(path, { readonly: true }, { recursive: true, optional })
      else table.cover(path, optional)
    }
    const cpus = eachCpu.length === 0 ? [] : (attempt(() => readdirSync('/sys/devices/system/cpu')) ?? [])
    for (const name of worldReadable) cover(name, 'mask', true)
    for (const cpu of cpus.filter((one) => /^cpu\d+$/.test(one)))
      for (const name of eachCpu) cover(`devices/system/cpu/${cpu}/${name}`, 'mask', true)
    if (when === 'refuseOwner') return
    const always = when === 'always' || table.surroundings.ownsHost
    for (const name of readonly) cover(name, 'itself', always)
    for (const name of masked) cover(name, 'mask', always)
  },
}

const pathOf = ({ path }: Place) => (path === '.' || path === '' ? '/' : `/${path}`)

/** Links on the way are followed, as by init. */
const ofHost = (source: string | number): Origin => ({
  host: typeof source === 'number' ? undefined : (attempt(() => realpathSync(source)) ?? source),
})

type Made = Omit<ExpectedMount, 'path' | 'optional'>

class Table {
  mounts: ExpectedMount[] = []

  constructor(readonly surroundings: Surroundings) {}

  /** What was there before is gone. */
  root(made: Made): void {
    this.mounts = [{ path: '/', optional: false, ...made }]
  }

  put(place: Place, made: Omit<ExpectedMount, 'path'>): void {
    this.mounts.push({ path: pathOf(place), ...made })
  }

  cover(path: string, optional: boolean): void {
    const flags = { readonly: true, nosuid: true, noexec: true }
    this.mounts.push({ path, origin: 'mask', flags, recursive: false, optional })
  }

  /** What is there, and if it is `recursive` all that lies on it, is mounted over it once more. */
  copy(path: string, flags: MountFlags, { recursive, optional }: Pick<ExpectedMount, 'recursive' | 'optional'>): void {
    const beneath = recursive ? this.#onTop(path) : []
    this.mounts.push({
      path,
      origin: 'itself',
      flags: { ...this.#covering(path)?.flags, ...flags },
      recursive,
      optional,
    })
    for (const one of beneath)
      this.mounts.push({ ...one, flags: { ...one.flags, ...flags }, optional: one.optional || optional })
  }

  /** More flags for the mount at this path, which lies on top there. */
  change(path: string, flags: MountFlags, recursive: boolean): void {
    const top = this.mounts.findLastIndex((one) => one.path === path)
    const beneath = new Set(recursive ? this.#onTop(path) : [])
    this.mounts = this.mounts.map((one, index) =>
      index === top || beneath.has(one) ? { ...one, flags: { ...one.flags, ...flags } } : one,
    )
  }

  typeAt(path: string): string | undefined {
    const origin = this.#covering(path)?.origin
    if (typeof origin === 'object' && 'type' in origin) return origin.type
    return typeof origin === 'object' && origin.host?.startsWith('/sys') ? 'sysfs' : undefined
  }

  /** Whether the place is there, as far as it shows the host: a link, too. In what is the sandbox's own it was made. */
  isThere(path: string): boolean {
    const covering = this.mounts.findLast((one) => one.origin !== 'itself' && covers(one.path, path))
    if (covering === undefined || typeof covering.origin !== 'object') return false
    if (!('host' in covering.origin)) return true
    const { host } = covering.origin
    if (host === undefined) return false
    const at = joined(host, path.slice(covering.path === '/' ? 0 : covering.path.length))
    return attempt(() => lstatSync(at)) !== undefined
  }

  #covering(path: string): ExpectedMount | undefined {
    return coveringIn(this.mounts, path)
  }

  /** What lies beneath a path and is not covered by what lies on that. */
  #onTop(path: string): ExpectedMount[] {
    const from = this.mounts.findLastIndex((one) => covers(one.path, path))
    return this.mounts.slice(from + 1).filter((one) => isAbove(path, one.path))
  }
}

/** Of mounts that lie over each other, the one that shows at a path. */
export function coveringIn(mounts: readonly ExpectedMount[], path: string): ExpectedMount | undefined {
  return mounts.findLast((one) => covers(one.path, path))
}

/** Whether a mount at this place shows at the path, if nothing else does. */
const covers = (place: string, path: string) => place === path || isAbove(place, path)
const isAbove = (above: string, path: string) => path.startsWith(above === '/' ? '/' : `${above}/`) && path !== above
