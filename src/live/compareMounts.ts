/** A sandbox's mounts beside those that its plan makes. */
import type { MountFlags, MountOptions } from '../plan/step.js'
import { coveringIn, type ExpectedMount, type Origin } from './expectedMounts.js'
import { type Agreement, fact, type InspectedFact } from './inspection.js'
import type { RecordedMount } from './mountRecords.js'
import { joined, type Mount, mountTable, type Shown, shownAt } from './mountTable.js'

/** As mountinfo has the flags. */
const flagNames: Readonly<Record<keyof MountFlags, string>> = {
  readonly: 'ro',
  nosuid: 'nosuid',
  nodev: 'nodev',
  noexec: 'noexec',
}

/** A mount that is there, with what it was asked to be. */
interface Matched {
  readonly mount: Mount
  /** Undefined: the plan makes none there. */
  readonly expected: ExpectedMount | undefined
  /** It was mounted while the sandbox ran, or lies on what was. */
  readonly added: boolean
}

/**
 * @param found mountinfo of the sandbox
 * @param expected undefined: its mounts are not its own
 * @param host that of a process which sees the host's files as the sandbox's maker did
 * @param added what was mounted into it while it runs: what of that is not there is no fact
 */
export function compareMounts(
  found: string,
  expected: readonly ExpectedMount[] | undefined,
  host: string,
  added: readonly RecordedMount[] = [],
): InspectedFact[] {
  if (expected === undefined) return []
  const comparison = new Comparison(mountTable(found), expected, mountTable(host), added)
  return [...comparison.facts(), ...comparison.missing.map((one) => absent(one, expected))]
}

/** What was mounted while the sandbox ran, as if its policy had it. */
const asExpected = ({ place, source, writable }: RecordedMount): ExpectedMount => ({
  path: place,
  origin: { host: source },
  flags: { ...(writable ? {} : { readonly: true }), nosuid: true, nodev: true },
  recursive: true,
  optional: true,
})

/** As far as the mount alone tells it. */
function looksLike({ type, root }: Mount, origin: Origin): boolean {
  if (origin === 'mask') return type === 'tmpfs' || root === '/null'
  return origin === 'itself' || 'host' in origin || origin.type === type
}

/** Where less is shown than asked for, the sandbox may do less; what covered something shows it now. */
function absent(one: ExpectedMount, all: readonly ExpectedMount[]): InspectedFact {
  const beneath = coveringIn(all.slice(0, all.indexOf(one)), one.path)
  const isOwn = typeof beneath?.origin === 'object' && 'type' in beneath.origin && beneath.origin.type === 'tmpfs'
  return fact(one.path, undefined, describe(one.origin, one.flags), isOwn ? 'stricter' : 'differs')
}

class Comparison {
  readonly #byId = new Map<number, Matched>()
  /** What was not found yet, by its place. */
  readonly #left = new Map<string, readonly ExpectedMount[]>()

