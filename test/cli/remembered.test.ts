/** `vial run` finds the vial of the last time without compiling: of exactly these flags, this host and this build, or not at all. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { delegate } from '../support/groups.js'
import { notRoot } from '../support/needs.js'
import { saying } from '../support/saying.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

let directories = 0
const newDirectory = (caller: Caller) => workDirectory(caller, `remembered-${directories++}`)
const stored = (cache: string) => readdirSync(join(cache, 'run')).sort()
const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
const onlyOne = (cache: string) => {
  const names = stored(cache)
  assert.equal(names.length, 1)
  return join(cache, 'run', names[0]!)
}

for (const caller of callers) {
  const runIn =
    (cache: string, options: { cwd?: string; env?: Record<string, string> } = {}) =>
    (...args: string[]) => {
      const { stdout, stderr, status } = vial(caller, ['run', ...args], {
        ...options,
        env: { VIAL_CACHE: cache, ...options.env },
      })
      return { stdout, stderr, status }
    }

  /**
   * The stored vial exchanged for one that says so: a run that still gets an answer of the command has compiled. What is
   * written stands before the key, as the vial did.
   */
  function mark(path: string): void {
    const bytes = readFileSync(path)
    const key = bytes.readUIntLE(bytes.length - 8, 6) + 16
    const seen = bytes.readUIntLE(bytes.length - key, 6)
    const vial = saying('remembered\n')
    rmSync(path)
    writeFileSync(path, Buffer.concat([vial, bytes.subarray(bytes.length - key - seen)]), { mode: 0o500 })
    chmodSync(path, 0o500)
    if (process.getuid!() === 0) spawnSync('chown', [`${caller.uid}:${caller.gid}`, path])
  }
  const remembered = 'remembered\n'

  test(`${caller.name}: the second run is of the first one's vial, whatever the command`, () => {
    const cache = newDirectory(caller)
    const run = runIn(cache)
    assert.equal(run('--', 'echo', 'one').stdout, 'one\n')
    const path = onlyOne(cache)
    assert.equal(statSync(path).mode & 0o7777, 0o500)
    assert.equal(run('--', 'echo', 'two').stdout, 'two\n')
    assert.equal(run('--timeout', '60', '--', 'sh', '-c', 'exit 3').status, 3)
    assert.deepEqual(stored(cache).length, 1)
    mark(path)
    assert.equal(run('--', 'echo', 'three').stdout, remembered)
  })

  test(`${caller.name}: other flags, another directory, another policy in the same file are other vials`, () => {
    const cache = newDirectory(caller)
    const directory = newDirectory(caller)
    const policy = join(directory, 'policy.json')
    writeFileSync(policy, '{ "preset": "system", "hostname": "one" }')
    chmodSync(policy, 0o644)
    const run = runIn(cache, { cwd: directory })
    const hostname = (...flags: string[]) => run(...flags, '--', 'cat', '/proc/sys/kernel/hostname').stdout
    assert.equal(hostname(), 'vial\n')
    assert.equal(hostname('--hostname', 'two'), 'two\n')
    assert.equal(hostname('--policy', 'policy.json'), 'one\n')
    for (const name of stored(cache)) mark(join(cache, 'run', name))
    for (const flags of [[], ['--hostname', 'two'], ['--policy', 'policy.json']])
      assert.equal(hostname(...flags), remembered)
    writeFileSync(policy, '{ "preset": "system", "hostname": "sieben" }')
    assert.equal(hostname('--policy', 'policy.json'), 'sieben\n')
    const ids = (...flags: string[]) => run(...flags, '--', 'id', '-u').stdout
    assert.equal(ids('--uid', '7'), '7\n')
    assert.equal(ids('--uid', '8'), '8\n')
    assert.equal(run('--env', 'A=1', '--', 'printenv', 'A').stdout, '1\n')
    assert.equal(run('--env', 'A=2', '--', 'printenv', 'A').stdout, '2\n')
    // Relative paths are of the directory.
    assert.equal(run('--ro', '.', '--', 'pwd').stdout, `${directory}\n`)
    const other = newDirectory(caller)
    assert.equal(runIn(cache, { cwd: other })('--ro', '.', '--', 'pwd').stdout, `${other}\n`)
  })

  test(`${caller.name}: what is inherited is the caller's of each run`, () => {
    const run = (value: string) =>
      runIn(cache, { env: { TERM: value, MINE: value } })('--env', 'MINE', '--', 'sh', '-c', 'echo $TERM $MINE').stdout
    const cache = newDirectory(caller)
    assert.equal(run('one'), 'one one\n')
    assert.equal(run('two'), 'two two\n')
    assert.equal(stored(cache).length, 1)
  })

  test(`${caller.name}: a failure says what it says without the cache`, () => {
    const cache = newDirectory(caller)
    const run = runIn(cache)
    for (const line of [
      ['--', 'no-such-command'],
      ['--', '/etc/services'],
      ['--', 'sh', '-c', 'exit 5'],
      ['--rw', '/nowhere', '--', 'true'],
    ]) {
      const first = run(...line)
      assert.notEqual(first.status, 0)
      assert.deepEqual(run(...line), first)
    }
    // A source that goes between two runs.
    const source = newDirectory(caller)
    assert.equal(run('--ro', source, '--', 'true').status, 0)
    renameSync(source, `${source}.gone`)
    const { status, stderr } = run('--ro', source, '--', 'true')
    assert.equal(status, 125)
    assert.match(stderr, /--ro .* does not exist/)
  })

  test(`${caller.name}: policies with faults are told each time, and those that look at more of the host are compiled`, () => {
    const cache = newDirectory(caller)
    const directory = newDirectory(caller)
    const run = runIn(cache)
    const ranges = join(directory, 'ranges.json')
    writeFileSync(ranges, '{ "preset": "system", "identity": { "ranges": "subids" } }')
    for (let time = 0; time < 2; time++) {
      assert.match(run('--hostname', 'a b', '--', 'true').stderr, /--hostname a b/)
      assert.match(run('--memory', 'much', '--', 'true').stderr, /--memory much/)
      assert.match(run('--wall-time', '-1', '--', 'true').stderr, /--wall-time -1/)
      assert.match(run('--seccomp', directory, '--', 'true').stderr, /--seccomp/)
      assert.match(run('--fill', 'no-such-program', '--', 'true').stderr, /no-such-program/)
      run('--policy', ranges, '--', 'true')
    }
    assert.throws(() => stored(cache), { code: 'ENOENT' })
  })

  test(`${caller.name}: limits are those of the first run, told in the same words, in a group of each run's own`, () => {
    const cache = newDirectory(caller)
    const directory = newDirectory(caller)
    const delegation = delegate(caller)
    const words = delegation.wrapper ?? []
    const optional = delegation.wrapper === undefined ? ['--limits-optional'] : []
    const run = (...args: string[]) => {
      const [command = '', ...rest] = [...words, process.execPath, main, 'run', ...optional, ...args]
      const { status, stdout, stderr } = spawnSync(command, rest, {
        encoding: 'utf8',
        cwd: directory,
        env: { PATH: process.env.PATH, HOME: directory, VIAL_CACHE: cache },
      })
      return { status, stdout, stderr }
    }
    const inodes = () => stored(cache).map((name) => statSync(join(cache, 'run', name)).ino)
    try {
      for (const line of [
        ['--wall-time', '300ms', '--', 'sleep', '60'],
        ['--cpu-time', '1s', '--', 'sh', '-c', 'while :; do :; done'],
        ['--output', '5', '--', 'printf', '1234567890'],
        ['--file-size', '1K', '--', 'sh', '-c', 'trap "" XFSZ; exec head -c 2000 /dev/zero > /tmp/f'],
        ['--pids', '20', '--memory', '512M', '--', 'sh', '-c', 'ulimit -v; ulimit -u; exit 5'],
      ]) {
        const first = run(...line)
        const before = inodes()
        assert.deepEqual(run(...line), first, line.join(' '))
        assert.deepEqual(inodes(), before, line.join(' '))
      }
      const report = () => {
        const line = ['--pids', '20', '--memory', '512M', '--report', 'json', '--', 'true']
        const { usage, enforcement, verdict } = JSON.parse(run(...line).stderr)
        return { usage: Object.keys(usage).sort(), enforcement, verdict }
      }
      const first = report()
      const before = inodes()
      assert.deepEqual(report(), first)
      assert.deepEqual(inodes(), before)
      if (optional.length === 0) assert.equal(first.usage.includes('peakMemory'), true)
      assert.deepEqual(delegation.left(), [])
    } finally {
      delegation.remove()
    }
  })

  test(`${caller.name}: what fill looked at is as it was, or is looked at again`, () => {
    const cache = newDirectory(caller)
    const directory = newDirectory(caller)
    const [first, second, other] = ['first', 'second', 'other'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    const program = join(directory, 'program')
    const script = (interpreter: string) => {
      writeFileSync(program, `#!${interpreter}\necho as before\n`, { mode: 0o755 })
    }
    // Copies of what /bin/sh leads to, never the links: their modes change below.
    for (const copy of [first, second, other]) {
      writeFileSync(copy, readFileSync('/bin/sh'), { mode: 0o755 })
      chmodSync(copy, 0o755)
    }
    // What changed within two seconds is not remembered: an hour later is a Node.js whose clock is ahead.
    const later = join(directory, 'later.cjs')
    writeFileSync(later, 'const now = Date.now; Date.now = () => now() + 3_600_000')
    const ahead = { env: { NODE_OPTIONS: `--require ${later}` } }
    const run = () => runIn(cache, ahead)('--fill', program, '--ro', directory, '--', program).stdout
    const isCompiled = (how: string) => {
      assert.equal(run(), 'as before\n', how)
      assert.equal(run(), 'as before\n', how)
      mark(onlyOne(cache))
      assert.equal(run(), remembered, how)
    }
    script(first)
    assert.equal(runIn(cache)('--fill', program, '--ro', directory, '--', program).stdout, 'as before\n')
    assert.throws(() => stored(cache), { code: 'ENOENT' })
    isCompiled('as it is')
    script(second)
    isCompiled('the program was changed')
    renameSync(other, second)
    isCompiled('its interpreter was changed')
    rmSync(program)
    symlinkSync('script', program)
    writeFileSync(join(directory, 'script'), `#!${second}\necho as before\n`, { mode: 0o755 })
    isCompiled('it is a link now')
    // What it would show is closed to others by now.
    chmodSync(second, 0o700)
    assert.match(
      runIn(cache, ahead)('--fill', program, '--ro', directory, '--', program).stderr,
      /^vial: --fill \S+: .*second/,
    )
  })

  test(`${caller.name}: whatever says which program fill means is looked at again`, () => {
    const directory = newDirectory(caller)
    const at = (...names: string[]) => join(directory, ...names)
    const directoryOf = (path: string) => path.slice(0, path.lastIndexOf('/'))
    const program = (path: string, says: string) => {
      mkdirSync(directoryOf(path), { recursive: true })
      writeFileSync(path, `#!/bin/sh\necho ${says}\n`, { mode: 0o755 })
    }
    const settings = (home: string, toolchain: string) =>
      writeFileSync(at(home, 'settings.toml'), `default_toolchain = "${toolchain}"\n`)
    writeFileSync(at('later.cjs'), 'const now = Date.now; Date.now = () => now() + 3_600_000')
    const policy = (name: string, fill: object) =>
      // In place of a tmpfs, which would hide what fill shows of this directory.
      writeFileSync(at(name), JSON.stringify({ fill, filesystem: [{ directory: '/tmp' }], cwd: '/' }))
    program(at('second/tool'), 'second')
    policy('path.json', { program: 'tool', path: `${at('first')}:${at('second')}` })
    for (const version of ['1', '2']) program(at('env/versions', version, 'bin/tool'), `version ${version}`)
    program(at('env/shims/tool'), 'shim')
    writeFileSync(at('env/version'), '1\n')
    policy('version.json', { program: 'tool', path: at('env/shims') })
    // rustup is one file under the names of all tools.
    program(at('cargo/bin/rustup'), 'rustup')
    linkSync(at('cargo/bin/rustup'), at('cargo/bin/tool'))
    for (const home of ['home1', 'home2']) {
      program(at(home, 'toolchains/stable/bin/tool'), home)
      settings(home, 'stable')
    }
    program(at('home2/toolchains/beta/bin/tool'), 'beta')
    policy('variable.json', { program: 'tool', path: at('cargo/bin') })
    const cases: [name: string, means: string, change: () => void][] = [
      ['path.json', 'second', () => {}],
      ['path.json', 'first', () => program(at('first/tool'), 'first')],
      ['path.json', 'second', () => chmodSync(at('first/tool'), 0o644)],
      ['path.json', 'first', () => chmodSync(at('first/tool'), 0o755)],
      ['version.json', 'version 1', () => {}],
      ['version.json', 'version 2', () => writeFileSync(at('env/version'), '2\n')],
      ['variable.json', 'home1', () => {}],
      ['variable.json', 'home2', () => (home = 'home2')],
      ['variable.json', 'beta', () => settings('home2', 'beta')],
    ]
    let home = 'home1'
    const caches = new Map<string, string>()
    for (const [name, means, change] of cases) {
      change()
      const cache = caches.get(name) ?? newDirectory(caller)
      caches.set(name, cache)
      const env = { NODE_OPTIONS: `--require ${at('later.cjs')}`, RUSTUP_HOME: at(home) }
      const search = JSON.parse(readFileSync(at(name), 'utf8')).fill.path.split(':')
      const found = means === 'second' ? 'second/tool' : means === 'first' ? 'first/tool' : undefined
      const run = () => runIn(cache, { env })('--policy', at(name), '--', found ? at(found) : join(search[0], 'tool'))
      assert.equal(run().stdout, `${means}\n`, `${name}: ${run().stderr}`)
      assert.equal(run().stdout, `${means}\n`)
      mark(onlyOne(cache))
      assert.equal(run().stdout, remembered, `${name}: ${means}`)
    }
  })

  test(`${caller.name}: a file that others could have written, or that is not the whole, is not executed`, () => {
    const cache = newDirectory(caller)
    const run = runIn(cache)
    const echo = () => run('--', 'echo', 'compiled').stdout
    const path = () => onlyOne(cache)
    const spoil: Record<string, () => void> = {
      'may be written': () => chmodSync(path(), 0o700),
      'may be read by all': () => chmodSync(path(), 0o555),
      'has another name': () => linkSync(path(), join(cache, 'other')),
      'is a link': () => {
        renameSync(path(), join(cache, 'real'))
        symlinkSync('../real', join(cache, 'run', 'x'))
        renameSync(join(cache, 'run', 'x'), join(cache, 'run', name))
      },
      'is cut short': () => {
        chmodSync(path(), 0o700)
        truncateSync(path(), 20)
        chmodSync(path(), 0o500)
      },
    }
    assert.equal(echo(), 'compiled\n')
    const [name = ''] = stored(cache)
    for (const [what, how] of Object.entries(spoil)) {
      mark(path())
      assert.equal(echo(), remembered)
      how()
      assert.equal(echo(), 'compiled\n', what)
      for (const other of ['other', 'real']) rmSync(join(cache, other), { force: true })
    }
    mark(path())
    chmodSync(join(cache, 'run'), 0o777)
    assert.equal(echo(), 'compiled\n')
    chmodSync(join(cache, 'run'), 0o700)
    assert.equal(echo(), remembered)
    assert.equal(vial(caller, ['cache', 'clear'], { env: { VIAL_CACHE: cache } }).status, 0)
    assert.deepEqual(stored(cache), [])
    assert.equal(echo(), 'compiled\n')
  })
}

