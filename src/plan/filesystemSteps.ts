/**
 * The steps that build the new root, from an ordered list of entries.
 *
 * How this file thinks. The planner takes the entries once, in their order, for later ones lie over earlier ones. Beside the steps so far
 * it keeps the {@link Tree}: what the new root looks like after them. An entry becomes directories for what is missing above its
 * place, and then its own step; the tree takes note of both, and forgets what the new mount hides.
 *
 * The invariant is what a {@link Place} says. `owned` means that each directory on the way was made by a step of this very plan on a
 * tmpfs of its own: no other process can have put a link there, and the kernel may walk the path as it is. Any other place lies in a mount
 * whose content comes from elsewhere; it is looked up beneath that mount, and nothing is made there through a link. Of a mount that a
 * payload may write, not even what is found is trusted (`planted`): an earlier run could have left links, or exchange them now. An entry
 * that may be missing leaves its place unknown, so that what comes later is checked at run time. The same question on the host's side,
 * where a source may lead, is answered by namedSources.ts, before the first step is made: a later entry may make an earlier one's
 * source writable.
 *
 * The order matters in three places. The mounts are cut off from the host's first, or each of ours would show there. What is mounted on
 * "/" hides all that came before: such entries are dropped, and the last one is the root itself (`stacksRoots`: they are made all the
 * same). The root is sealed and becomes the only one last, behind every step that makes something in it or needs the host's paths.
 */
import type { MountKind } from '../policy/entries.js'
import { kindOf } from '../policy/hidden.js'
import { normal } from '../policy/path.js'
import type { Entry } from '../policy/schema.js'
import { bindFlags, contentOf, coversRoot, type RootCover, shownSource, written } from './entryFacts.js'
import { hints } from './hints.js'
import { keep } from './keep.js'
import { dev, proc, sysfs } from './kernelFilesystems.js'
import { Sources } from './namedSources.js'
import { contextOf, type FilesystemContext, type Leaves, type Made, type Planner, relative, warned } from './planner.js'
import { Tree } from './rootTree.js'
import { makeSocket } from './socketSteps.js'
import type { Specification } from './specification.js'
import type { FilesystemType, MountFlags, Owner, Place, Step } from './step.js'

/** A step in the words of a face. `entry`: what it is for. */
type Say = (step: Step, entry: Entry | undefined) => Step

/** @param say each step is given to it */
export function filesystemSteps(specification: Specification, say: Say): readonly Step[] {
  const { filesystem } = specification
  return filesystem === undefined ? [] : new FilesystemPlanner(contextOf(specification, filesystem), say).steps
}

class FilesystemPlanner implements Planner {
  readonly steps: Step[] = []
  #tree = new Tree()
  readonly #sources: Sources
  /** The entry whose steps are made. */
  #entry: Entry | undefined

