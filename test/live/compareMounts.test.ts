/** Tables of mounts, as the kernel writes them, beside what a plan makes. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { compareMounts } from '../../src/live/compareMounts.js'
import { type ExpectedMount, expectedMounts } from '../../src/live/expectedMounts.js'
import { mountTable, shownAt } from '../../src/live/mountTable.js'
import type { Step } from '../../src/plan/step.js'

const host = `20 1 8:1 / / rw - ext4 /dev/sda rw
21 20 8:2 / /data rw - ext4 /dev/sdb rw
22 21 0:9 / /data/inner rw - tmpfs none rw
23 20 8:3 /sub /early/dir rw - ext4 /dev/sdc rw
24 20 8:4 / /early rw - ext4 /dev/sdd rw
25 24 8:5 / /early rw - ext4 /dev/sde rw
26 20 8:6 / /with\\040space rw - ext4 /dev/sdf rw
`
const root: ExpectedMount = {
  path: '/',
  origin: { type: 'tmpfs', options: [] },
  flags: {},
  recursive: false,
  optional: false,
}
const bind = (path: string, from: string, more: Partial<ExpectedMount> = {}): ExpectedMount => ({
  ...{ path, origin: { host: from }, flags: { readonly: true, nosuid: true }, recursive: true, optional: false },
  ...more,
})
const agreements = (found: string, expected: readonly ExpectedMount[]) =>
  compareMounts(`40 1 0:40 / / rw - tmpfs none rw\n${found}`, [root, ...expected], host)
    .slice(1)
    .map(({ name, agreement }) => [name, agreement])

test('a path shows what is mounted last above it', () => {
  const table = mountTable(host)
  const shown = (path: string) => Object.values(shownAt(table, path)!).join(' ')
  assert.deepEqual(
    ['/', '/etc/x', '/data', '/data/a/b', '/data/inner/c', '/database', '/early/dir/x', '/with space/y'].map(shown),
    ['8:1 /', '8:1 /etc/x', '8:2 /', '8:2 /a/b', '0:9 /c', '8:1 /database', '8:5 /dir/x', '8:6 /y'],
  )
})

test('a bind shows the very file or directory, with at least its flags', () => {
  const seen = (line: string) => agreements(line, [bind('/etc', '/etc')])
  assert.deepEqual(seen('41 40 8:1 /etc /etc ro,nosuid,noexec - ext4 x rw'), [['/etc', 'asked']])
  assert.deepEqual(seen('41 40 8:1 /etc//deleted /etc ro,nosuid - ext4 x rw'), [['/etc', 'asked']])
  assert.deepEqual(seen('41 40 8:1 /home /etc ro,nosuid - ext4 x rw'), [['/etc', 'differs']])
  assert.deepEqual(seen('41 40 8:9 /etc /etc ro,nosuid - ext4 x rw'), [['/etc', 'differs']])
  assert.deepEqual(seen('41 40 8:1 /etc /etc rw,nosuid - ext4 x rw'), [['/etc', 'differs']])
  assert.deepEqual(seen('41 40 8:1 /etc /etc ro,nosuid master:3 - ext4 x rw'), [['/etc', 'differs']])
})

test('what the host has beneath a bind is there with it, as far as the bind is recursive, and nothing else', () => {
  const inner = '41 40 8:2 / /data ro,nosuid - ext4 x rw\n42 41 0:9 / /data/inner ro,nosuid - tmpfs none rw'
  assert.deepEqual(agreements(inner, [bind('/data', '/data')])[1], ['/data/inner', 'asked'])
  assert.deepEqual(agreements(inner, [bind('/data', '/data', { recursive: false })])[1], ['/data/inner', 'differs'])
  assert.deepEqual(agreements(inner.replace('0:9', '0:8'), [bind('/data', '/data')])[1], ['/data/inner', 'differs'])
  assert.deepEqual(agreements(inner.replace('inner ro', 'inner rw'), [bind('/data', '/data')])[1], [
    '/data/inner',
    'differs',
  ])
  // The plan's own lies over the host's.
  const own = { ...bind('/data/inner', '', { flags: {} }), origin: { type: 'tmpfs', options: [] } }
  assert.deepEqual(agreements(`${inner}\n43 42 0:50 / /data/inner rw - tmpfs none rw`, [bind('/data', '/data'), own]), [
    ['/data', 'asked'],
    ['/data/inner', 'asked'],
    ['/data/inner', 'asked'],
  ])
})

test('what a place shows may be mounted on itself once more, with no fewer flags', () => {
  const kept = (line: string) =>
    agreements(`41 40 8:1 /w /w rw,nosuid - ext4 x rw\n${line}`, [bind('/w', '/w', { flags: {} })])[1]
  assert.deepEqual(kept('42 41 8:1 /w/k /w/k ro,nosuid - ext4 x rw'), ['/w/k', 'stricter'])
  assert.deepEqual(kept('42 41 8:1 /w/k /w/k ro - ext4 x rw'), ['/w/k', 'differs'])
  assert.deepEqual(kept('42 41 8:1 /other /w/k ro,nosuid - ext4 x rw'), ['/w/k', 'differs'])
})

test('what is missing shows less, unless it covered something', () => {
  assert.deepEqual(agreements('', [bind('/etc', '/etc')]), [['/etc', 'stricter']])
  assert.deepEqual(agreements('', [bind('/etc', '/etc', { optional: true })]), [])
  assert.deepEqual(
    agreements('41 40 8:2 / /data ro,nosuid - ext4 x rw', [bind('/data', '/data'), bind('/data/a', '/a')])[1],
    ['/data/a', 'differs'],
  )
})

test('what is mounted read-only over a part copies what lies there', () => {
  const said = { what: '', why: '' }
  const place = (path: string) => ({ path, owned: true }) as const
  const flags = { nosuid: true }
  const steps: Step[] = [
    { do: 'rootTmpfs', options: [], ...said },
    { do: 'mount', place: place('a'), type: 'tmpfs', options: [], flags, ...said },
    { do: 'mount', place: place('a/b'), type: 'tmpfs', options: [], flags: {}, ...said },
    { do: 'readonly', place: place('a'), recursive: true, only: undefined, flags: { readonly: true }, ...said },
    { do: 'readonly', place: place('a/b'), recursive: false, only: 'mount', flags: { noexec: true }, ...said },
    { do: 'sealRoot', ...said },
  ]
  assert.deepEqual(
    expectedMounts(steps, { ownsHost: false }).map(({ path, flags }) => [path, Object.keys(flags).join(' ')]),
    [
      ['/', 'nosuid nodev readonly'],
      ['/a', 'nosuid'],
      ['/a/b', ''],
      ['/a', 'nosuid readonly'],
      ['/a/b', 'readonly noexec'],
    ],
  )
})
