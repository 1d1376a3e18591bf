/** The steps that build the new root, from the ordered list of a policy. */
import { resolve } from 'node:path'
import { type FilesystemEntry, normal, type Policy } from '../policy/schema.js'
import { parseSize } from '../policy/units.js'
import { hints } from './hints.js'
import { modeOf } from './plan.js'
import type { MountFlags, Owner, Place, Step } from './step.js'
import { Tree } from './tree.js'

export interface FilesystemContext {
  readonly base: string
  readonly identity: Owner
  /** Ids are the host's: what we make must be given to the payload by hand. */
  readonly hostIds: boolean
  readonly newPid: boolean
  readonly ownIpc: boolean
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
/** Parts of /proc that a root of the host could turn against it; read-only in root mode, as runc has them. */
const procReadonly = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger']

export function filesystemSteps(policy: Policy, context: FilesystemContext): Step[] {
  return new FilesystemPlanner(policy, context).steps
}

class FilesystemPlanner {
  readonly steps: Step[] = []
  #tree = new Tree()

  constructor(
    policy: Policy,
    readonly context: FilesystemContext,
  ) {
    const entries = [...(policy.filesystem ?? [])]
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

  #root(policy: Policy, entries: FilesystemEntry[]): void {
    const first = entries[0]
    if (first !== undefined && 'bind' in first && normal(first.bind) === '/') {
      entries.shift()
      const source = resolve(this.context.base, first.from ?? '/')
      this.#tree = new Tree('foreign')
      this.steps.push({
        do: 'rootBind',
        source,
        recursive: first.recursive ?? true,
        flags: bindFlags(first),
        what: `use ${source} as the root`,
        why: first.writable ? 'writable, as the policy says' : 'read-only',
        hints: hints.source,
      })
      return
    }
    const size = policy.root?.size
    this.steps.push({
      do: 'rootTmpfs',
      options: [
        ['mode', '0755'],
        ...(size === undefined ? [] : [['size', String(parseSize(size))] as const]),
        ...this.#ownerOptions(undefined),
      ],
      what: 'make an empty root',
      why: 'nothing of the host is visible unless it is named',
    })
  }

  #entry(entry: FilesystemEntry): void {
    if ('bind' in entry) this.#bind(entry)
    else if ('tmpfs' in entry) this.#tmpfs(entry)
    else if ('proc' in entry) this.#proc(entry.proc)
    else if ('dev' in entry) this.#dev(entry.dev)
    else if ('mqueue' in entry) {
      const flags = { nosuid: true, nodev: true, noexec: true }
      this.#mount('mqueue', entry.mqueue, [], flags, 'foreign', 'POSIX message queues')
    } else if ('directory' in entry) this.#directory(entry)
    else if ('symlink' in entry) this.#symlink(entry.symlink, entry.to)
    else if ('file' in entry) this.#file(entry)
    else if ('overlay' in entry) this.#overlay(entry)
    else this.#readonly(entry)
  }

  #tmpfs(entry: Extract<FilesystemEntry, { tmpfs: string }>): void {
    const options: (readonly [string, string])[] = [['mode', modeOf(entry.mode, 0o755).toString(8)]]
    if (entry.size !== undefined) options.push(['size', String(parseSize(entry.size))])
    if (entry.inodes !== undefined) options.push(['nr_inodes', String(entry.inodes)])
    options.push(...this.#ownerOptions(entry.owner))
    const flags = { nosuid: true, nodev: true, noexec: entry.noexec ?? false }
    this.#mount('tmpfs', entry.tmpfs, options, flags, 'ours', 'scratch space in memory')
  }

  #directory(entry: Extract<FilesystemEntry, { directory: string }>): void {
    this.#make(entry.directory, 'ours', (place) => ({
      do: 'directory',
      place,
      mode: modeOf(entry.mode, 0o755),
      implicit: false,
      owner: this.#owner(entry.owner),
      what: `make the folder ${entry.directory}`,
      why: 'the policy names it',
      hints: hints.place,
    }))
  }

  #readonly(entry: Extract<FilesystemEntry, { readonly: string }>): void {
    const path = relative(entry.readonly)
    const place = path === '' ? { path: '.', owned: true } : this.#place(path)
    const what = `make ${entry.readonly} read-only`
    this.steps.push({ do: 'readonly', place, recursive: entry.recursive ?? true, what, why: 'the policy names it' })
  }

  #bind(entry: Extract<FilesystemEntry, { bind: string }>): void {
    const source = resolve(this.context.base, entry.from ?? entry.bind)
    const shown = source === normal(entry.bind) ? source : `${source} on ${entry.bind}`
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
    this.#make(entry.file, 'file', (place) => ({
      do: 'file',
      place,
      content,
      mode: modeOf(entry.mode, 0o644),
      owner: this.#owner(entry.owner),
      what: `write the file ${entry.file}`,
      why: 'the policy gives its content',
      hints: hints.place,
    }))
  }

  #overlay(entry: Extract<FilesystemEntry, { overlay: string }>): void {
    const layer = (path: string) => resolve(this.context.base, path).replace(/[\\,:]/g, '\\$&')
    const upper = entry.upper
    const parts = [`lowerdir=${entry.lower.map(layer).join(':')}`]
    if (upper === 'tmpfs') parts.push('upperdir=upper', 'workdir=work')
    else if (upper !== undefined) parts.push(`upperdir=${layer(upper.upper)}`, `workdir=${layer(upper.work)}`)
    // A user namespace may not set trusted.* attributes: https://docs.kernel.org/filesystems/overlayfs.html
    if (!this.context.hostIds) parts.push('userxattr')
    this.#make(entry.overlay, 'foreign', (place) => ({
      do: 'overlay',
      place,
      options: parts.join(','),
      upperInMemory: upper === 'tmpfs',
      flags: { nosuid: true, nodev: true, readonly: upper === undefined },
      what: `mount an overlay on ${entry.overlay}`,
      why:
        upper === undefined
          ? 'layers, read-only'
          : upper === 'tmpfs'
            ? 'changes stay in memory'
            : 'changes go to the upper folder',
      hints: hints.overlay,
    }))
  }

  #proc(at: string): void {
    this.#mount(
      'proc',
      at,
      [],
      { nosuid: true, nodev: true, noexec: true },
      'foreign',
      this.context.newPid
        ? "shows the sandbox's own processes only"
        : 'shows the processes of the joined pid namespace',
    )
    if (!this.context.hostIds) return
    for (const name of procReadonly) {
      const place = { path: `${relative(at)}/${name}`, owned: false }
      this.steps.push({
        do: 'readonly',
        place,
        recursive: true,
        what: `make ${at}/${name} read-only`,
        why: "in root mode it reaches the host's kernel",
      })
    }
  }

  #dev(at: string): void {
    this.#mount(
      'tmpfs',
      at,
      [['mode', '0755'], ['size', '65536'], ...this.#ownerOptions(undefined)],
      { nosuid: true, noexec: true },
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
        flags: { nosuid: true, noexec: true },
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
    this.#mount(
      'tmpfs',
      `${at}/shm`,
      [['mode', '1777'], ...this.#ownerOptions(undefined)],
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
  #make(at: string, leaves: 'ours' | 'foreign' | 'link' | 'file', step: (place: Place) => Step): void {
    const path = relative(at)
    for (const above of this.#tree.missing(path)) {
      const place = this.#place(above)
      this.steps.push({
        do: 'directory',
        place,
        mode: 0o755,
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