  constructor(
    readonly context: FilesystemContext,
    readonly say: Say,
  ) {
    const entries = [...context.entries]
    this.#sources = new Sources(entries, context)
    this.push({
      do: 'isolateMounts',
      propagation: context.style.propagation,
      what: "cut the mounts off from the host's",
      why: 'no mount made here shows outside',
    })
    this.#root(entries)
    for (const entry of entries) {
      this.#entry = entry
      if (coversRoot(entry)) this.#cover(entry)
      else this.#make(entry)
    }
    this.#entry = undefined
    for (const socket of context.sockets ?? []) makeSocket(this, socket)
    if (this.#tree.get('') === 'ours' && !context.root.writable)
      this.push({ do: 'sealRoot', what: 'make the root read-only', why: 'only what is asked for is writable' })
    this.push({
      do: 'pivot',
      what: 'make the new root the only one',
      why: "pivot_root and a detach leave no way back to the host's",
    })
  }

  push(step: Step): void {
    this.steps.push(this.say(warned(step), this.#entry))
  }

  /** What is mounted on "/" hides all that came before it, and is the root itself. */
  #root(entries: Entry[]): void {
    const { root } = this.context
    const first = entries[0]
    const onTop = first !== undefined && coversRoot(first) && !('bind' in first && first.optional) ? 0 : -1
    const last = this.context.style.stacksRoots ? onTop : entries.findLastIndex(coversRoot)
    const cover = entries.splice(0, last + 1).findLast(coversRoot)
    this.#entry = cover
    // A read-only one cannot be filled.
    if (cover === undefined) this.#rootTmpfs({ size: root.size }, root.writable)
    else this.#cover('tmpfs' in cover ? { ...cover, size: cover.size ?? root.size } : cover, root.writable)
  }

  #cover(cover: RootCover, writable = true): void {
    this.#tree = 'tmpfs' in cover ? new Tree() : new Tree('foreign', written(cover))
    if ('tmpfs' in cover) this.#rootTmpfs(cover, writable)
    else if ('overlay' in cover) this.#overlay(cover)
    else this.#rootBind(cover)
    keep(this, cover)
  }

  #rootTmpfs(entry: Omit<Extract<Entry, { tmpfs: string }>, 'tmpfs'>, writable: boolean): void {
    const { mode, size, inodes, owner } = entry
    this.push({
      do: 'rootTmpfs',
      options: [
        ...(this.context.style.namesSources ? [['source', 'tmpfs'] as const] : []),
        ['mode', (mode ?? 0o755).toString(8)],
        ...this.room(size, inodes, writable),
        ...this.ownerOptions(owner),
      ],
      what: 'make an empty root',
      why: 'nothing of the host is visible unless it is named',
      // Without a user namespace of its own the root is given to ids that another one may not have.
      hints: this.context.hostIds ? { ...hints.mounts, ...hints.identity } : hints.mounts,
    })
  }