/** The host is changed in a mount namespace of its own. */
test('a change of the host is another vial', { skip: notRoot }, () => {
  const caller = callers.at(-1)!
  const cache = newDirectory(caller)
  const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
  const run = (change: string, command: string) => {
    const script = `mount -t tmpfs none /mnt; cp -a /etc /mnt/etc; mount --bind /mnt/etc /etc; ${change}; exec "$0" "$1" run -- sh -c '${command}'`
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, process.execPath, main], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), VIAL_CACHE: cache },
    })
    return stdout + stderr
  }
  const show = 'cat /etc/timezone /etc/javatest/a 2>/dev/null; readlink /etc/localtime; true'
  const before = run(':', show)
  assert.equal(stored(cache).length, 1)
  assert.equal(run(':', show), before)
  assert.equal(stored(cache).length, 1)
  // A new file that the preset shows; a link that leads elsewhere; one that is gone.
  assert.equal(run('mkdir /etc/javatest; echo new > /etc/javatest/a', show).includes('new\n'), true)
  assert.equal(stored(cache).length, 2)
  assert.match(run('ln -sf /usr/share/zoneinfo/Etc/GMT+7 /etc/localtime', show), /GMT\+7\n$/)
  assert.equal(stored(cache).length, 3)
  assert.equal(run('rm -f /etc/localtime', show).includes('zoneinfo'), false)
  assert.equal(stored(cache).length, 4)
  // What the file holds is looked at by the run.
  run('echo one > /etc/services', 'cat /etc/services')
  assert.equal(run('echo two > /etc/services', 'cat /etc/services'), 'two\n')
})

