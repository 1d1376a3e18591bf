import assert from 'node:assert/strict'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { callers } from '../support/user.js'
import { cachedOnlyPath, entries, newDirectory, notCached, runAs } from './tools.js'

for (const caller of callers) {
  const directory = newDirectory(caller)

  /** Runs a front with these files as descriptors 3, 4, …. */
  const run = (path: string, cache: string, contents: readonly (readonly string[])[], args: readonly string[]) => {
    const fds = contents.map((words, index) => {
      const file = join(directory, `args-${index}`)
      writeFileSync(file, words.map((word) => `${word}\0`).join(''))
      return openSync(file, 'r')
    })
    try {
      const env = path === frontPath ? {} : { PATH: '/no/programs' }
      return runAs(caller, path, args, { cache, env, stdio: ['ignore', 'pipe', 'pipe', ...fds] })
    } finally {
      fds.forEach(closeSync)
    }
  }
  const cold = (...rest: [string, readonly (readonly string[])[], readonly string[]]) => run(frontPath, ...rest)
  const warm = (...rest: [string, readonly (readonly string[])[], readonly string[]]) => run(cachedOnlyPath(), ...rest)

  test(`${caller.name}: --args is part of the key by what it gives`, () => {
    const cache = newDirectory(caller)
    const args = ['--args', '3', '/bin/sh', '-c', 'echo $A; if test -e /proc/self/fd/3; then echo open; fi']
    const give = (value: string) => [['--bind', '/', '/', '--setenv', 'A', value]]
    assert.equal(cold(cache, give('one'), args).stdout, 'one\n')
    assert.equal(warm(cache, give('one'), args).stdout, 'one\n')
    assert.equal(warm(cache, give('two'), args).status, notCached)
    assert.equal(cold(cache, give('two'), args).stdout, 'two\n')
    assert.equal(warm(cache, give('two'), args).stdout, 'two\n')
    assert.equal(warm(cache, give('one'), args).stdout, 'one\n')
    // Words of one descriptor are not those of two, nor those of the command line.
    assert.equal(warm(cache, [], [...give('one')[0]!, ...args.slice(2)]).status, notCached)
    assert.equal(
      warm(
        cache,
        [
          ['--bind', '/', '/'],
          ['--setenv', 'A', 'one'],
        ],
        ['--args', '3', '--args', '4', ...args.slice(2)],
      ).status,
      notCached,
    )
  })

  test(`${caller.name}: several --args, in any order of numbers, between other options`, () => {
    const cache = newDirectory(caller)
    const contents = [
      ['--setenv', 'A', '1'],
      ['--bind', '/', '/'],
      ['--setenv', 'A', '2'],
    ]
    const args = ['--args', '5', '--args', '4', '--setenv', 'B', 'b', '--args', '3', '--', '/bin/sh', '-c', 'echo $A$B']
    for (const one of [cold, warm]) assert.equal(one(cache, contents, args).stdout, '1b\n')
  })

  test(`${caller.name}: long --args`, () => {
    const cache = newDirectory(caller)
    const many = Array.from({ length: 2000 }, (_, index) => ['--setenv', `V${index}`, String(index).repeat(30)]).flat()
    const args = ['--args', '3', '/bin/sh', '-c', 'echo $V1999']
    for (const one of [cold, warm])
      assert.equal(one(cache, [['--bind', '/', '/', ...many]], args).stdout, `${'1999'.repeat(30)}\n`)
  })

  test(`${caller.name}: mistakes in --args are told, and nothing is stored`, () => {
    const cache = newDirectory(caller)
    const mistakes: readonly (readonly [readonly (readonly string[])[], readonly string[], RegExp])[] = [
      [[['--bogus']], ['--args', '3', 'true'], /^bwrap: Unknown option --bogus$/m],
      [[['--args', '4'], []], ['--args', '3', 'true'], /^bwrap: --args not supported in arguments file$/m],
      [[['--bind', '/']], ['--args', '3', 'true'], /^bwrap: --bind takes two arguments$/m],
      // What was read is there again when Node.js looks for the mistake behind it.
      [[['--bogus']], ['--args', '3', '--worse', 'true'], /^bwrap: Unknown option --bogus$/m],
      [[['--bind', '/', '/']], ['--args', '3', '--worse', 'true'], /^bwrap: Unknown option --worse$/m],
      [
        [['--bind', '/', '/']],
        ['--args', '3', '--args', '3', 'true'],
        /^bwrap: Can't read --args data: Bad file descriptor$/m,
      ],
    ]
    for (const [contents, args, message] of mistakes) {
      const { status, stderr } = cold(cache, contents, args)
      assert.equal(status, 1)
      assert.match(stderr, message)
    }
    const help = cold(cache, [['--help']], ['--args', '3', 'true'])
    assert.equal(help.status, 0)
    assert.match(help.stdout, /--unshare-all/)
    assert.deepEqual(entries(cache), [])
  })
}
