/** The steps that build the new root, from the ordered list of a policy. */
import { resolve } from 'node:path'
import { type FilesystemEntry, normal, type Policy } from '../policy/schema.js'
import { parseLimits } from '../policy/limits.js'
import { parseSize } from '../policy/units.js'
import { hints } from './hints.js'
import { modeOf } from './plan.js'
import type { MountFlags, Owner, Place, Step } from './step.js'
import { Tree } from './tree.js'

export interface FilesystemContext {
  /** Where relative host paths start; undefined: the folder that the vial is started in. */
  readonly base: string | undefined
  readonly style: Style
  readonly identity: Owner
  /** Ids are the host's: what we make must be given to the payload by hand. */
  readonly hostIds: boolean
  /** Whether the payload is in another pid namespace than the caller. */
  readonly ownPid: boolean
  readonly ownIpc: boolean
}

/** What differs between our own face and that of bwrap(1). */
export interface Style {
  readonly mqueue: MountFlags
  readonly dev: MountFlags
  readonly deviceNode: MountFlags
  readonly overlay: MountFlags
  /** Layers in a user namespace keep their marks in user.* attributes; bwrap has them there always. */
  readonly userAttributes: boolean
  /** A tmpfs for everybody, or a plain folder. */
  readonly shm: 'tmpfs' | 'directory'
  readonly devSize: readonly (readonly [string, string])[]
  /** Parts of /proc that become read-only, and when. */
  readonly procReadonly: readonly string[]
  readonly procReadonlyWhen: 'always' | 'rootMode' | 'writable'
  /** Whether what lies above a place that is closed to others is closed to them too. */
  readonly closesParents: boolean
}

/** /proc as runc has it, where root of the host could turn it against the host. */
export const vialStyle: Style = {
  mqueue: { nosuid: true, nodev: true, noexec: true },
  dev: { nosuid: true, noexec: true },
  deviceNode: { nosuid: true, noexec: true },
  overlay: { nosuid: true, nodev: true },
  userAttributes: false,
  shm: 'tmpfs',
  devSize: [['size', '65536']],
  procReadonly: ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'],
  procReadonlyWhen: 'rootMode',
  closesParents: false,
}

