import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { callers, root } from '../support/user.js'
import { cachedOnlyPath, entries, everything, fromCache, front, newDirectory, notCached, runAs } from './tools.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

for (const caller of callers) {
  test(`${caller.name}: compiles once, then runs from the cache`, () => {
    const cache = newDirectory(caller)
    const args = [...everything, '--', '/bin/sh', '-c', 'read line; echo "$line|$1|$2|$#"; exit 7', 'sh', 'a b', '']
    assert.equal(fromCache(caller, args, { cache, input: 'in\n' }).status, notCached)
    const cold = front(caller, args, { cache, input: 'in\n' })
    const warm = fromCache(caller, args, { cache, input: 'in\n' })
    for (const { stdout, stderr, status } of [cold, warm])
      assert.deepEqual([stdout, stderr, status], ['in|a b||2\n', '', 7])
    assert.equal(entries(cache).length, 1)
    // The command is no part of the key.
    assert.equal(fromCache(caller, [...everything, '--', '/bin/echo', 'other'], { cache }).stdout, 'other\n')
  })

  test(`${caller.name}: other options are another vial`, () => {
    const cache = newDirectory(caller)
    const say = ['/bin/sh', '-c', 'echo $A']
    for (const value of ['one', 'two'])
      assert.equal(front(caller, [...everything, '--setenv', 'A', value, ...say], { cache }).stdout, `${value}\n`)
    for (const value of ['one', 'two'])
      assert.equal(fromCache(caller, [...everything, '--setenv', 'A', value, ...say], { cache }).stdout, `${value}\n`)
    const joined = fromCache(caller, [...everything, '--setenv', 'Aone', '', ...say], { cache })
    assert.equal(joined.status, notCached)
  })

  test(`${caller.name}: is one process from the caller to the sandbox, with the caller's descriptors`, () => {
    const cache = newDirectory(caller)
    // $$ is what the shell was as it became the front; whatever the sandbox runs is its child.
    const script =
      'echo $$; exec "$0" --bind / / /bin/sh -c \'echo $PPID; ls -l /proc/self/fd | grep -c memfd; cat <&5\''
    const file = join(newDirectory(caller), 'five')
    for (const [name, path] of [
      ['cold', frontPath],
      ['warm', cachedOnlyPath()],
    ] as const) {
      writeFileSync(file, name)
      const five = openSync(file, 'r')
      try {
        const { stdout, stderr } = runAs(caller, '/bin/sh', ['-c', script, path], {
          cache,
          stdio: ['pipe', 'pipe', 'pipe', 'ignore', 'ignore', five],
        })
        const [shell, parent, memory, content] = stdout.split('\n')
        assert.equal(parent, shell, stderr)
        assert.equal(memory, '0')
        assert.equal(content, name)
      } finally {
        closeSync(five)
      }
    }
  })

  test(`${caller.name}: closed standard descriptors, an ignored SIGCHLD and an empty name do no harm`, () => {
    const output = join(newDirectory(caller), 'output')
    writeFileSync(output, '')
    chmodSync(output, 0o666)
    const payload = `--bind / / /bin/sh -c 'echo done > ${output}; exit 5'`
    const ways = {
      closed: `"$0" ${payload} <&- >&- 2>&-`,
      ignored: `trap '' CHLD; "$0" ${payload}`,
      nameless: `exec -a '' "$0" ${payload}`,
    }
    for (const [name, script] of Object.entries(ways)) {
      const cache = newDirectory(caller)
      for (const path of [frontPath, cachedOnlyPath()]) {
        writeFileSync(output, '')
        const { status } = runAs(caller, '/bin/bash', ['-c', script, path], { cache })
        assert.deepEqual([status, readFileSync(output, 'utf8')], [5, 'done\n'], `${name}, ${path}`)
      }
    }
  })

  test(`${caller.name}: the compiler does not get the payload's environment, and the payload gets all of it`, () => {
    const cache = newDirectory(caller)
    const directory = newDirectory(caller)
    const evil = join(directory, 'evil.cjs')
    writeFileSync(evil, `require('fs').writeFileSync(${JSON.stringify(join(directory, 'done'))}, '')`)
    const env = {
      NODE_OPTIONS: `--require ${evil}`,
      NODE_CHANNEL_FD: '3',
      LD_PRELOAD: '/nonexistent.so',
      NODE_V8_COVERAGE: directory,
      A: 'b',
    }
    const args = [...everything, '--unsetenv', 'LD_PRELOAD', '/usr/bin/env']
    for (const run of [front, fromCache]) {
      const { stdout, stderr } = run(caller, args, { cache, env: { ...env, PATH: '/usr/bin:/bin' } })
      const seen = stdout.trim().split('\n')
      for (const [name, value] of Object.entries(env))
        assert.equal(seen.includes(`${name}=${value}`), name !== 'LD_PRELOAD', `${name}: ${stderr}`)
    }
    assert.ok(!existsSync(join(directory, 'done')))
  })

  test(`${caller.name}: a command of /proc/self/exe is this command again, with its own options, as with bwrap`, () => {
    const cache = newDirectory(caller)
    const link = join(newDirectory(caller), 'self')
    symlinkSync('/proc/self/exe', link)
    const inner = [
      ...everything,
      '--unshare-uts',
      '--hostname',
      'inner',
      '--',
      '/bin/sh',
      '-c',
      'hostname; echo "$0 $@"',
    ]
    for (const command of [
      ['/proc/self/exe'],
      ['--', '/proc/self/exe'],
      ['--', link],
      ['--argv0', 'me', '/proc/self/exe'],
    ]) {
      const args = [...everything, ...command, ...inner, 'a', 'b']
      // Both are compiled; the outer one is known, and so are both.
      for (const run of [front, front])
        assert.deepEqual(
          [run(caller, args, { cache }).stdout, run(caller, args, { cache }).status],
          ['inner\na b\n', 0],
        )
      const { stdout } = runAs(caller, process.execPath, [main, 'bwrap', ...args], { cache })
      assert.equal(stdout, 'inner\na b\n', 'vial bwrap')
    }
    assert.equal(front(caller, [...everything, '/proc/self/exe', '--version'], { cache }).stdout, 'bubblewrap 0.11.1\n')
    const { status, stderr } = front(caller, [...everything, '/proc/self/exe'], { cache })
    assert.deepEqual([status, stderr.split('\n')[0]], [1, 'usage: /proc/self/exe [OPTIONS...] [--] COMMAND [ARGS...]'])
    // Of no other command that lies in memory.
    assert.equal(
      front(caller, [...everything, '/bin/sh', '-c', 'exec /proc/self/exe -c "echo shell"'], { cache }).stdout,
      'shell\n',
    )
  })

  test(`${caller.name}: without a cache it runs all the same`, () => {
    const { stdout } = front(caller, [...everything, '/bin/echo', 'ok'], {
      env: { HOME: undefined, VIAL_CACHE: undefined },
    })
    assert.equal(stdout, 'ok\n')
    const directory = newDirectory(caller)
    writeFileSync(join(directory, 'file'), '')
    for (const cache of [join(directory, 'file'), '/proc/nothing', `/${'x'.repeat(5000)}`])
      assert.equal(front(caller, [...everything, '/bin/echo', 'ok'], { cache }).stdout, 'ok\n', cache.slice(0, 20))
  })

  test(`${caller.name}: the cache is where XDG_CACHE_HOME and HOME say`, () => {
    const home = newDirectory(caller)
    const args = [...everything, '/bin/echo', 'ok']
    for (const env of [
      { XDG_CACHE_HOME: join(home, 'xdg') },
      { HOME: home },
      { XDG_CACHE_HOME: 'relative', HOME: home },
    ]) {
      const options = { env: { VIAL_CACHE: undefined, ...env } }
      front(caller, args, options)
      assert.equal(fromCache(caller, args, options).stdout, 'ok\n')
    }
    assert.equal(entries(join(home, 'xdg/vial')).length, 1)
    assert.equal(entries(join(home, '.cache/vial')).length, 1)
    // A relative one counts from the working directory.
    mkdirSync(join(home, 'here'))
    const options = { env: { VIAL_CACHE: 'here/cache' }, cwd: home }
    if (process.getuid?.() === 0 && caller !== root) return
    front(caller, args, options)
    assert.equal(fromCache(caller, args, options).stdout, 'ok\n')
  })

  test(`${caller.name}: mistakes are told as bwrap tells them`, () => {
    const cache = newDirectory(caller)
    const mistakes: readonly (readonly [readonly string[], RegExp])[] = [
      [['--bogus', 'true'], /^bwrap: Unknown option --bogus$/m],
      [['--args', '9', 'true'], /^bwrap: Can't read --args data: Bad file descriptor$/m],
      [['--args'], /^bwrap: --args takes an? argument$/m],
      [['--args', 'x', 'true'], /^bwrap: Invalid fd: x$/m],
      [['--bind', '/'], /^bwrap: --bind takes two arguments$/m],
    ]
    for (const [args, message] of mistakes) {
      const { status, stderr } = front(caller, args, { cache })
      assert.equal(status, 1)
      assert.match(stderr, message)
    }
    const none = front(caller, [], { cache })
    assert.equal(none.status, 1)
    assert.deepEqual(entries(cache), [])
  })

  test(`${caller.name}: thousands of options`, () => {
    const cache = newDirectory(caller)
    const many = Array.from({ length: 2500 }, (_, index) => ['--setenv', `A${index}`, 'x'.repeat(20)]).flat()
    const args = [...everything, ...many, '/bin/sh', '-c', 'echo $A2499']
    for (const run of [front, fromCache]) assert.equal(run(caller, args, { cache }).stdout, `${'x'.repeat(20)}\n`)
  })
}
