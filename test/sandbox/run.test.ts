import assert from 'node:assert/strict'
import { chownSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { notInstalled } from '../support/needs.js'
import { callers, runAs, vial, workDirectory } from '../support/user.js'

const system: Policy = { preset: 'system' }

for (const caller of callers) {
  describe(`a sandbox by ${caller.name}`, () => {
    test('runs a program and gives its output, status and usage', () => {
      const answer = runAs(caller, system, 'sh', ['-c', 'echo out; echo err >&2; exit 7'])
      assert.equal(answer.error, undefined)
      assert.deepEqual([answer.exitCode, answer.signal, answer.stdout, answer.stderr], [7, null, 'out\n', 'err\n'])
      assert.ok(answer.usage.maxRss > 0 && answer.usage.minorFaults > 0)
    })

    test('tells a signal from an exit status', () => {
      const answer = runAs(caller, system, 'sh', ['-c', 'kill -USR1 $$'])
      assert.deepEqual([answer.exitCode, answer.signal], [null, 'SIGUSR1'])
    })

    test('makes each namespace anew', () => {
      const names = readdirSync('/proc/self/ns').filter((name) => !name.endsWith('_for_children'))
      const { stdout } = runAs(caller, system, 'sh', [
        '-c',
        `for n in ${names.join(' ')}; do readlink /proc/self/ns/$n; done`,
      ])
      const inside = stdout.trim().split('\n')
      assert.equal(inside.length, names.length)
      names.forEach((name, index) => {
        assert.notEqual(inside[index], readlinkSync(`/proc/self/ns/${name}`), name)
      })
    })

    test('shares the namespaces that the policy shares', () => {
      for (const name of ['net', 'ipc', 'uts', 'cgroup', 'time'] as const) {
        const { stdout, error } = runAs(caller, { ...system, namespaces: { [name]: 'host' } }, 'readlink', [
          `/proc/self/ns/${name}`,
        ])
        assert.equal(error, undefined)
        assert.equal(stdout.trim(), readlinkSync(`/proc/self/ns/${name}`), name)
      }
    })

    test('has no capability, no_new_privs and a chosen identity', () => {
      const { stdout } = runAs(caller, system, 'sh', ['-c', 'id -u; id -g; cat /proc/self/status'])
      assert.match(stdout, /^1000\n1000\n/)
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) assert.match(stdout, new RegExp(`Cap${set}:\\s+0{16}\n`))
      assert.match(stdout, /NoNewPrivs:\s+1\n/)
    })

    test('keeps the capabilities that the policy names', () => {
      const { stdout } = runAs(caller, { ...system, capabilities: ['CAP_NET_BIND_SERVICE'] }, 'cat', [
        '/proc/self/status',
      ])
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
        assert.match(stdout, new RegExp(`Cap${set}:\\s+0{13}400\n`), set)
    })

    test('shows the host name, the time offset and pid 1 of its own', () => {
      const policy: Policy = { ...system, hostname: 'elsewhere', namespaces: { time: { boottime: 1_000_000 } } }
      const { stdout } = runAs(caller, policy, 'sh', ['-c', 'uname -n; cut -d. -f1 /proc/uptime; echo $$'])
      const [name, uptime, pid] = stdout.trim().split('\n')
      assert.equal(name, 'elsewhere')
      assert.ok(Number(uptime) >= 1_000_000)
      assert.equal(pid, '2')
    })

    test("pid 1 does not tell where the caller's vials are", () => {
      const { stdout } = runAs(caller, system, 'cat', ['/proc/1/cmdline'])
      assert.equal(stdout, ['vial', 'cat', '/proc/1/cmdline', ''].join('\0'))
    })

    test('an empty policy is an empty root', () => {
      const directory = workDirectory(caller, 'none')
      const answer = runAs(caller, {}, '/bin/sh', ['-c', ':'], { cwd: directory })
      assert.match(answer.error ?? '', /cannot run \/bin\/sh: No such file or directory/)
      assert.equal(answer.code, 'ENOENT')
    })

    test('binds are read-only unless writable', () => {
      const directory = workDirectory(caller, 'data')
      writeFileSync(join(directory, 'file'), 'content')
      const readonly = runAs(caller, { ...system, filesystem: [{ bind: '/data', from: directory }] }, 'sh', [
        '-c',
        'cat /data/file; echo x > /data/new',
      ])
      assert.equal(readonly.stdout, 'content')
      assert.match(readonly.stderr, /Read-only file system/)
      const writable = runAs(
        caller,
        { ...system, identity: { uid: 0, gid: 0 }, filesystem: [{ bind: '/data', from: directory, writable: true }] },
        'sh',
        ['-c', 'echo x > /data/new'],
      )
      assert.equal(writable.exitCode, 0, writable.stderr)
    })

    test('every kind of entry', () => {
      const directory = workDirectory(caller, 'lower')
      writeFileSync(join(directory, 'layer'), 'lower')
      chownSync(join(directory, 'layer'), caller.uid, caller.gid)
      const policy: Policy = {
        ...system,
        filesystem: [
          { tmpfs: '/scratch', size: '1M' },
          { directory: '/a/b', mode: '0700' },
          { symlink: '/link', to: 'a/b' },
          { file: '/a/file', content: 'text', mode: 0o640 },
          { mqueue: '/dev/mqueue' },
          { overlay: '/over', lower: [directory], upper: 'tmpfs' },
          { bind: '/absent', from: '/no/such/source', optional: true },
        ],
      }
      const { stdout, error, stderr } = runAs(caller, policy, 'sh', [
        '-c',
        'stat -c %a /a/b /a/file; readlink /link; cat /a/file /over/layer; echo > /over/layer && echo > /over/new && ls /over; stat -f -c %T /scratch /dev/mqueue; ls -d /absent',
      ])
      assert.equal(error, undefined)
      assert.equal(stdout, '700\n640\na/b\ntextlowerlayer\nnew\ntmpfs\nmqueue\n', stderr)
    })

    test('a file mounted over another, a mode, and what is there already', () => {
      const directory = workDirectory(caller, 'covered')
      writeFileSync(join(directory, 'file'), 'below')
      const policy: Policy = {
        ...system,
        filesystem: [
          { bind: '/data', from: directory },
          { file: '/data/file', content: 'above', mode: 0o600, mount: 'readonly' },
          { directory: '/a', mode: 0o711 },
          { directory: '/a', mode: 0o700 },
          { symlink: '/link', to: 'a' },
          { symlink: '/link', to: 'a' },
          { directory: '/b' },
          { chmod: '/b', mode: 0o750 },
        ],
      }
      const { stdout, error } = runAs(caller, policy, 'sh', [
        '-c',
        'cat /data/file; (echo x > /data/file) 2>/dev/null || echo; stat -c %a /data/file /a /b; readlink /link',
      ])
      assert.equal(error, undefined)
      assert.equal(stdout, 'above\n600\n711\n750\na\n')
    })

    test('the environment is clean, with patterns for what is handed on', () => {
      const policy: Policy = { ...system, env: { set: { A: '1' }, inherit: ['LC_*', 'B'] } }
      const { stdout } = runAs(caller, policy, 'env', [], {
        env: { LC_ALL: 'C', B: '2', BB: '3', SECRET: 'x', A: '9' },
      })
      const variables = stdout.trim().split('\n').sort()
      assert.deepEqual(
        variables.filter((one) => /^(A|B|BB|LC_ALL|SECRET)=/.test(one)),
        ['A=1', 'B=2', 'LC_ALL=C'],
      )
      assert.ok(variables.every((one) => !one.startsWith('SECRET')))
    })

    test('the command line runs python3 with its standard library', { skip: notInstalled('python3') }, () => {
      const { stdout, stderr, status } = vial(caller, [
        'run',
        '--',
        'python3',
        '-c',
        'import json, ssl, sqlite3; print("hello from a vial")',
      ])
      assert.deepEqual([stdout, status], ['hello from a vial\n', 0], stderr)
    })

    test('the command line says which flag would show a file', { skip: notInstalled('python3') }, () => {
      const directory = workDirectory(caller, 'project')
      writeFileSync(join(directory, 'code.py'), 'print(1)')
      const hidden = vial(caller, ['run', '--', 'python3', 'code.py'], { cwd: directory })
      assert.notEqual(hidden.status, 0)
      assert.match(hidden.stderr, /code\.py exists, but .* add --ro \. /)
      const shown = vial(caller, ['run', '--ro', '.', '--', 'python3', 'code.py'], { cwd: directory })
      assert.deepEqual([shown.stdout, shown.status], ['1\n', 0], shown.stderr)
    })

    test('a missing command and a missing source are told apart', () => {
      const missing = vial(caller, ['run', '--', 'no-such-program'])
      assert.equal(missing.status, 127)
      const source = vial(caller, ['run', '--ro', '/no/such', '--', 'true'])
      assert.equal(source.status, 125)
      assert.match(source.stderr, /--ro \/no\/such: \/no does not exist/)
    })
  })
}
