/**
 * What others change in a writable bind at a known moment of the building: one exchange before each system call in turn
 * (programs/meanwhile.c), so that every gap between a look and an act is met, each time.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { compile } from '../../src/index.js'
import type { FilesystemEntry, Policy } from '../../src/policy/schema.js'
import { notInstalled } from '../support/needs.js'
import { ordinary, root, workDirectory } from '../support/user.js'
import { weakened, weakenings } from './doors.js'
import { atMoment, moments, neverCame } from './moments.js'

const asRoot = process.getuid?.() === 0
const nobody = { uid: 65534, gid: 65534 }
const self = { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }
const top = workDirectory(asRoot ? root : self, 'meanwhile')
chmodSync(top, 0o755)
chmodSync(dirname(top), 0o755)

/** What the caller keeps in /shown, and the payload could only rename. */
interface Scene {
  readonly base: string
  readonly work: string
  readonly secret: string
}

interface Gap {
  readonly title: string
  readonly entries: readonly FilesystemEntry[]
  /** The last name of the place, from whose first mention on the calls are counted. */
  readonly name: string
  /** The call after which it is too late to be noticed; default: never. */
  readonly until?: string
  readonly make: (scene: Scene) => void
  /** The two names in /shown that the other exchanges, or the one that is removed. */
  readonly meanwhile: readonly [one: string, other?: string]
  readonly payload?: string
  /** Whether the wall was passed. */
  readonly reached: (scene: Scene, output: string) => boolean
  /** Who builds: where there is but one user, all of this is his own. */
  readonly by: readonly ('user' | 'root mode')[]
  readonly weakening: keyof typeof weakenings
}

/** Of the host's root alone, in a directory of the payload's. */
const theirs = ({ work }: Scene, name: string, mode: number, directory: boolean) => {
  const path = join(work, name)
  if (directory) mkdirSync(path)
  else writeFileSync(path, 'of root')
  chmodSync(path, mode)
}
const isChanged = ({ work, base }: Scene, mode: number, directory: boolean) => {
  const found = ['new', 'mine'].map((name) => join(work, name)).filter((path) => existsSync(path))
  const one = found
    .map((path) => lstatSync(path))
    .find(({ ino }) => String(ino) === readFileSync(join(base, 'ino'), 'utf8'))!
  return one.uid !== 0 || (one.mode & 0o7777) !== mode || one.isDirectory() !== directory
}

const gaps: readonly Gap[] = [
  {
    title: 'a directory that was just made is exchanged for one of root, before it is given away',
    entries: [{ directory: '/shown/new' }],
    name: 'new',
    make: (scene) => theirs(scene, 'mine', 0o755, true),
    meanwhile: ['new', 'mine'],
    reached: (scene) => isChanged(scene, 0o755, true),
    by: ['root mode'],
    weakening: 'owned',
  },
  {
    title: 'a directory that was just made is exchanged for one of root, before its mode is set',
    entries: [{ directory: '/shown/new', mode: 0o2777, owner: { uid: 0, gid: 0 } }],
    name: 'new',
    make: (scene) => theirs(scene, 'mine', 0o700, true),
    meanwhile: ['new', 'mine'],
    reached: (scene) => isChanged(scene, 0o700, true),
    by: ['root mode'],
    weakening: 'owned',
  },
  {
    title: 'a file is exchanged for one of root, before its mode is set',
    entries: [{ chmod: '/shown/new', mode: 0o777 }],
    name: 'new',
    make(scene) {
      theirs(scene, 'mine', 0o600, false)
      writeFileSync(join(scene.work, 'new'), '')
      if (asRoot) chownSync(join(scene.work, 'new'), nobody.uid, nobody.gid)
    },
    meanwhile: ['new', 'mine'],
    reached: (scene) => isChanged(scene, 0o600, false),
    by: ['root mode'],
    weakening: 'owned',
  },
  {
    title: 'a hard link loses its name here, before the file is written',
    entries: [{ file: '/shown/new', content: 'planted', mode: 0o666 }],
    name: 'new',
    make: ({ work, secret }) => linkSync(secret, join(work, 'new')),
    meanwhile: ['new'],
    reached: ({ secret }) => readFileSync(secret, 'utf8') !== 'secret' || lstatSync(secret).uid !== 0,
    by: ['root mode'],
    weakening: 'owned',
  },
  {
    title: 'a hard link loses its name here, before its mode is set',
    entries: [{ chmod: '/shown/new', mode: 0o666 }],
    name: 'new',
    make: ({ work, secret }) => linkSync(secret, join(work, 'new')),
    meanwhile: ['new'],
    reached: ({ secret }) => (lstatSync(secret).mode & 0o777) !== 0o600,
    by: ['root mode'],
    weakening: 'owned',
  },
  ...(
    [
      ['readonly', [{ readonly: '/shown/new' }]],
      ['a read-only bind', [{ bind: '/shown/new', from: '/usr/lib' }]],
    ] as const
  ).map(
    ([title, entries]): Gap => ({
      title: `${title} comes to lie on what is then moved away`,
      entries,
      name: 'new',
      until: 'move_mount',
      make({ work }) {
        for (const name of ['new', 'mine']) {
          mkdirSync(join(work, name))
          chmodSync(join(work, name), 0o777)
        }
      },
      meanwhile: ['new', 'mine'],
      payload: 'echo x > /shown/new/written && echo written',
      reached: (_, output) => output.includes('written'),
      by: ['user', 'root mode'],
      weakening: 'followed',
    }),
  ),
  {
    title: '/proc is moved away before it is guarded',
    entries: [{ proc: '/shown/new' }],
    name: 'new',
    make({ work }) {
      for (const name of ['new', 'mine']) mkdirSync(join(work, name))
    },
    meanwhile: ['new', 'mine'],
    payload: 'cat /shown/new/interrupts /shown/mine/interrupts',
    reached: (_, output) => output.includes('CPU0'),
    by: ['user', 'root mode'],
    weakening: 'owned',
  },
]

