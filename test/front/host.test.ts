/** Nothing of the host that can change is frozen into a cached vial: each test changes it between two runs from the cache. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { callers, ordinary, root } from '../support/user.js'
import { entries, everything, fromCache, front, newDirectory, notCached, type Run, runAs } from './tools.js'

const bwrap = ['/usr/bin/bwrap', '/bin/bwrap'].find((path) => existsSync(path))

for (const caller of callers) {
  /** Fills the cache, then runs from it; where there is a bwrap it has to say the same. */
  const from =
    (cache: string) =>
    (args: readonly string[], options: Run = {}) => {
      const { stdout, stderr, status } = fromCache(caller, args, { cache, ...options })
      assert.notEqual(status, notCached, stderr)
      const theirs =
        bwrap === undefined
          ? undefined
          : runAs(caller, bwrap, args, { ...options, env: { PATH: '/no/programs', ...options.env } })
      if (theirs !== undefined) assert.deepEqual([stdout, status], [theirs.stdout, theirs.status])
      return stdout
    }

  test(`${caller.name}: sources that appear, change, become another kind of file, and go`, () => {
    const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
    const source = join(directory, 'source')
    const args = [
      ...['--ro-bind', '/', '/', '--tmpfs', '/mnt', '--ro-bind-try', source, '/mnt/source'],
      ...[
        '/bin/sh',
        '-c',
        'if [ -d /mnt/source ]; then /bin/ls /mnt/source; elif [ -e /mnt/source ]; then /bin/cat /mnt/source; else echo none; fi',
      ],
    ]
    const cached = from(cache)
    assert.equal(front(caller, args, { cache }).stdout, 'none\n')
    assert.equal(cached(args), 'none\n')
    writeFileSync(source, 'one\n')
    assert.equal(cached(args), 'one\n')
    rmSync(source)
    mkdirSync(source)
    writeFileSync(join(source, 'file'), '')
    assert.equal(cached(args), 'file\n')
    renameSync(source, `${source}.real`)
    symlinkSync('source.real', source)
    assert.equal(cached(args), 'file\n')
    rmSync(source)
    assert.equal(cached(args), 'none\n')
    assert.equal(entries(cache).length, 1)
  })

  test(`${caller.name}: a source that has to be there and is not fails from the cache as well`, () => {
    const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
    const source = join(directory, 'source')
    const args = ['--ro-bind', '/', '/', '--ro-bind', source, source, '/bin/cat', source]
    writeFileSync(source, 'there\n')
    assert.equal(front(caller, args, { cache }).stdout, 'there\n')
    rmSync(source)
    const gone = fromCache(caller, args, { cache })
    assert.equal(gone.status, 1)
    assert.match(gone.stderr, /^bwrap: Can't find source path .*source: No such file or directory$/m)
    writeFileSync(source, 'again\n')
    assert.equal(from(cache)(args), 'again\n')
    // And it is the same the other way round: it was not there when it was compiled.
    const later = join(directory, 'later')
    const laterArgs = ['--ro-bind', '/', '/', '--ro-bind', later, later, '/bin/cat', later]
    assert.equal(front(caller, laterArgs, { cache }).status, 1)
    writeFileSync(later, 'later\n')
    assert.equal(from(cache)(laterArgs), 'later\n')
  })

  test(`${caller.name}: the working directory, and sources relative to it`, () => {
    const cache = newDirectory(caller)
    const [one, two] = [newDirectory(caller), newDirectory(caller)]
    for (const [directory, content] of [
      [one, 'one'],
      [two, 'two'],
    ] as const)
      writeFileSync(join(directory, 'file'), content)
    const relative = [
      '--ro-bind',
      '/',
      '/',
      '--tmpfs',
      '/mnt',
      '--ro-bind',
      'file',
      '/mnt/file',
      '/bin/cat',
      '/mnt/file',
    ]
    const directory = [...everything, '/bin/sh', '-c', 'pwd; echo $PWD']
    for (const args of [relative, directory]) front(caller, args, { cache, cwd: one })
    const cached = from(cache)
    assert.equal(cached(relative, { cwd: one }), 'one')
    assert.equal(cached(relative, { cwd: two }), 'two')
    assert.equal(cached(directory, { cwd: one }), `${one}\n${one}\n`)
    assert.equal(cached(directory, { cwd: two }), `${two}\n${two}\n`)
    // Not visible inside: HOME instead, and then the root.
    const hidden = [
      '--ro-bind',
      '/usr',
      '/usr',
      '--symlink',
      'usr/bin',
      '/bin',
      '--symlink',
      'usr/lib',
      '/lib',
      '--symlink',
      'usr/lib64',
      '/lib64',
      '/bin/pwd',
    ]
    front(caller, hidden, { cache })
    assert.equal(cached(hidden, { cwd: one, env: { HOME: '/usr/lib' } }), '/usr/lib\n')
    assert.equal(cached(hidden, { cwd: one, env: { HOME: one } }), '/\n')
  })

  test(`${caller.name}: the environment, of which PATH finds the command`, () => {
    const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
    const say = [...everything, '--setenv', 'SET', 'x', '--unsetenv', 'UNSET', 'say', '$A$UNSET$SET']
    writeFileSync(join(directory, 'say'), '#!/bin/sh\neval "echo $1"\n', { mode: 0o755 })
    const cached = from(cache)
    const env = (A: string, PATH = directory) => ({ env: { PATH, A, UNSET: 'u', SET: 's' } })
    assert.equal(
      front(caller, say, { cache, env: { PATH: `${directory}:${process.env.PATH}`, A: 'first' } }).stdout,
      'firstx\n',
    )
    assert.equal(cached(say, env('second')), 'secondx\n')
    assert.equal(cached(say, env('third')), 'thirdx\n')
    const missing = fromCache(caller, say, { cache, ...env('x', '/no/programs') })
    assert.equal(missing.status, 1)
    assert.match(missing.stderr, /^bwrap: execvp say: No such file or directory$/m)
  })

  test(`${caller.name}: whether there is a terminal`, () => {
    const cache = newDirectory(caller)
    const args = [
      '--ro-bind',
      '/',
      '/',
      '--dev',
      '/dev',
      '/bin/sh',
      '-c',
      'test -e /dev/console && echo console || echo none',
    ]
    assert.equal(front(caller, args, { cache }).stdout, 'none\n')
    const quoted = [frontPath, ...args].map((word) => `'${word}'`).join(' ')
    const { stdout } = runAs(caller, 'script', ['-qec', quoted, '/dev/null'], { cache, env: { SHELL: '/bin/sh' } })
    assert.equal(stdout.trim(), 'console')
    assert.equal(from(cache)(args), 'none\n')
    assert.equal(entries(cache).length, 1)
  })

  test(`${caller.name}: descriptors give their data anew each time`, () => {
    const cache = newDirectory(caller)
    const args = ['--ro-bind', '/', '/', '--tmpfs', '/mnt', '--file', '0', '/mnt/file', '/bin/cat', '/mnt/file']
    assert.equal(front(caller, args, { cache, input: 'first' }).stdout, 'first')
    for (const input of ['second', '', 'x'.repeat(100_000)]) assert.equal(from(cache)(args, { input }), input)
  })
}

test('who the caller is: two users and groups with one cache', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, () => {
  const cache = newDirectory(root)
  const args = [...everything, '--unshare-user', '/bin/sh', '-c', 'echo $(/usr/bin/id -u):$(/usr/bin/id -g)']
  const as = (caller: typeof root) => ({
    ...front(caller, args, { cache }),
    cached: fromCache(caller, args, { cache }).stdout,
  })
  assert.equal(as(root).cached, '0:0\n')
  // The same user in another group has a vial of its own in the same directory.
  const group = { name: 'group', uid: 0, gid: 54321 }
  assert.equal(fromCache(group, args, { cache }).status, notCached)
  assert.equal(as(group).cached, '0:54321\n')
  assert.equal(fromCache(root, args, { cache }).stdout, '0:0\n')
  // Another user does not use the directory.
  assert.equal(fromCache(ordinary, args, { cache }).status, notCached)
  assert.equal(front(ordinary, args, { cache }).stdout, `${ordinary.uid}:${ordinary.gid}\n`)
  assert.equal(entries(cache).length, 2)
})
