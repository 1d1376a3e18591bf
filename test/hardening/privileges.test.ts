import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { checkPolicy, type Policy, PolicyError } from '../../src/index.js'
import { notInstalled } from '../support/needs.js'
import { runAs, user, vial, workDirectory } from '../support/user.js'
import { attempts, modes } from './attempts.js'

const zero: Policy['identity'] = { uid: 0, gid: 0 }
const status = `{line.split(':')[0]: line.split(':')[1].strip() for line in open('/proc/self/status')}`
const field = (name: string) => `${status}['${name}']`

for (const mode of modes) {
  const { caller, policy } = mode
  const rootMode = policy.namespaces?.user === 'host'

  describe(`privileges, by ${mode.name}`, { skip: notInstalled('python3') }, () => {
    test('all five sets are empty, for uid 0 too and after an execve', () => {
      for (const identity of [policy.identity, zero]) {
        const one = { ...policy, ...(identity === undefined ? {} : { identity }) }
        const { stdout } = runAs(caller, one, 'sh', ['-c', 'cat /proc/self/status; exec cat /proc/self/status'])
        for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
          assert.equal(stdout.match(new RegExp(`^Cap${set}:\\s+0{16}$`, 'gm'))?.length, 2, set)
        assert.match(stdout, /^NoNewPrivs:\s+1$/m)
      }
    })

    test('uid 0 is a user like others, and its bits are locked', () => {
      const bits = { get: 'prctl(27, 0, 0, 0, 0)', clear: 'prctl(28, 0, 0, 0, 0)', keep: 'prctl(8, 1, 0, 0, 0)' }
      // NOROOT and its lock, KEEP_CAPS_LOCKED, NO_CAP_AMBIENT_RAISE and its lock.
      assert.deepEqual(attempts(caller, policy, bits), { get: 0b11100011, clear: -1, keep: -1 })
      const kept: Policy = { ...policy, identity: zero, capabilities: ['CAP_SETPCAP'] }
      assert.deepEqual(attempts(caller, kept, bits), { get: 0b00100011, clear: -1, keep: -1 })
    })

    test('what is kept is all there is, for uid 0 too', () => {
      const kept: Policy = { ...policy, capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_CHOWN'], identity: zero }
      const lines = Object.fromEntries(['CapPrm', 'CapEff', 'CapBnd', 'CapInh'].map((set) => [set, field(set)]))
      for (const value of Object.values(attempts(caller, kept, lines))) assert.equal(value, '0000000000000401')
    })

    test('no supplementary group is left, where the caller may drop them', {
      skip: caller.uid !== 0 && 'only root may drop them',
    }, () => {
      const { stdout } = spawnSync(
        'setpriv',
        [
          '--groups',
          '4,27',
          process.execPath,
          join(import.meta.dirname, '../../src/cli/main.cjs'),
          'run',
          ...(rootMode ? ['--root'] : []),
          '--',
          'cat',
          '/proc/self/status',
        ],
        { encoding: 'utf8' },
      )
      assert.match(stdout, /^Groups:\s*$/m)
    })

    test("the caller's keys stay outside", () => {
      // A session keyring of the caller's with a key in it, and then a sandbox.
      const lines = { read: "call('keyctl', 11, -3, 0, 0)", id: "call('keyctl', 0, -3, 0)" }
      assert.equal(attempts(caller, policy, lines).read, 0)
      const script = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
keyctl, add = (250, 248) if os.uname().machine == 'x86_64' else (219, 217)
libc.syscall(keyctl, 1, 0, 0, 0, 0)
print(libc.syscall(add, b'user', b'vial-test', b'secret', 6, -3), flush=True)
os.execvp(sys.argv[1], sys.argv[1:])`
      const inside = `import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(250 if os.uname().machine == 'x86_64' else 219, 10, -3, b'user', b'vial-test', 0))`
      const words = ['run', ...(rootMode ? ['--root'] : []), '--', 'python3', '-c', inside]
      const { stdout } = spawnSync(
        '/usr/bin/python3',
        ['-c', script, process.execPath, join(import.meta.dirname, '../../src/cli/main.cjs'), ...words],
        {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home') },
          uid: caller.uid,
          gid: caller.gid,
        },
      )
      const [key, found] = stdout.trim().split('\n').map(Number)
      assert.ok(key! > 0, stdout)
      assert.equal(found, -1)
    })

    test('a crash leaves no file', () => {
      const directory = workDirectory(caller, `crash-${rootMode}`)
      const answer = runAs(
        caller,
        { ...policy, filesystem: [{ bind: '/data', from: directory, writable: true }] },
        'sh',
        ['-c', 'cd /data; ulimit -c; ulimit -Hc; kill -SEGV $$'],
      )
      assert.deepEqual([answer.stdout, answer.signal], ['0\n0\n', 'SIGSEGV'])
      assert.deepEqual(readdirSync(directory), [])
    })

    test('the limit of a dump is the one that no handler is called for, and stays', () => {
      // That it is not called shows lab/tests/attacks.test.ts, where core_pattern may be changed.
      const lines = {
        lower: 'resource.setrlimit(resource.RLIMIT_CORE, (0, 0))',
        direct: "libc.syscall(160 if X64 else 164, 4, struct.pack('2Q', 0, 0))",
        both: 'resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))',
        other: 'resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))',
        now: 'list(resource.getrlimit(resource.RLIMIT_CORE))',
        files: 'list(resource.getrlimit(resource.RLIMIT_NOFILE))',
      }
      assert.deepEqual(attempts(caller, { ...policy, seccomp: 'default' }, lines), {
        lower: 'done',
        direct: 0,
        both: 'EPERM',
        other: 'done',
        now: [1, 1],
        files: [99, 99],
      })
      // Without the filter it goes.
      assert.deepEqual(attempts(caller, policy, lines).now, [0, 0])
      const chosen: Policy = { ...policy, seccomp: 'default', rlimits: { core: 0 } }
      assert.deepEqual(attempts(caller, chosen, lines).now, [0, 0])
      // A caller who may have none has a sandbox all the same.
      const main = join(import.meta.dirname, '../../src/cli/main.cjs')
      const { stdout, stderr } = spawnSync(
        'sh',
        [
          '-c',
          'ulimit -c 0; exec "$@"',
          'sh',
          process.execPath,
          main,
          'run',
          '--',
          'sh',
          '-c',
          'grep core /proc/self/limits',
        ],
        {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home') },
          ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
        },
      )
      assert.match(stdout, /core file size\s+0\s+0\s/, stderr)
    })

    test('disableUserns stops every further user namespace', () => {
      const lines = {
        here: 'inChild(lambda: unshare(NEWUSER))',
        raise: "os.write(os.open('/proc/sys/user/max_user_namespaces', os.O_WRONLY), b'9')",
      }
      assert.equal(attempts(caller, policy, lines).here, 'done')
      const disabled: Policy = { ...policy, disableUserns: true }
      if (rootMode) {
        assert.throws(() => checkPolicy(disabled), PolicyError)
        return
      }
      for (const identity of [{}, { identity: zero }]) {
        const { here, raise } = attempts(caller, { ...disabled, ...identity }, lines)
        assert.equal(here, 'ENOSPC')
        assert.ok(['EACCES', 'EROFS', 'EPERM'].includes(String(raise)), String(raise))
      }
      assert.throws(() => checkPolicy({ disableUserns: true, capabilities: ['CAP_SYS_RESOURCE'] }), /disableUserns/)
      const many: Policy = {
        ...disabled,
        landlock: 'off',
        capabilities: ['CAP_SETUID', 'CAP_SYS_CHROOT', 'CAP_DAC_OVERRIDE'],
      }
      const { here, raise } = attempts(caller, many, lines)
      assert.deepEqual([here, ['EACCES', 'EROFS', 'EPERM'].includes(String(raise))], ['ENOSPC', true])
    })
  })
}

test('a directory as a standard stream is refused', () => {
  const directory = openSync('/', 'r')
  try {
    const main = join(import.meta.dirname, '../../src/cli/main.cjs')
    const { stderr, status } = spawnSync(process.execPath, [main, 'run', '--', 'ls', '/proc/self/fd/0/root'], {
      stdio: [directory, 'pipe', 'pipe'],
      encoding: 'utf8',
    })
    assert.equal(status, 125)
    assert.match(stderr, /cannot hand on the standard streams: Is a directory/)
  } finally {
    closeSync(directory)
  }
})

test('a sandbox in a sandbox in a sandbox', () => {
  const caller = user
  const directory = workDirectory(caller, 'nested')
  const compile = (name: string, from: string, landlock: Policy['landlock']) => {
    // Of a filter that lets it be tried, Landlock is what is left to refuse it.
    const seccomp = name === 'inner' ? 'default' : landlock === 'off' ? 'nested' : 'none'
    const policy: Policy = { preset: 'system', seccomp, landlock, filesystem: [{ bind: '/vials', from }] }
    writeFileSync(join(directory, 'policy.json'), JSON.stringify(policy))
    const { status, stderr } = vial(caller, ['compile', join(directory, 'policy.json'), '-o', join(directory, name)])
    assert.equal(status, 0, stderr)
  }
  compile('outer', directory, 'off')
  compile('middle', '/vials', 'off')
  compile('inner', '/vials', 'on')
  const nested = (policyOf: string[]) =>
    spawnSync(
      join(directory, 'outer'),
      [...policyOf, 'sh', '-c', 'cat /proc/self/status /proc/self/uid_map; echo $PPID; ls /vials'],
      {
        encoding: 'utf8',
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      },
    )
  const { stdout, stderr, status } = nested(['/vials/middle', '/vials/inner'])
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^PPid:\s+2$/m)
  assert.match(stdout, /^CapBnd:\s+0{16}$/m)
  assert.match(stdout, /^\s+1000\s+1000\s+1$/m)
  // The same with Landlock is refused, and says why.
  compile('outer', directory, 'on')
  const refused = nested(['/vials/middle'])
  assert.equal(refused.status, 125)
  assert.match(refused.stderr, /cannot make an empty root.*\n.*seccomp profile nested/)
})