const deviceNodes = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
const deviceLinks: readonly (readonly [string, string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
]
export function filesystemSteps(policy: Policy, context: FilesystemContext): Step[] {
  return new FilesystemPlanner(policy, context).steps
}

class FilesystemPlanner {
  readonly steps: Step[] = []
  #tree = new Tree()
  /** What `limits.disk` says of a tmpfs: `size` and `nr_inodes`. */
  readonly #disk: { readonly size?: number; readonly inodes?: number }

  constructor(
    policy: Policy,
    readonly context: FilesystemContext,
  ) {
    const entries = [...(policy.filesystem ?? [])]
    this.#disk = policy.limits === undefined ? {} : (parseLimits(policy.limits).disk ?? {})
    this.steps.push({
      do: 'isolateMounts',
      what: "cut the mounts off from the host's",
      why: 'no mount made here shows outside',
    })
    this.#root(policy, entries)
    for (const entry of entries) this.#entry(entry)
    if (this.#tree.get('') === 'ours' && !(policy.root?.writable ?? false))
      this.steps.push({ do: 'sealRoot', what: 'make the root read-only', why: 'only what is asked for is writable' })
    this.steps.push({
      do: 'pivot',
      what: 'make the new root the only one',
      why: "pivot_root and a detach leave no way back to the host's",
    })
  }

  /** What is mounted on "/" hides all that came before it, and is the root itself. */
  #root(policy: Policy, entries: FilesystemEntry[]): void {
    const last = entries.findLastIndex((entry) => coversRoot(entry))
    const cover = entries.splice(0, last + 1).findLast(coversRoot)
    if (cover === undefined || 'tmpfs' in cover) {
      this.steps.push({
        do: 'rootTmpfs',
        options: [
          ['mode', modeOf(cover?.mode, 0o755).toString(8)],
          // One that is read-only can be filled by nobody.
          ...this.#room(cover?.size ?? policy.root?.size, cover?.inodes, policy.root?.writable ?? false),
          ...this.#ownerOptions(cover?.owner),
        ],
        what: 'make an empty root',
        why: 'nothing of the host is visible unless it is named',
      })
      return
    }
    this.#tree = new Tree('foreign')
    if ('overlay' in cover) this.#overlay(cover)
    else if ('bind' in cover) this.#rootBind(cover)
  }

  #rootBind(entry: Extract<FilesystemEntry, { bind: string }>): void {
    const source = this.#source(entry)
    this.steps.push({
      do: 'rootBind',
      source,
      recursive: entry.recursive ?? true,
      flags: bindFlags(entry),
      what: `use ${shownSource(source)} as the root`,
      why: entry.writable ? 'writable, as the policy says' : 'read-only',
      hints: hints.source,
    })
  }

  #source(entry: Extract<FilesystemEntry, { bind: string }>): string | number {
    return entry.fd ?? this.#host(entry.from ?? entry.bind)
  }

  #host(path: string): string {
    return this.context.base === undefined ? path : resolve(this.context.base, path)
  }

  #entry(entry: FilesystemEntry): void {
    if ('bind' in entry) this.#bind(entry)
    else if ('tmpfs' in entry) this.#tmpfs(entry)
    else if ('proc' in entry) this.#proc(entry.proc)
    else if ('dev' in entry) this.#dev(entry.dev)
    else if ('mqueue' in entry) {
      this.#mount('mqueue', entry.mqueue, [], this.context.style.mqueue, 'foreign', 'POSIX message queues')
    } else if ('directory' in entry) this.#directory(entry)
    else if ('symlink' in entry) this.#symlink(entry.symlink, entry.to)
    else if ('file' in entry) this.#file(entry)
    else if ('overlay' in entry) this.#overlay(entry)
    else if ('chmod' in entry) this.#chmod(entry)
    else this.#readonly(entry)
  }

  #tmpfs(entry: Extract<FilesystemEntry, { tmpfs: string }>): void {
    const options = [
      ['mode', modeOf(entry.mode, 0o755).toString(8)] as const,
      ...this.#room(entry.size, entry.inodes),
      ...this.#ownerOptions(entry.owner),
    ]
    const flags = { nosuid: true, nodev: true, noexec: entry.noexec ?? false }
    this.#mount('tmpfs', entry.tmpfs, options, flags, 'ours', 'scratch space in memory')
  }

  #directory(entry: Extract<FilesystemEntry, { directory: string }>): void {
    const mode = modeOf(entry.mode, 0o755)
    const make = (place: Place): Step => ({
      do: 'directory',
      place,
      mode,
      implicit: false,
      owner: this.#owner(entry.owner),
      what: `make the folder ${entry.directory}`,
      why: 'the policy names it',
      hints: hints.place,
    })
    this.#make(entry.directory, 'ours', make, mode)
  }

  #readonly(entry: Extract<FilesystemEntry, { readonly: string }>): void {
    const path = relative(entry.readonly)
    const place = path === '' ? { path: '.', owned: true } : this.#place(path)
    this.steps.push({
      do: 'readonly',
      place,
      recursive: entry.recursive ?? true,
      only: entry.mount ? 'mount' : undefined,
      what: `make ${entry.readonly} read-only`,
      why: 'the policy names it',
    })
  }

  #bind(entry: Extract<FilesystemEntry, { bind: string }>): void {
    const source = this.#source(entry)
    const shown = source === normal(entry.bind) ? source : `${shownSource(source)} on ${entry.bind}`
    this.#make(entry.bind, 'foreign', (place) => ({
      do: 'bind',
      place,
      source,
      recursive: entry.recursive ?? true,
      optional: entry.optional ?? false,
      flags: bindFlags(entry),
      what: `bind ${shown}`,
      why: entry.writable ? 'shown, and writable' : 'shown read-only',
      hints: hints.bind,
    }))
  }

  #symlink(at: string, target: string): void {
    this.#make(at, 'link', (place) => ({
      do: 'symlink',
      place,
      target,
      what: `link ${at} to ${target}`,
      why: 'the policy names it',
      hints: hints.place,
    }))
  }

  #file(entry: Extract<FilesystemEntry, { file: string }>): void {
    const content =
      entry.fd ??
      (typeof entry.content === 'string'
        ? new TextEncoder().encode(entry.content)
        : (entry.content ?? new Uint8Array()))
    const mode = modeOf(entry.mode, 0o644)
    const common = {
      content,
      mode,
      what: `write the file ${entry.file}`,
      why: 'the policy gives its content',
      hints: hints.place,
    }
    const make = (place: Place): Step => {
      if (entry.mount === undefined) return { do: 'file', place, owner: this.#owner(entry.owner), ...common }
      return {
        do: 'mountFile',
        place,
        flags: { readonly: entry.mount === 'readonly', nosuid: true, nodev: true },
        ...common,
      }
    }
    this.#make(entry.file, entry.mount === undefined ? 'file' : 'foreign', make, mode)
  }

  #chmod(entry: Extract<FilesystemEntry, { chmod: string }>): void {
    this.steps.push({
      do: 'chmod',
      place: this.#place(relative(entry.chmod) || '.'),
      mode: modeOf(entry.mode, 0),
      what: `set the mode of ${entry.chmod}`,
      why: 'the policy names it',
    })
  }

  #overlay(entry: Extract<FilesystemEntry, { overlay: string }>): void {
    const layer = (path: string) => this.#host(path).replace(/[\\,:]/g, '\\$&')
    const upper = entry.upper
    const parts = [`lowerdir=${entry.lower.map(layer).join(':')}`]
    if (upper === 'tmpfs') parts.push('upperdir=upper', 'workdir=work')
    else if (upper !== undefined) parts.push(`upperdir=${layer(upper.upper)}`, `workdir=${layer(upper.work)}`)
    // A user namespace may not set trusted.* attributes: https://docs.kernel.org/filesystems/overlayfs.html
    if (!this.context.hostIds || this.context.style.userAttributes) parts.push('userxattr')
    const make = (place: Place): Step => ({
      do: 'overlay',
      place,
      options: parts.join(','),
      flags: { ...this.context.style.overlay, readonly: upper === undefined },
      room: this.#room(undefined, undefined),
      what: `mount an overlay on ${entry.overlay}`,
      why:
        upper === undefined
          ? 'layers, read-only'
          : upper === 'tmpfs'
            ? 'changes stay in memory'
            : 'changes go to the upper folder',
      hints: hints.overlay,
    })
    if (normal(entry.overlay) === '/') this.steps.push(make({ path: '.', owned: true }))
    else this.#make(entry.overlay, 'foreign', make)
  }

  #proc(at: string): void {
    if (!this.context.ownPid) this.#bind({ bind: at, from: '/proc', writable: true })
    else this.#newProc(at)
    const { procReadonly, procReadonlyWhen } = this.context.style
    if (procReadonlyWhen === 'rootMode' && !this.context.hostIds) return
    for (const name of procReadonly) {
      this.steps.push({
        do: 'readonly',
        place: { path: `${relative(at)}/${name}`, owned: false },
        recursive: true,
        only: procReadonlyWhen === 'writable' ? 'writable' : undefined,
        what: `make ${at}/${name} read-only`,
        why: "it reaches the host's kernel",
      })
    }
  }

  #newProc(at: string): void {
    this.#mount(
      'proc',
      at,
      [],
      { nosuid: true, nodev: true, noexec: true },
      'foreign',
      "shows the sandbox's own processes only",
    )
  }

  #dev(at: string): void {
    const { style } = this.context
    this.#mount(
      'tmpfs',
      at,
      [['mode', '0755'], ...style.devSize, ...this.#ownerOptions(undefined)],
      style.dev,
      'ours',
      'a minimal /dev',
    )
    for (const name of deviceNodes) {
      this.#make(`${at}/${name}`, 'foreign', (place) => ({
        do: 'bind',
        place,
        source: `/dev/${name}`,
        recursive: false,
        optional: false,
        flags: style.deviceNode,
        what: `bind the device /dev/${name}`,
        why: 'programs expect it',
        hints: hints.source,
      }))
    }
    for (const [name, target] of deviceLinks) this.#symlink(`${at}/${name}`, target)
    this.#mount(
      'devpts',
      `${at}/pts`,
      [
        ['newinstance', ''],
        ['ptmxmode', '0666'],
        ['mode', '0620'],
      ],
      { nosuid: true, noexec: true },
      'foreign',
      "terminals of the sandbox's own",
    )
    this.#make(`${at}/console`, 'foreign', (place) => ({
      do: 'console',
      place,
      flags: style.deviceNode,
      what: `show the terminal as ${at}/console`,
      why: 'ttyname(3) finds what standard output is',
    }))
    if (style.shm === 'directory') {
      this.#directory({ directory: `${at}/shm` })
      return
    }
    this.#mount(
      'tmpfs',
      `${at}/shm`,
      [['mode', '1777'], ...this.#room(undefined, undefined), ...this.#ownerOptions(undefined)],
      { nosuid: true, nodev: true },
      'ours',
      'POSIX shared memory',
    )
  }

  #mount(
    type: 'tmpfs' | 'proc' | 'mqueue' | 'devpts',
    at: string,
    options: readonly (readonly [string, string])[],
    flags: MountFlags,
    leaves: 'ours' | 'foreign',
    why: string,
  ): void {
    this.#make(at, leaves, (place) => ({
      do: 'mount',
      place,
      type,
      options,
      flags,
      what: `mount ${type} on ${at}`,
      why,
      hints: type === 'proc' ? hints.proc : hints.place,
    }))
  }

  /** Makes the folders above `at`, then the step, then remembers what is there now. */
  #make(
    at: string,
    leaves: 'ours' | 'foreign' | 'link' | 'file',
    step: (place: Place) => Step,
    mode: number = 0o755,
  ): void {
    const path = relative(at)
    const closed = this.context.style.closesParents
      ? ((mode & 0o070) === 0 ? 0o050 : 0) | ((mode & 0o007) === 0 ? 0o005 : 0)
      : 0
    for (const above of this.#tree.missing(path)) {
      const place = this.#place(above)
      this.steps.push({
        do: 'directory',
        place,
        mode: 0o755 & ~closed,
        implicit: true,
        owner: undefined,
        what: `make the folder /${above}`,
        why: `${at} lies in it`,
        hints: hints.place,
      })
      this.#tree.put(above, place.owned ? 'ours' : 'foreign')
    }
    this.steps.push(step(this.#place(path)))
    this.#tree.put(path, leaves === 'ours' && !this.#tree.owns(path) ? 'foreign' : leaves)
  }

  /** Options of a tmpfs with these limits of its own, or else with those of the policy. */
  #room(size: string | number | undefined, inodes: number | undefined, writable = true): (readonly [string, string])[] {
    const disk = writable ? this.#disk : {}
    const bytes = size === undefined ? disk.size : parseSize(size)
    const most = inodes ?? disk.inodes
    return [
      ...(bytes === undefined ? [] : [['size', String(bytes)] as const]),
      ...(most === undefined ? [] : [['nr_inodes', String(most)] as const]),
    ]
  }

  #place(path: string): Place {
    return { path, owned: this.#tree.owns(path) }
  }

  #owner(owner: { uid?: number | undefined; gid?: number | undefined } | undefined): Owner | undefined {
    if (owner === undefined && !this.context.hostIds) return undefined
    return { uid: owner?.uid ?? this.context.identity.uid, gid: owner?.gid ?? this.context.identity.gid }
  }

  #ownerOptions(
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

function bindFlags(entry: Extract<FilesystemEntry, { bind: string }>): MountFlags {
  return {
    readonly: !(entry.writable ?? false),
    nosuid: !(entry.suid ?? false),
    nodev: !(entry.devices ?? false),
    noexec: entry.noexec ?? false,
  }
}

const relative = (path: string) => normal(path).slice(1)

const shownSource = (source: string | number) => (typeof source === 'number' ? `descriptor ${source}` : source)

type RootCover = Extract<FilesystemEntry, { bind: string } | { tmpfs: string } | { overlay: string }>
function coversRoot(entry: FilesystemEntry): entry is RootCover {
  const place = 'bind' in entry ? entry.bind : 'tmpfs' in entry ? entry.tmpfs : 'overlay' in entry ? entry.overlay : ''
  return place !== '' && normal(place) === '/'
}