  constructor(
    readonly inside: readonly Mount[],
    expected: readonly ExpectedMount[],
    readonly host: readonly Mount[],
    added: readonly RecordedMount[],
  ) {
    for (const one of expected) this.#left.set(one.path, [...(this.#left.get(one.path) ?? []), one])
    // In the order in which they lie on each other.
    for (const mount of inside) {
      const record = added.find(({ id }) => id === mount.id)
      const isAdded = record !== undefined || this.#byId.get(mount.parent)?.added === true
      this.#byId.set(mount.id, { mount, expected: record && asExpected(record), added: isAdded })
    }
    const others = inside.filter(({ id }) => this.#byId.get(id)?.added !== true)
    others.forEach((mount, index) => {
      this.#byId.set(mount.id, { mount, expected: this.#take(mount, others.slice(index + 1)), added: false })
    })
  }

  facts(): InspectedFact[] {
    return [...this.#byId.values()].map((one) => this.#compare(one))
  }

  get missing(): readonly ExpectedMount[] {
    return [...this.#left.values()].flat().filter(({ optional }) => !optional)
  }

  /**
   * The first of those at its place. One that may be missing is passed over where another is what is there; and what the host has there
   * lies beneath what the plan puts on it.
   */
  #take(mount: Mount, later: readonly Mount[]): ExpectedMount | undefined {
    const here = this.#left.get(mount.path) ?? []
    const others = later.filter(({ path }) => path === mount.path).length
    if (here.length === 0 || (others >= here.filter(({ optional }) => !optional).length && this.#isOfHost(mount)))
      return undefined
    const index = here.findIndex((one, at) => !one.optional || at === here.length - 1 || looksLike(mount, one.origin))
    this.#left.set(mount.path, here.slice(index + 1))
    return here[index]
  }

  #compare(one: Matched): InspectedFact {
    const { mount, expected, added } = one
    const said = saidOf(mount)
    if (expected === undefined) return fact(mount.path, said, undefined, this.#unasked(mount))
    const { origin, flags } = expected
    const agreements = [this.#originOf(mount, origin), ofFlags(mount, flags), ofPropagation(mount)]
    if (typeof origin === 'object' && 'type' in origin) agreements.push(...ofOptions(mount, origin.options))
    return fact(mount.path, said, `${added ? 'added: ' : ''}${describe(origin, flags)}`, worst(agreements))
  }

  /** Whether it shows what it was to show. */
  #originOf(mount: Mount, origin: Origin): Agreement {
    if (origin === 'itself') return this.#isItself(mount) ? 'asked' : 'differs'
    if (origin === 'mask') {
      const empty = mount.type === 'tmpfs' || same(mount, shownAt(this.host, '/dev/null'))
      return empty ? 'asked' : 'differs'
    }
    if ('type' in origin) return mount.type === origin.type ? 'asked' : 'differs'
    if (origin.host === undefined) return 'untold'
    const shown = shownAt(this.host, origin.host)
    if (shown === undefined) return 'untold'
    return same(mount, shown) ? 'asked' : 'differs'
  }

  /**
   * Of a mount that the plan does not make. On the host there may be one beneath a directory that is shown; and what a place shows anyway
   * may be there once more, as vial itself keeps what the next run trusts.
   */
  #unasked(mount: Mount): Agreement {
    const above = this.#byId.get(mount.parent)
    const restricts = above?.mount.flags.every((flag) => flag === 'rw' || mount.flags.includes(flag))
    if (above === undefined || !restricts || ofPropagation(mount) !== 'asked') return 'differs'
    if (this.#isItself(mount)) return 'stricter'
    return this.#isOfHost(mount) ? 'asked' : 'differs'
  }

  /** Whether the host has it beneath a directory that is shown with all that is mounted there. */
  #isOfHost(mount: Mount): boolean {
    const above = this.#byId.get(mount.parent)
    if (above === undefined || !this.#isRecursive(above)) return false
    const place = this.#placeOf(mount)
    return this.host.some(({ path, ...shown }) => path === place && same(mount, shown))
  }

  /** The same file of the same filesystem as what it lies on has there. */
  #isItself(mount: Mount): boolean {
    const above = this.#byId.get(mount.parent)?.mount
    if (above === undefined) return false
    return same(mount, { device: above.device, root: joined(above.root, below(mount, above)) })
  }

  #isRecursive({ mount, expected }: Matched): boolean {
    if (expected !== undefined && expected.origin !== 'itself') return expected.recursive
    const above = this.#byId.get(mount.parent)
    return above !== undefined && this.#isRecursive(above)
  }

  /** Of what shows the host: the path there. */
  #placeOf(mount: Mount): string | undefined {
    const origin = this.#byId.get(mount.id)?.expected?.origin
    if (typeof origin === 'object') return 'host' in origin ? origin.host : undefined
    const above = this.#byId.get(mount.parent)?.mount
    const from = above && this.#placeOf(above)
    return from === undefined ? undefined : joined(from, below(mount, above!))
  }
}

const below = (mount: Mount, above: Mount) => mount.path.slice(above.path === '/' ? 0 : above.path.length) || '/'

/** A file that was replaced on the host meanwhile is still the one that was asked for: d_path() of fs/d_path.c. */
const same = (mount: Shown, other: Shown | undefined) =>
  other !== undefined &&
  mount.device === other.device &&
  (mount.root === other.root || mount.root === `${other.root}//deleted`)

function ofFlags({ flags }: Mount, asked: MountFlags): Agreement {
  const names = (Object.keys(flagNames) as (keyof MountFlags)[]).filter((flag) => asked[flag])
  if (names.some((flag) => !flags.includes(flagNames[flag]))) return 'differs'
  return !asked.readonly && flags.includes(flagNames.readonly) ? 'stricter' : 'asked'
}

/** What is mounted inside is told to no other, and the reverse: mount_namespaces(7). */
const ofPropagation = ({ propagation }: Mount): Agreement =>
  propagation.some((one) => /^(shared|master):/.test(one)) ? 'differs' : 'asked'

/** Options that the kernel shows as they were given, and those of tmpfs(5), which it rounds up to its pages, of up to 64 KiB. */
function ofOptions({ options }: Mount, asked: MountOptions): Agreement[] {
  const found = new Map(options.map((one) => one.split('=') as [string, string | undefined]))
  return asked.flatMap(([name, value]): Agreement[] => {
    const given = found.get(name)
    if (name === 'subset' || name === 'hidepid') return [given === value ? 'asked' : 'differs']
    if (name !== 'size' && name !== 'nr_inodes') return []
    const most = Number(value) + (name === 'size' ? 2 ** 16 - 1 : 0)
    return [given !== undefined && numberOf(given) <= most ? 'asked' : 'differs']
  })
}

/** `64k`: mm/shmem.c. */
const numberOf = (text: string) => Number.parseInt(text, 10) * (text.endsWith('k') ? 1024 : 1)

const order: readonly Agreement[] = ['asked', 'stricter', 'untold', 'differs']
const worst = (all: readonly Agreement[]) => order[Math.max(...all.map((one) => order.indexOf(one)))]!

/** In words: what is shown, and how. */
function saidOf({ type, device, root, flags, propagation, options }: Mount): string {
  const size = type === 'tmpfs' ? options.find((one) => one.startsWith('size=')) : undefined
  const shown = root === '/' ? [type, ...(size === undefined ? [] : [size])] : [type, device, root]
  const shared = propagation.filter((one) => /^(shared|master):/.test(one))
  return [...shown, [...flags.filter((flag) => flag !== 'relatime'), ...shared].join(',')].join(' ')
}

function describe(origin: Origin, flags: MountFlags): string {
  const names = (Object.keys(flagNames) as (keyof MountFlags)[]).filter((flag) => flags[flag] && flag !== 'readonly')
  const words = [flags.readonly ? 'ro' : 'rw', ...names.map((flag) => flagNames[flag])].join(',')
  return `${shows(origin)} ${words}`
}

function shows(origin: Origin): string {
  if (origin === 'itself') return 'what it covers'
  if (origin === 'mask') return 'nothing'
  if ('type' in origin) {
    const size = origin.options.find(([name]) => name === 'size')
    return size === undefined ? origin.type : `${origin.type} size=${size[1]}`
  }
  return origin.host === undefined ? 'what a descriptor names' : `${origin.host} of the host`
}
