/** What an earlier payload left, and the operation of a later sandbox that meets it. */
import { spawnSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { FilesystemEntry } from '../../src/policy/schema.js'
import type { Scene } from './scene.js'

/** How the sandbox is led astray, and so which wall stands against it. */
export type Kind =
  /** Out of the new root, at a place. */
  | 'host'
  /** Into another bind of the same sandbox. */
  | 'other bind'
  /** What is at the place is no regular file. */
  | 'file'
  /** The file at the place has another name. */
  | 'other name'
  /** What protects a name falls on what a link there leads to, and the link can be replaced. */
  | 'protection'
  /** The source of a bind or a layer leads elsewhere. */
  | 'source'

/** An operation at a place, in the words of each door; where a door lacks them, it is not tried. */
export interface Operation {
  readonly name: string
  readonly entries: (place: string, scene: Scene) => FilesystemEntry[]
  /** Options of bwrap(1); descriptor 5 is a file. */
  readonly bwrap?: (place: string, scene: Scene) => string[]
  /** Only bubblewrap newer than Debian's has it. */
  readonly newer?: true
  /** Flags of `vial run`: not --ro, whose entries come before those of --rw and so lie in no /shown. */
  readonly flags?: (place: string, scene: Scene) => string[]
  /** An entry of `mounts` in an OCI configuration. */
  readonly oci?: (place: string, scene: Scene) => object
}

export interface Case {
  readonly plant: string
  readonly kind: Kind
  readonly operation: Operation
  readonly place: string
  readonly make: (scene: Scene) => void
  /** What the payload does then; its output tells what it was shown. */
  readonly script?: string
  /** Devices in /shown may be opened. */
  readonly devices?: true
  /** Only root can leave it, or be led by it. */
  readonly needsRoot?: true
}

const bind = (destination: string, source: string, ...options: string[]) => ({
  destination,
  source,
  type: 'bind',
  options: ['rbind', ...options],
})
const fresh = (destination: string, type: string, ...options: string[]) => ({
  destination,
  source: type,
  type,
  options: ['nosuid', 'noexec', 'nodev', ...options],
})

/** What makes something at a place that is not there. */
export const making: readonly Operation[] = [
  {
    name: 'directory',
    entries: (place) => [{ directory: place, mode: 0o2777 }],
    bwrap: (place) => ['--dir', place],
  },
  {
    name: 'file',
    entries: (place) => [{ file: place, content: 'planted', mode: 0o777 }],
    bwrap: (place) => ['--file', '5', place],
  },
  {
    name: 'file, mounted',
    entries: (place) => [{ file: place, content: 'planted', mount: 'readonly' }],
    bwrap: (place) => ['--ro-bind-data', '5', place],
  },
  {
    name: 'symlink',
    entries: (place) => [{ symlink: place, to: 'x' }],
    bwrap: (place) => ['--symlink', 'x', place],
  },
  {
    name: 'tmpfs',
    entries: (place) => [{ tmpfs: place }],
    bwrap: (place) => ['--tmpfs', place],
    flags: (place) => ['--tmpfs', place],
    oci: (place) => fresh(place, 'tmpfs'),
  },
  {
    name: 'bind, read-only',
    entries: (place) => [{ bind: place, from: '/usr/lib' }],
    bwrap: (place) => ['--ro-bind', '/usr/lib', place],
    oci: (place) => bind(place, '/usr/lib', 'ro'),
  },
  {
    name: 'bind, writable',
    entries: (place, { base }) => [{ bind: place, from: join(base, 'other/dir'), writable: true }],
    bwrap: (place, { base }) => ['--bind', join(base, 'other/dir'), place],
    flags: (place, { base }) => ['--rw', `${join(base, 'other/dir')}:${place}`],
    oci: (place, { base }) => bind(place, join(base, 'other/dir'), 'rw'),
  },
  {
    name: 'bind of a file',
    entries: (place) => [{ bind: place, from: '/usr/bin/env', optional: true }],
    bwrap: (place) => ['--ro-bind-try', '/usr/bin/env', place],
    oci: (place) => bind(place, '/usr/bin/env', 'ro'),
  },
  {
    name: 'bind from a descriptor',
    entries: (place) => [{ bind: place, fd: 5 }],
    bwrap: (place) => ['--ro-bind-fd', '5', place],
    newer: true,
  },
  {
    name: 'overlay',
    entries: (place) => [{ overlay: place, lower: ['/usr/lib'], upper: 'tmpfs' }],
    bwrap: (place) => ['--overlay-src', '/usr/lib', '--tmp-overlay', place],
    newer: true,
    oci: (place, { base }) => ({
      destination: place,
      type: 'overlay',
      source: 'overlay',
      options: [`lowerdir=/usr/lib:${join(base, 'other/dir')}`],
    }),
  },
  {
    name: 'proc',
    entries: (place) => [{ proc: place }],
    bwrap: (place) => ['--proc', place],
  },
  {
    name: 'dev',
    entries: (place) => [{ dev: place }],
    bwrap: (place) => ['--dev', place],
    oci: (place) => fresh(`${place}/pts`, 'devpts', 'newinstance'),
  },
  {
    name: 'mqueue',
    entries: (place) => [{ mqueue: place }],
    bwrap: (place) => ['--mqueue', place],
    oci: (place) => fresh(place, 'mqueue'),
  },
  {
    name: 'sysfs',
    entries: (place) => [{ sysfs: place }],
    oci: (place) => fresh(place, 'sysfs', 'ro'),
  },
]
const named = (name: string): Operation => [...making, ...changing].find((one) => one.name === name)!

/** What changes what is there. */
const changing: readonly Operation[] = [
  {
    name: 'chmod',
    entries: (place) => [{ chmod: place, mode: 0o777 }],
    bwrap: (place) => ['--chmod', '0777', place],
  },
  {
    name: 'readonly',
    entries: (place) => [{ readonly: place }],
  },
  {
    name: 'readonly, of a mount',
    entries: (place, { work }) => [
      { bind: place, from: join(work, 'real'), writable: true },
      { readonly: place, mount: true },
    ],
    bwrap: (place, { work }) => ['--bind', join(work, 'real'), place, '--remount-ro', place],
  },
]

/** Out of any root that is mounted below the host's. */
const up = (path: string) => `${'../'.repeat(12)}${path}`

/** Links in the way: `aside` in /shown leads to a directory. */
const ways: readonly { name: string; kind: Kind; all?: true; make: (scene: Scene) => void }[] = [
  { name: 'absolute link', kind: 'host', all: true, make: way(({ reach }) => reach) },
  { name: 'relative link', kind: 'host', all: true, make: way(({ reach }) => up(reach)) },
  { name: 'link by ".." through a directory', kind: 'host', make: way(({ reach }) => `real/../${up(reach)}`) },
  {
    name: 'chain of links',
    kind: 'host',
    make({ work, reach }) {
      symlinkSync('second', join(work, 'aside'))
      symlinkSync('third', join(work, 'second'))
      symlinkSync(reach, join(work, 'third'))
    },
  },
  {
    name: 'chain of 35 links',
    kind: 'host',
    make({ work, reach }) {
      for (let at = 0; at < 34; at++) symlinkSync(`l${at + 1}`, join(work, at === 0 ? 'aside' : `l${at}`))
      symlinkSync(reach, join(work, 'l34'))
    },
  },
  {
    name: 'link at the end of a deep tree',
    kind: 'host',
    make({ work, reach }) {
      mkdirSync(join(work, ...Array.from({ length: 150 }, () => 'deep')), { recursive: true })
      symlinkSync(reach, join(work, ...Array.from({ length: 150 }, () => 'deep'), 'end'))
      symlinkSync([...Array.from({ length: 150 }, () => 'deep'), 'end'].join('/'), join(work, 'aside'))
    },
  },
  { name: '/proc/self/root', kind: 'host', make: way(({ reach }) => `/proc/self/root${reach}`) },
  { name: '/proc/thread-self/root', kind: 'host', make: way(({ reach }) => `/proc/thread-self/root${reach}`) },
  { name: '/proc/self/cwd', kind: 'host', make: way(() => '/proc/self/cwd/outside') },
  { name: '/proc/self/fd/N', kind: 'host', make: way(() => '/proc/self/fd/6') },
  { name: '/dev/fd/N', kind: 'host', make: way(() => '/dev/fd/6') },
  { name: '/proc/self/task', kind: 'host', make: way(({ reach }) => `/proc/self/task/../root${reach}`) },
  { name: 'absolute link inside', kind: 'other bind', all: true, make: way(() => '/other') },
  { name: 'relative link inside', kind: 'other bind', all: true, make: way(() => '../other') },
]
function way(to: (scene: Scene) => string): (scene: Scene) => void {
  return (scene) => symlinkSync(to(scene), join(scene.work, 'aside'))
}

const onTheWay: Case[] = ways.flatMap(({ name, kind, all, make }) =>
  (all ? making : [named('directory'), named('file')]).map((operation) => ({
    plant: `${name} on the way`,
    kind,
    operation,
    place: '/shown/aside/new',
    make,
  })),
)

const last = (plant: string, kind: Kind, names: readonly string[], make: (scene: Scene) => void): Case[] =>
  names.map((name) => ({ plant, kind, operation: named(name), place: '/shown/last', make }))

const atTheEnd: Case[] = [
  ...last('link to a file', 'host', ['chmod'], ({ work, reach }) =>
    symlinkSync(join(reach, 'secret'), join(work, 'last')),
  ),
  ...last('relative link to a file', 'host', ['chmod'], ({ work, reach }) =>
    symlinkSync(up(`${reach}/secret`), join(work, 'last')),
  ),
  ...last('link to a directory', 'host', ['chmod'], ({ work, reach }) => symlinkSync(reach, join(work, 'last'))),
  ...last('/proc/self/root to a file', 'host', ['chmod'], ({ work, reach }) =>
    symlinkSync(`/proc/self/root${reach}/secret`, join(work, 'last')),
  ),
  ...last('link to a file inside', 'other bind', ['chmod'], ({ work }) =>
    symlinkSync('/other/file', join(work, 'last')),
  ),
  ...last('relative link to a file inside', 'other bind', ['chmod'], ({ work }) =>
    symlinkSync('../other/file', join(work, 'last')),
  ),
  ...last('hard link', 'other name', ['file', 'chmod'], ({ work, outside }) =>
    linkSync(join(outside, 'secret'), join(work, 'last')),
  ),
  ...last('FIFO', 'file', ['file'], ({ work }) => {
    spawnSync('mkfifo', [join(work, 'last')])
    chmodSync(join(work, 'last'), 0o666)
  }),
  // Like /dev/full: what is written there fails with ENOSPC.
  ...last('device', 'file', ['file'], ({ work }) => {
    spawnSync('mknod', ['-m', '666', join(work, 'last'), 'c', '1', '7'])
  }).map((one) => ({ ...one, devices: true as const, needsRoot: true as const })),
]

/** What was to be read-only can be written all the same: see `reached` in doors.ts. */
const replace = 'rm -f /shown/last && mkdir /shown/last && echo x > /shown/last/written'
const protection: Case[] = [named('bind, read-only'), named('readonly'), named('readonly, of a mount')].map(
  (operation) => ({
    plant: 'link to a directory beside it',
    kind: 'protection',
    operation,
    place: '/shown/last',
    make: ({ work }) => symlinkSync('real', join(work, 'last')),
    script: replace,
  }),
)

const source = (
  name: string,
  from: string,
  entries: (from: string, scene: Scene) => FilesystemEntry[],
  bwrap?: (from: string) => string[],
  oci?: (from: string) => object,
): Operation => ({
  name,
  entries: (_, scene) => entries(join(scene.work, from), scene),
  ...(bwrap === undefined ? {} : { bwrap: (_: string, { work }: Scene) => bwrap(join(work, from)) }),
  ...(oci === undefined ? {} : { oci: (_: string, { work }: Scene) => oci(join(work, from)) }),
})
const layered =
  (which: 'lower' | 'upper' | 'work') =>
  (from: string, { work }: Scene): FilesystemEntry[] => {
    if (which === 'lower') return [{ overlay: '/src', lower: [from], upper: 'tmpfs' }]
    const others = { upper: join(work, 'real'), work: join(work, 'real') }
    return [{ overlay: '/src', lower: [join(work, 'lower')], upper: { ...others, [which]: from } }]
  }
const sources = (from: string): Operation[] => [
  source(
    'bind, read-only',
    from,
    (path) => [{ bind: '/src', from: path }],
    (path) => ['--ro-bind', path, '/src'],
    (path) => bind('/src', path, 'ro'),
  ),
  source(
    'bind, writable',
    from,
    (path) => [{ bind: '/src', from: path, writable: true }],
    (path) => ['--bind', path, '/src'],
    (path) => bind('/src', path, 'rw'),
  ),
  source(
    'bind, optional',
    from,
    (path) => [{ bind: '/src', from: path, optional: true }],
    (path) => ['--ro-bind-try', path, '/src'],
  ),
  source('overlay: lower', from, layered('lower')),
  source('overlay: upper', from, layered('upper')),
  source('overlay: work', from, layered('work')),
]
const asSource: Case[] = [
  ...ways.filter(({ name, kind }) => kind === 'host' && !name.includes('/fd/')),
  { name: 'absolute link', kind: 'host' as const, all: true as const, below: true, make: way(({ base }) => base) },
].flatMap(({ name, all, make, ...rest }) =>
  sources('below' in rest ? 'aside/outside' : 'aside')
    .filter((_, index) => all || index === 0)
    .map((operation) => ({
      plant: `${name} as ${'below' in rest ? 'a directory above a source' : 'a source'}`,
      kind: 'source' as const,
      operation,
      place: '/src',
      // Sources are the host's own paths.
      make: (scene: Scene) => make({ ...scene, reach: scene.outside }),
      script: 'cat /src/secret',
    })),
)

/** At any moment /shown/x is either a directory or a link out: see race.ts. */
export const races: readonly Case[] = [...making, named('chmod')].map((operation) => ({
  plant: 'directory and link, exchanged all the time',
  kind: 'host',
  operation,
  place: operation.name === 'chmod' ? '/shown/x' : '/shown/x/new',
  make({ work, reach }) {
    mkdirSync(join(work, 'x'), { mode: 0o777 })
    symlinkSync(reach, join(work, 'y'))
  },
}))

/** All others. */
export const cases: readonly Case[] = [...onTheWay, ...atTheEnd, ...protection, ...asSource]