  #rootBind(entry: Extract<Entry, { bind: string }>): void {
    const source = this.#sources.of(entry)
    this.push({
      do: 'rootBind',
      source,
      ...this.#sources.within(source, entry.beneath),
      recursive: entry.recursive ?? true,
      optional: entry.optional ?? false,
      flags: bindFlags(entry),
      what: `use ${shownSource(source)} as the root`,
      why: entry.writable ? 'writable, as the policy says' : 'read-only',
      hints: hints.source,
    })
  }

  #make(entry: Entry): void {
    const make = this.#kinds[kindOf(entry).kind] as (entry: Entry) => void
    make(entry)
    keep(this, entry)
  }

  /** What is made of an entry of each kind. */
  readonly #kinds: {
    readonly [Kind in MountKind]: (entry: Extract<Entry, { readonly [Key in Kind]: string }>) => void
  } = {
    bind: (entry) => this.bind(entry),
    tmpfs: (entry) => this.#tmpfs(entry),
    proc: (entry) => proc(this, entry),
    sysfs: ({ sysfs: at }) => sysfs(this, at),
    dev: ({ dev: at }) => dev(this, at),
    mqueue: ({ mqueue: at }) =>
      this.mount('mqueue', at, [], this.context.style.mqueue, 'foreign', 'POSIX message queues'),
    directory: (entry) => this.directory(entry),
    symlink: ({ symlink: at, to }) => this.symlink(at, to),
    file: (entry) => this.#file(entry),
    overlay: (entry) => this.#overlay(entry),
    readonly: (entry) => this.#readonly(entry),
    chmod: (entry) => this.#chmod(entry),
  }

  #tmpfs(entry: Extract<Entry, { tmpfs: string }>): void {
    const options = [
      ['mode', (entry.mode ?? 0o755).toString(8)] as const,
      ...this.room(entry.size, entry.inodes),
      ...this.ownerOptions(entry.owner),
    ]
    const flags = { nosuid: true, nodev: true, noexec: entry.noexec ?? false }
    this.mount('tmpfs', entry.tmpfs, options, flags, 'ours', 'scratch space in memory', entry.mode ?? 0o755)
  }

  directory(entry: Extract<Entry, { directory: string }>): void {
    // The root is there.
    if (normal(entry.directory) === '/') return
    const mode = entry.mode ?? 0o755
    const make = (place: Place): Step => ({
      do: 'directory',
      place,
      mode,
      implicit: false,
      owner: this.#owner(entry.owner),
      what: `make the directory ${entry.directory}`,
      why: 'the policy names it',
      hints: hints.place,
    })
    this.make(entry.directory, 'ours', make, { mode })
  }

  #readonly(entry: Extract<Entry, { readonly: string }>): void {
    const place = this.place(entry.readonly)
    const step: Step = {
      do: 'readonly',
      place,
      recursive: entry.recursive ?? true,
      only: entry.mount ? 'mount' : undefined,
      flags: this.context.style.remount,
      what: `make ${entry.readonly} read-only`,
      why: 'the policy names it',
      hints: hints.present,
    }
    this.push(step)
  }

  bind(entry: Extract<Entry, { bind: string }>): void {
    const source = this.#sources.of(entry)
    const shown = source === normal(entry.bind) ? source : `${shownSource(source)} on ${entry.bind}`
    const optional = entry.optional ?? false
    const make = (place: Place, above: Step<'directory'>[]): Step => ({
      do: 'bind',
      place,
      source,
      recursive: entry.recursive ?? true,
      optional,
      above,
      flags: bindFlags(entry),
      ...this.#sources.within(source, entry.beneath),
      what: `bind ${shown}`,
      why: entry.writable ? 'shown, and writable' : 'shown read-only',
      hints: hints.bind,
    })
    this.make(entry.bind, optional ? 'maybe' : 'foreign', make, { written: written(entry) })
  }

  symlink(at: string, target: string): void {
    const make = (place: Place): Step => ({
      do: 'symlink',
      place,
      target,
      what: `link ${at} to ${target}`,
      why: 'the policy names it',
      hints: hints.place,
    })
    this.make(at, 'link', make, { target })
  }

  #file(entry: Extract<Entry, { file: string }>): void {
    const mode = entry.mode ?? 0o644
    const common = {
      content: contentOf(entry),
      mode,
      what: `write the file ${entry.file}`,
      why: 'the policy gives its content',
      hints: hints.place,
    }
    const make = (place: Place): Step => {
      if (entry.mount === undefined)
        return {
          do: 'file',
          place,
          owner: this.#owner(entry.owner),
          keepsMode: this.context.style.keepsMode,
          payload: this.context.identity.uid,
          ...common,
        }
      return {
        do: 'mountFile',
        place,
        room: this.room(undefined, undefined),
        flags: { readonly: entry.mount === 'readonly', nosuid: true, nodev: true },
        ...common,
      }
    }
    this.make(entry.file, entry.mount === undefined ? 'file' : 'foreign', make, { mode })
  }

  #chmod(entry: Extract<Entry, { chmod: string }>): void {
    this.push({
      do: 'chmod',
      place: this.place(entry.chmod),
      mode: entry.mode,
      payload: this.context.identity.uid,
      what: `set the mode of ${entry.chmod}`,
      why: 'the policy names it',
      hints: hints.present,
    })
  }

  #overlay(entry: Extract<Entry, { overlay: string }>): void {
    const layer = (path: string) => this.#sources.layer(path)
    const { upper: given } = entry
    const upper = typeof given === 'object' ? { ...given, upper: layer(given.upper), work: layer(given.work) } : given
    const make = (place: Place): Step => ({
      do: 'overlay',
      place,
      lower: entry.lower.map(layer),
      upper,
      // A user namespace may not set trusted.* attributes: https://docs.kernel.org/filesystems/overlayfs.html
      userAttributes: !this.context.hostIds || this.context.style.userAttributes,
      flags: { ...this.context.style.overlay, readonly: upper === undefined },
      room: this.room(undefined, undefined),
      what: `mount an overlay on ${entry.overlay}`,
      why:
        upper === undefined
          ? 'layers, read-only'
          : upper === 'tmpfs'
            ? 'changes stay in memory'
            : 'changes go to the upper directory',
      hints: hints.overlay,
    })
    if (normal(entry.overlay) === '/') this.push(make({ path: '.', owned: true }))
    else this.make(entry.overlay, 'foreign', make, { written: written(entry) })
  }

  mount(
    type: FilesystemType,
    at: string,
    options: readonly (readonly [string, string])[],
    flags: MountFlags,
    leaves: 'ours' | 'foreign',
    why: string,
    mode?: number,
  ): void {
    const step = (place: Place): Step => ({
      do: 'mount',
      place,
      type,
      options: this.context.style.namesSources ? [['source', type], ...options] : options,
      flags,
      what: `mount ${type} on ${at}`,
      why,
      hints: type === 'proc' || type === 'sysfs' ? hints.proc : hints.place,
    })
    this.make(at, leaves, step, { mode })
  }

  room(size: number | undefined, inodes: number | undefined, writable = true): (readonly [string, string])[] {
    const disk = writable ? this.context.disk : {}
    const bytes = size ?? disk.size
    // A tmpfs without a number admits as many as half of the machine's pages, whatever its size; none is counted in it.
    const most = inodes ?? disk.inodes ?? (disk.size === undefined ? undefined : inodesFor(bytes!))
    return [
      ...(bytes === undefined ? [] : [['size', String(bytes)] as const]),
      ...(most === undefined ? [] : [['nr_inodes', String(most)] as const]),
    ]
  }

  make(at: string, leaves: Leaves, step: (place: Place, above: Step<'directory'>[]) => Step, made: Made = {}): void {
    const path = this.#real(relative(at), leaves !== 'link' && leaves !== 'file')
    // What has no mode of its own counts as closed to all others.
    const open = this.context.style.closesParents ? (made.mode ?? 0) : 0o777
    const closed = ((open & 0o070) === 0 ? 0o050 : 0) | ((open & 0o007) === 0 ? 0o005 : 0)
    const missing = this.#tree.missing(path)
    const directories = missing.map((above) => ({
      do: 'directory' as const,
      place: this.#place(above),
      mode: 0o755 & ~closed,
      implicit: true,
      owner: undefined,
      what: `make the directory /${above}`,
      why: `${at} lies in it`,
      hints: hints.place,
    }))
    if (leaves === 'maybe') {
      // Where the source is missing, nothing is made: what lies above stays unknown.
      this.push(step(this.#place(path), directories))
      this.#tree.put(path, 'maybe', made)
      return
    }
    for (const above of missing) this.#tree.pass(above)
    for (const directory of directories) this.push(directory)
    this.push(step(this.#place(path), []))
    this.#tree.put(path, leaves === 'ours' && !this.#tree.owns(path) ? 'foreign' : leaves, made)
  }

  place(at: string): Place {
    const path = this.#real(relative(at), true)
    return path === '' ? { path: '.', owned: true } : this.#place(path)
  }

  #place(path: string): Place {
    if (this.#tree.owns(path) && this.#tree.get(path) !== 'link') return { path, owned: true }
    // What is put on a link goes where it leads.
    if (this.context.style.followsLinks) return { path, owned: false, planted: false }
    return { path, owned: false, ...this.#tree.around(path) }
  }

  #real(path: string, last: boolean): string {
    return this.context.style.followsLinks ? path : this.#tree.real(path, last)
  }

  #owner(owner: { uid?: number | undefined; gid?: number | undefined } | undefined): Owner | undefined {
    if (owner === undefined && !this.context.hostIds) return undefined
    return { uid: owner?.uid ?? this.context.identity.uid, gid: owner?.gid ?? this.context.identity.gid }
  }

  ownerOptions(
    owner: { uid?: number | undefined; gid?: number | undefined } | undefined,
  ): (readonly [string, string])[] {
    const ids = this.#owner(owner)
    return ids === undefined
      ? []
      : [
          ['uid', String(ids.uid)],
          ['gid', String(ids.gid)],
        ]
  }
}

/** A file that is not empty takes a page of 4 KiB: as many again may be empty files, directories and links. */
const inodesFor = (bytes: number) => Math.max(1024, Math.floor(bytes / 2048))