test("so are other names of hosts, where the network is the host's by whichever key", { skip: notRoot }, () => {
  const caller = callers.at(-1)!
  const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
  const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
  for (const [name, policy] of Object.entries({ one: { network: 'host' }, other: { namespaces: { net: 'host' } } })) {
    const file = join(directory, `${name}.json`)
    writeFileSync(file, JSON.stringify({ preset: 'system', ...policy }))
    const run = (host: string) => {
      const script = `mount -t tmpfs none /mnt; cp -a /etc /mnt/etc; mount --bind /mnt/etc /etc; echo 192.0.2.1 ${host} > /etc/hosts; exec "$0" "$@"`
      const words = [process.execPath, main, 'run', '--policy', file, '--', 'tail', '-n', '1', '/etc/hosts']
      return spawnSync('unshare', ['-m', 'sh', '-c', script, ...words], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), VIAL_CACHE: cache },
      }).stdout
    }
    for (const host of ['before', 'after']) assert.equal(run(host), `192.0.2.1 ${host}\n`, name)
  }
})

test('another build is another vial', () => {
  const caller = callers.at(-1)!
  const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
  const top = resolve(fileURLToPath(import.meta.url), '../../../..')
  mkdirSync(join(directory, 'dist/src/cli'), { recursive: true })
  cpSync(join(top, 'package.json'), join(directory, 'package.json'))
  for (const name of ['main.cjs', 'start.cjs', 'bundle'])
    cpSync(join(top, 'dist/src/cli', name), join(directory, 'dist/src/cli', name), { recursive: true })
  const run = () =>
    spawnSync(process.execPath, [join(directory, 'dist/src/cli/main.cjs'), 'run', '--', 'echo', 'hi'], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), VIAL_CACHE: cache },
    }).stdout
  assert.equal(run(), 'hi\n')
  assert.equal(run(), 'hi\n')
  assert.equal(stored(cache).length, 1)
  for (const name of ['vial.cjs', 'later.cjs']) {
    const bundle = join(directory, 'dist/src/cli/bundle', name)
    const source = readFileSync(bundle, 'latin1')
    const build = source.slice(2, 34)
    writeFileSync(bundle, source.replaceAll(build, '0'.repeat(32)))
  }
  assert.equal(run(), 'hi\n')
  assert.equal(stored(cache).length, 2)
})