const links = ['bin', 'lib', 'lib64', 'sbin']
const policyOf = ({ entries }: Gap, { work }: Scene, by: Gap['by'][number]): Policy => ({
  filesystem: [
    { bind: '/usr' },
    ...links.map((name) => ({ symlink: `/${name}`, to: `usr/${name}` })),
    { bind: '/shown', from: work, writable: true },
    ...entries,
  ],
  ...(by === 'root mode' ? { namespaces: { user: 'host' } } : {}),
})

/** As it was before anything happened. */
function restore(scene: Scene, gap: Gap, by: Gap['by'][number]): void {
  const { base } = scene
  for (const name of ['work', 'secret', 'ino']) rmSync(join(base, name), { recursive: true, force: true })
  mkdirSync(scene.work)
  writeFileSync(scene.secret, 'secret', { mode: 0o600 })
  gap.make(scene)
  if (existsSync(join(scene.work, 'mine')))
    writeFileSync(join(base, 'ino'), String(lstatSync(join(scene.work, 'mine')).ino))
  if (asRoot) {
    const { uid, gid } = by === 'user' ? ordinary : nobody
    chownSync(scene.work, uid, gid)
    if (by === 'user')
      for (const name of ['new', 'mine'])
        if (existsSync(join(scene.work, name))) chownSync(join(scene.work, name), uid, gid)
  }
}

/** One start for each moment, until there is none left. */
function sweep(gap: Gap, by: Gap['by'][number], weak: boolean): { starts: number; reached: string[] } {
  const reached: string[] = []
  let starts = 0
  const base = mkdtempSync(join(top, 'scene-'))
  chmodSync(base, 0o755)
  const scene = { base, work: join(base, 'work'), secret: join(base, 'secret') }
  const compiled = compile(policyOf(gap, scene, by))
  const vial = join(base, 'vial')
  writeFileSync(vial, weak ? weakened(compiled, weakenings[gap.weakening]) : compiled.bytes, { mode: 0o755 })
  const payload = gap.payload === undefined ? ['/usr/bin/true'] : ['/bin/sh', '-c', gap.payload]
  for (let moment = 0; moment < moments && !(weak && reached.length > 0); moment++) {
    restore(scene, gap, by)
    const [program, ...words] = atMoment({ ...gap, moment }, [vial, ...payload])
    const { status, stdout, stderr } = spawnSync(program!, words, {
      cwd: scene.base,
      env: { PATH: process.env.PATH ?? '' },
      encoding: 'utf8',
      ...(asRoot && by === 'user' ? { uid: ordinary.uid, gid: ordinary.gid } : {}),
    })
    if (status === neverCame) break
    assert.ok(status === 0 || status === 1 || status === 2 || status === 125, `${status}: ${stderr}`)
    if (gap.reached(scene, stdout)) reached.push(`before call ${moment}: ${stderr}`)
    starts++
  }
  return { starts, reached }
}

describe('an exchange at each moment of the building', { skip: notInstalled('gcc') }, () => {
  for (const gap of gaps)
    for (const by of gap.by)
      test(`${by}: ${gap.title}`, { skip: by === 'root mode' && !asRoot ? 'needs root' : false }, () => {
        const { starts, reached } = sweep(gap, by, false)
        assert.ok(starts > 0, 'the place was never looked for')
        assert.deepEqual(reached, [])
        assert.notDeepEqual(sweep(gap, by, true).reached, [], 'it reaches nothing, whatever the wall')
      })
})
