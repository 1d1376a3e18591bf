/** Steps that are rows of a table: each still fails in its own words, and explains its own system calls. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import { type Policy, sandbox } from '../../src/index.js'
import type { Step } from '../../src/plan/step.js'
import { withSteps } from '../support/plans.js'
import { ordinary, root, workDirectory } from '../support/user.js'

const system = [{ bind: '/usr' }, { symlink: '/lib', to: 'usr/lib' }, { symlink: '/lib64', to: 'usr/lib64' }]
const fillers = (name: string): NonNullable<Policy['filesystem']> =>
  Array.from({ length: 20 }, (_, index) => [
    { bind: `/some/place${name}-${index}`, from: '/etc' },
    { symlink: `/link${name}-${index}`, to: `some/place-${index}` },
    { directory: `/directory${name}-${index}/below`, mode: 0o700 },
    { tmpfs: `/memory${name}-${index}` },
    { file: `/file${name}-${index}`, content: 'x' },
  ]).flat()

const compiled = (filesystem: NonNullable<Policy['filesystem']>) =>
  compile({ filesystem: [...system, ...fillers(''), ...filesystem, ...fillers('-later')] })

function execute(bytes: Uint8Array) {
  const caller = process.getuid?.() === 0 ? ordinary : root
  const path = join(workDirectory(caller, 'rows'), 'vial')
  writeFileSync(path, bytes)
  chmodSync(path, 0o755)
  const user = process.getuid?.() === 0 ? { uid: ordinary.uid, gid: ordinary.gid } : {}
  return spawnSync(path, ['/usr/bin/true'], { encoding: 'utf8', ...user })
}

const standalone = (filesystem: NonNullable<Policy['filesystem']>) => execute(compiled(filesystem).bytes)

const faults: readonly (readonly [string, NonNullable<Policy['filesystem']>, string])[] = [
  [
    'a source that is missing',
    [{ bind: '/inside', from: '/missing/source' }],
    'vial: cannot bind /missing/source on /inside: No such file or directory\n      the source does not exist; optional: true leaves it out\n',
  ],
  [
    'a source and a place of one name',
    [{ bind: '/missing' }],
    'vial: cannot bind /missing: No such file or directory\n      the source does not exist; optional: true leaves it out\n',
  ],
  [
    'a link in a read-only directory',
    [{ symlink: '/usr/nowhere', to: 'target' }],
    'vial: cannot link /usr/nowhere to target: Read-only file system\n      the place does not exist, and what it lies in is read-only: make it there first, or bind to another place\n',
  ],
  [
    'a directory below a file',
    [{ directory: '/file-3/below' }],
    'vial: cannot make the directory /file-3/below: Not a directory\n      a file cannot cover a directory, nor lie below a file\n',
  ],
  [
    'a file where a directory is',
    [{ file: '/directory-4', content: '' }],
    'vial: cannot write the file /directory-4: Is a directory\n      a directory is at this place already\n',
  ],
]
for (const [name, filesystem, sentence] of faults) {
  test(`the sentence of ${name}, between a hundred other rows`, () => {
    const { status, stderr } = standalone(filesystem)
    assert.deepEqual({ status, stderr }, { status: 125, stderr: sentence })
  })
}

test('an optional bind of nothing is left out, and the rows after it are done', () => {
  const { status, stderr } = standalone([{ bind: '/inside', from: '/missing', optional: true }])
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
})

test('each row explains the system calls of its own kind', () => {
  const { steps } = sandbox({
    filesystem: [
      { bind: '/usr' },
      { symlink: '/bin', to: 'usr/bin' },
      { tmpfs: '/tmp' },
      { file: '/a', content: 'x' },
      { bind: '/usr/b', from: '/etc' },
    ],
  }).explain()
  const calls = (what: string) => steps.find((step) => step.what === what)?.syscalls
  const place = ['statx', 'mkdirat', 'mknodat', 'move_mount', 'close']
  assert.deepEqual(calls('bind /usr'), ['open_tree', 'mount_setattr', ...place])
  assert.deepEqual(calls('link /bin to usr/bin'), ['symlinkat', 'readlinkat'])
  assert.deepEqual(calls('mount tmpfs on /tmp'), ['fsopen', 'fsconfig', 'fsmount', 'close', ...place.slice(0, -1)])
  assert.deepEqual(calls('write the file /a'), ['openat', 'write', 'fchmod', 'close'])
  assert.deepEqual(calls('bind /etc on /usr/b'), [
    'open_tree',
    'mount_setattr',
    'openat2',
    'close',
    ...['openat', 'statx', 'fstatfs', 'readlinkat'],
    'mkdirat',
    'mknodat',
    'move_mount',
  ])
  assert.deepEqual(calls('make the root read-only'), ['mount_setattr'])
})

for (const [from, bind, sentence] of [
  ['/missing', '/inside', 'no source /missing'],
  ['/etc', '/usr/inside', 'no bind of /etc on /usr/inside'],
] as const) {
  test(`a bind with two complaints, of ${from} on ${bind}, fails with the right one`, () => {
    const { plan } = compiled([{ bind, from }])
    const failing = withSteps(plan, (step): Step[] => {
      if (step.do !== 'bind') return [step]
      const { source, place } = step
      return [{ ...step, complaint: [`no source ${source}`, `no bind of ${source} on /${place.path}`] }]
    })
    const { stderr } = execute(compilePlan(failing).bytes)
    assert.equal(stderr.split(': ')[1], `cannot ${sentence}`)
  })
}
