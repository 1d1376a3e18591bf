/** However many entries of a kind a policy has, each is made: around the powers of two that a table could be too narrow for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compile } from '../../src/compile/compile.js'
import { type Policy, sandbox } from '../../src/index.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { ordinary, root, workDirectory } from '../support/user.js'

type Entry = NonNullable<Policy['filesystem']>[number]

/** The drop-in for bwrap(1). */
const dropIn = fileURLToPath(new URL('../../bin/vial-bwrap', import.meta.url))

const counts = [1, 255, 256, 257, 300, 1000]
const most = Math.max(...counts)

const sources = workDirectory(ordinary, 'sources')
for (let index = 0; index < most; index++) {
  const source = join(sources, `${index}`)
  mkdirSync(source)
  writeFileSync(join(source, 'content'), `${index}\n`)
  chmodSync(source, 0o755)
}
const source = (index: number) => join(sources, `${index}`)

interface Kind {
  readonly name: string
  readonly entries: (index: number) => readonly Entry[]
  /** A condition of sh(1), of built-in commands only, about `$i`. */
  readonly holds: string
}

const contentOf = (path: string) => `read x < ${path} && [ "$x" = $i ]`

const kinds: readonly Kind[] = [
  {
    name: 'bind',
    entries: (index) => [{ bind: `/b${index}/x`, from: source(index) }],
    holds: contentOf('/b$i/x/content'),
  },
  {
    name: 'optional bind',
    entries: (index) => [{ bind: `/b${index}/x/y`, from: source(index), optional: true }],
    holds: contentOf('/b$i/x/y/content'),
  },
  {
    name: 'optional bind, of which each other one is missing',
    entries: (index) => [
      { bind: `/b${index}/x/y`, from: `/missing/${index}`, optional: true },
      { bind: `/c${index}/x/y`, from: source(index), optional: true },
    ],
    holds: `[ ! -e /b$i ] && ${contentOf('/c$i/x/y/content')}`,
  },
  {
    name: 'optional bind into what is not ours',
    entries: (index) => [{ bind: `/foreign/${index}`, from: source(index), optional: true }],
    holds: contentOf('/foreign/$i/content'),
  },
  { name: 'directory', entries: (index) => [{ directory: `/d${index}/x`, mode: 0o700 }], holds: '[ -d /d$i/x ]' },
  { name: 'tmpfs', entries: (index) => [{ tmpfs: `/t${index}` }], holds: 'echo $i > /t$i/x' },
  {
    name: 'file',
    entries: (index) => [{ file: `/f${index}`, content: `${index}\n` }],
    holds: contentOf('/f$i'),
  },
  {
    name: 'file that is mounted',
    entries: (index) => [{ file: `/m${index}`, content: `${index}\n`, mount: 'readonly' }],
    holds: contentOf('/m$i'),
  },
  {
    name: 'symlink',
    entries: (index) => [
      { file: `/f${index}`, content: `${index}\n` },
      { symlink: `/s${index}`, to: `f${index}` },
    ],
    holds: contentOf('/s$i'),
  },
  {
    name: 'overlay',
    entries: (index) => [{ overlay: `/o${index}`, lower: [source(index)], upper: 'tmpfs' }],
    holds: `${contentOf('/o$i/content')} && echo y > /o$i/new`,
  },
  {
    name: 'chmod',
    entries: (index) => [{ directory: `/d${index}` }, { chmod: `/d${index}`, mode: 0o500 }],
    holds: '[ -d /d$i ] && [ ! -w /d$i ]',
  },
  {
    name: 'readonly',
    entries: (index) => [{ tmpfs: `/t${index}` }, { readonly: `/t${index}` }],
    holds: '[ -d /t$i ] && ! (echo > /t$i/x) 2>&-',
  },
]

const policyOf = (entries: readonly Entry[]): Policy => ({
  preset: 'system',
  filesystem: [{ bind: '/foreign', from: sources, writable: true }, ...entries],
})

/** Prints each number that does not hold, and then how many do. */
const script = (count: number, holds: string) =>
  `i=0; n=0; while [ $i -lt ${count} ]; do if ${holds}; then n=$((n+1)); else echo $i; fi; i=$((i+1)); done; echo "all $n"`

function standsAlone(policy: Policy, code: string) {
  const { bytes } = compile(policy as StrictPolicy)
  const path = join(workDirectory(process.getuid?.() === 0 ? ordinary : root, 'many'), 'vial')
  writeFileSync(path, bytes)
  chmodSync(path, 0o755)
  const user = process.getuid?.() === 0 ? { uid: ordinary.uid, gid: ordinary.gid } : {}
  return spawnSync(path, ['sh', '-c', code], { encoding: 'utf8', ...user })
}

for (const { name, entries, holds } of kinds) {
  describe(`many of the kind: ${name}`, () => {
    for (const count of counts) {
      test(`${count}`, async () => {
        const policy = policyOf(Array.from({ length: count }, (_, index) => entries(index)).flat())
        const { status, stdout, stderr } = standsAlone(policy, script(count, holds))
        assert.deepEqual([status, stdout, stderr], [0, `all ${count}\n`, ''])
        if (count !== 257) return
        const result = await sandbox(policy).run('sh', ['-c', script(count, holds)])
        assert.deepEqual([result.exitCode, result.stdout], [0, `all ${count}\n`])
      })
    }
  })
}

describe('many layers of one overlay', () => {
  const layers = (count: number) => Array.from({ length: count }, (_, index) => `${sources}/${index}`)
  for (const upper of ['tmpfs', undefined] as const) {
    for (const count of [2, 231, 500]) {
      test(`${count}, ${upper === undefined ? 'read-only' : 'with an upper one in memory'}`, () => {
        // Each file lies in one layer only.
        for (let index = 0; index < count; index++) writeFileSync(join(source(index), `only-${index}`), '')
        const overlay = { overlay: '/o', lower: layers(count), upper }
        const { status, stdout, stderr } = standsAlone(policyOf([overlay]), script(count, '[ -e /o/only-$i ]'))
        assert.deepEqual([status, stdout, stderr], [0, `all ${count}\n`, ''])
      })
    }
  }

  test('more than the kernel stacks are a fault of the policy', () => {
    assert.throws(() => compile({ filesystem: [{ overlay: '/o', lower: layers(501) }] }), /lower: has more layers than/)
  })
})

describe('many of a kind of the drop-in', () => {
  test('1000 links', () => {
    const links = Array.from({ length: 1000 }, (_, index) => ['--symlink', `f${index}`, `/s${index}`]).flat()
    const args = [
      '--bind',
      '/',
      '/',
      '--tmpfs',
      '/mnt',
      '--chdir',
      '/mnt',
      ...links.map((word) => word.replace(/^\/s/, '/mnt/s')),
    ]
    const home = workDirectory(ordinary, 'home')
    const user = process.getuid?.() === 0 ? { uid: ordinary.uid, gid: ordinary.gid } : {}
    const code = script(1000, '[ -h s$i ]')
    const env = { PATH: process.env.PATH, HOME: home }
    const { status, stdout, stderr } = spawnSync(dropIn, [...args, 'sh', '-c', code], {
      encoding: 'utf8',
      env,
      ...user,
    })
    assert.deepEqual([status, stdout, stderr], [0, 'all 1000\n', ''])
  })
})
