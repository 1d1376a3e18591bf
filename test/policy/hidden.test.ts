/** Entries take effect in their order; one that a later one hides whole is a fault that names both. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compile, type Policy } from '../../src/index.js'

type Entries = NonNullable<Policy['filesystem']>

const faultsOf = (filesystem: Entries, rest: Policy = {}): string => {
  try {
    compile({ ...rest, filesystem } as never)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

const hidden: readonly (readonly [string, Entries, RegExp])[] = [
  [
    'a directory shown writable over a read-only one in it',
    [{ bind: '/p/.git' }, { bind: '/p', writable: true }],
    /^filesystem\[0\]\.bind: is hidden whole by filesystem\[1\]\.bind \(\/p\), which comes later$/,
  ],
  [
    'another at the same place',
    [{ bind: '/p' }, { proc: '/proc' }, { bind: '/p/./', writable: true }],
    /^filesystem\[0\]\.bind: is hidden whole by filesystem\[2\]\.bind \(\/p\), which comes later$/,
  ],
  [
    'a tmpfs over a file',
    [{ bind: '/data/f', from: '/etc/hostname' }, { tmpfs: '/data' }],
    /\[0\]\.bind.*\[1\]\.tmpfs/,
  ],
  ['a device before /dev', [{ bind: '/dev/kvm', optional: true }, { dev: '/dev' }], /\[0\]\.bind.*\[1\]\.dev/],
  ['an overlay over a tmpfs', [{ tmpfs: '/a/b' }, { overlay: '/a', lower: ['/usr'] }], /\[0\]\.tmpfs.*\[1\]\.overlay/],
  ['proc over a file', [{ file: '/proc/x', content: '' }, { proc: '/proc' }], /\[0\]\.file.*\[1\]\.proc/],
  [
    'a file over a file',
    [
      { file: '/x', content: '1' },
      { file: '/x', content: '2' },
    ],
    /\[0\]\.file.*\[1\]\.file/,
  ],
  [
    'what was made read-only, shown anew',
    [{ bind: '/p' }, { readonly: '/p' }, { bind: '/p', writable: true }],
    /\[1\]\.readonly.*\[2\]\.bind/,
  ],
  ['a mode that is set too early', [{ chmod: '/x', mode: 0o700 }, { tmpfs: '/x' }], /\[0\]\.chmod.*\[1\]\.tmpfs/],
  [
    'read-only, and then perhaps writable',
    [{ readonly: '/p' }, { bind: '/p', writable: true, optional: true }],
    /\[0\]\.readonly/,
  ],
  ['one in a directory that is perhaps shown', [{ bind: '/p/a' }, { bind: '/p', optional: true }], /\[0\]\.bind/],
  [
    'everything by a root',
    [{ tmpfs: '/tmp' }, { bind: '/' }],
    /^filesystem\[1\]\.bind: "\/" hides all entries before it/,
  ],
]

const kept: readonly (readonly [string, Entries])[] = [
  ['a read-only directory in a writable one', [{ bind: '/p', writable: true }, { bind: '/p/.git' }]],
  ['a neighbour whose name begins alike', [{ bind: '/p' }, { tmpfs: '/pp' }, { tmpfs: '/p-1' }]],
  ['a directory as the place to mount on', [{ directory: '/p' }, { bind: '/p' }]],
  ['a link as the way to what is mounted', [{ symlink: '/p', to: 'q' }, { bind: '/p' }]],
  ['one at the same place that is perhaps there', [{ tmpfs: '/p' }, { bind: '/p', optional: true }]],
  ['a directory and a file in what is mounted', [{ tmpfs: '/p' }, { directory: '/p' }, { file: '/p/x', content: '' }]],
  ['modes and read-only last', [{ tmpfs: '/p' }, { chmod: '/p', mode: 0o700 }, { readonly: '/p' }]],
]

describe('a later entry', () => {
  for (const [name, filesystem, expected] of hidden)
    test(`hides: ${name}`, () => assert.match(faultsOf(filesystem), expected))
  for (const [name, filesystem] of kept) test(`leaves: ${name}`, () => assert.equal(faultsOf(filesystem), ''))

  test('may cover what a preset shows, above it as well as at its place', () => {
    const filesystem: Entries = [{ tmpfs: '/tmp', size: '1M' }, { tmpfs: '/etc' }, { bind: '/usr', from: '/opt' }]
    assert.equal(faultsOf(filesystem, { preset: 'system' }), '')
  })
})
