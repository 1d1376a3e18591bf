/** Directories and files of no use, wherever the caller names one: a sentence says what stands in the way, in no words of Node's. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notRoot } from '../support/needs.js'
import { root, user, workDirectory } from '../support/user.js'

const dist = resolve(fileURLToPath(import.meta.url), '../../..')
const main = join(dist, 'src/cli/main.cjs')
const bwrap = join(dist, 'src/bwrap/bwrapCommand.js')
const caller = user
const ids = notRoot ? {} : { uid: caller.uid, gid: caller.gid }

/** `ENOENT: no such file or directory, open '/x'`, an errno's name alone, and a stack. */
const nodes = /\b(?:E[A-Z]{3,}|uv_\w+)\b|, (?:open|scandir|mkdir|lstat|stat) '|^ {4}at /m

interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

function node(file: string, args: readonly string[], { env = {}, cwd = '/' }: Surroundings, as: object = ids) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [file, ...args], {
    encoding: 'utf8',
    cwd,
    env: { PATH: '/usr/bin:/bin', HOME: workDirectory(caller, 'home'), ...env },
    ...as,
  })
  return { status, words: stdout + stderr }
}

const top = workDirectory(caller, 'of-no-use')
writeFileSync(join(top, 'file'), 'x')
symlinkSync('loop', join(top, 'loop'))
symlinkSync('/proc/nowhere', join(top, 'dangling'))
/** A path, and what is said of it. */
const places: readonly (readonly [name: string, path: string, words: RegExp])[] = [
  ['a file', join(top, 'file'), /file is not a directory/],
  ['below a file', join(top, 'file/x'), /file is not a directory/],
  ['a loop', join(top, 'loop'), /is a loop of symbolic links|Too many levels of symbolic links/],
  ['a dangling link', join(top, 'dangling'), /cannot make \/proc\/nowhere: No such file or directory/],
  ['in /proc', '/proc/x', /stored in \/proc\/x: No such file or directory/],
  ...(notRoot
    ? []
    : ([
        [
          "another user's",
          workDirectory(root, 'closed'),
          /belongs to another user, uid 0|cannot look at .*: Permission denied/,
        ],
        ["below another user's", join(workDirectory(root, 'closed'), 'x'), /\/closed\/x: Permission denied/],
      ] as const)),
]

/** The random name of a directory may look like that of an error. */
const own = (words: string) => words.replaceAll(top, '')

for (const [name, path, words] of places)
  describe(`a cache that is ${name}`, () => {
    const env = { VIAL_CACHE: path }
    test('vial run', () => {
      const found = node(main, ['run', '--', 'true'], { env })
      assert.equal(found.status, 125)
      assert.match(found.words, words)
      assert.ok(found.words.includes(path) && found.words.includes('VIAL_CACHE'), found.words)
      assert.doesNotMatch(own(found.words), nodes)
    })
    test('vial doctor and vial cache', () => {
      const found = node(main, ['doctor'], { env })
      assert.equal(found.status, 1)
      assert.match(found.words, words)
      assert.doesNotMatch(own(found.words), nodes)
      for (const what of ['list', 'clear']) assert.doesNotMatch(own(node(main, ['cache', what], { env }).words), nodes)
    })
    test('vial-bwrap, which then stores its vial elsewhere, or says why not', () => {
      assert.deepEqual(node(bwrap, ['--ro-bind', '/', '/', 'true'], { env }), { status: 0, words: '' })
      const found = node(bwrap, ['--ro-bind', '/', '/', 'true'], { env: { ...env, TMPDIR: path } })
      assert.equal(found.status, 1)
      assert.match(found.words, words)
      assert.doesNotMatch(own(found.words), nodes)
    })
  })

test('a HOME that is no absolute path is none: the cache lies neither in this directory nor in /', () => {
  const cwd = workDirectory(caller, 'here')
  const there = '/relative-home'
  for (const HOME of ['relative-home', '']) {
    const { words } = node(main, ['cache', 'list'], { env: { HOME }, cwd })
    assert.match(words, /^\/|^ {6}set VIAL_CACHE/m)
    assert.doesNotMatch(words, /relative-home/)
    node(main, ['run', '--', 'true'], { env: { HOME }, cwd })
    assert.equal(existsSync(join(cwd, 'relative-home')) || existsSync(there) || existsSync(join(cwd, '.cache')), false)
  }
})

test('too few descriptors', () => {
  const limited = (count: number, ...args: readonly string[]) =>
    spawnSync(
      'sh',
      ['-c', `ulimit -n ${count}; exec "$@"`, 'sh', process.execPath, main, 'run', ...args, '--', 'true'],
      {
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', HOME: workDirectory(caller, 'home') },
        ...ids,
      },
    )
  // How many Node itself has open is its own matter.
  const few = Array.from({ length: 24 }, (_, index) => limited(16 + index)).filter(({ status }) => status === 125)
  assert.ok(few.length > 0)
  for (const { stderr } of few)
    assert.match(stderr, /: Too many open files\n {6}this process has too many files open: see ulimit -n\n$/)
})

describe('without /proc', { skip: notRoot }, () => {
  const directory = notRoot ? '' : workDirectory(root, 'home')
  const without = (...args: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync(
      'unshare',
      ['-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh', process.execPath, main, ...args],
      { encoding: 'utf8', cwd: '/', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: directory } },
    )
    return { words: stdout + stderr, status }
  }
  for (const [args, words] of [
    [['run', '--', 'true'], /\/proc is not mounted here/],
    [['run', '--memory', '64M', '--', 'true'], /\/proc is not mounted here\n {6}repair: .*mount -t proc proc \/proc\n/],
    [['run', '--output', '64M', '--', 'true'], /\/proc is not (?:mounted here|that of this process)\n/],
    [['doctor'], /no {3}\/proc .*it is not mounted here\n.*\n {7}repair: mount -t proc proc \/proc\n/],
    [['gc'], /mount -t proc proc \/proc\n/],
  ] as const)
    test(args.join(' '), () => {
      const found = without(...args)
      assert.notEqual(found.status, 0)
      assert.match(found.words, words)
      assert.doesNotMatch(own(found.words), nodes)
    })
})
