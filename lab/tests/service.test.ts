/** docs/services.md and examples/service under a booted systemd, and which settings of a unit a vial can live with. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { get, type RequestOptions } from 'node:http'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertGone, eventually } from '../../test/support/processes.js'
import { unitSettings } from '../unitSettings.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const sh = (line: string) => spawnSync('bash', ['-euc', line], { encoding: 'utf8', cwd: top })
const run = (line: string) => {
  const { status, stdout, stderr } = sh(line)
  assert.equal(status, 0, `${line}: ${stdout}${stderr}`)
  return stdout.trim()
}
const ask = (options: RequestOptions) =>
  new Promise<string>((done, failed) => {
    get(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part) => {
        text += part
      })
      response.on('end', () => done(text))
    }).on('error', failed)
  })
const show = (unit: string, property: string) => run(`systemctl show --value -p ${property} ${unit}`)
/** The process whose words these are, of the unit. */
const payloadOf = (unit: string) => {
  const group = show(unit, 'ControlGroup')
  const pids = readFileSync(`/sys/fs/cgroup${group}/cgroup.procs`, 'utf8').trim().split('\n')
  return pids.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('python3'))!
}

writeFileSync('/usr/local/bin/vial', `#!/bin/sh\nexec node ${top}/dist/src/cli/main.cjs "$@"\n`, { mode: 0o755 })
run('mkdir -p /opt/hello && cd /opt/hello && vial compile --preset system -o plain.vial')
run(
  `cd /opt/hello && echo '{ "preset": "system", "namespaces": { "user": "host" } }' > root.json && vial compile root.json -o root.vial`,
)
const page = readFileSync(`${top}/docs/services.md`, 'utf8')

describe('the units of examples/service', () => {
  test('are installed as docs/services.md says', () => {
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text!)
    const install = blocks.find((text) => text.includes('daemon-reload'))!
    run(install.replaceAll('sudo ', ''))
  })

  test('hello.service is up when it says so, on a socket in a shown directory', async () => {
    assert.equal(show('hello', 'ActiveState'), 'active')
    const answer = await ask({ socketPath: '/run/hello/socket', path: '/' })
    assert.equal(answer, 'hello, visit 1 of process 2, uid 1000\n')
    assert.equal(await ask({ socketPath: '/run/hello/socket', path: '/secrets' }), 'No such file or directory\n')
  })

  test('its limits are in force around the sandbox', () => {
    const group = show('hello', 'ControlGroup')
    assert.equal(readFileSync(`/sys/fs/cgroup${group}/memory.max`, 'utf8'), `${256 * 2 ** 20}\n`)
    // The monitor, pid 1 and the payload.
    assert.equal(readFileSync(`/sys/fs/cgroup${group}/cgroup.procs`, 'utf8').trim().split('\n').length, 3)
  })

  test('it is started again after a crash', async () => {
    await ask({ socketPath: '/run/hello/socket', path: '/crash' }).catch(() => {})
    await eventually(
      () => show('hello', 'NRestarts'),
      (count) => count === '1',
    )
    run('systemctl start hello')
    assert.match(await ask({ socketPath: '/run/hello/socket', path: '/' }), /visit 1 /)
  })

  test('systemctl stop: its payload is told by SIGTERM, and nothing is left', async () => {
    run('systemctl stop hello')
    assert.deepEqual([show('hello', 'Result'), show('hello', 'ExecMainStatus')], ['success', '0'])
    await assertGone('/run/hello/socket')
    const log = run('journalctl --sync; journalctl -u hello -o cat')
    assert.match(log, /^ready$[\s\S]*^stopping: SIGTERM$/m)
  })

  test('hello-tcp: systemd listens, and the first connection starts it', async () => {
    run('systemctl start hello-tcp.socket')
    assert.equal(show('hello-tcp', 'ActiveState'), 'inactive')
    assert.equal(await ask({ host: '127.0.0.1', port: 80, path: '/' }), 'hello, visit 1 of process 2, uid 1000\n')
    const pid = payloadOf('hello-tcp')
    assert.doesNotMatch(readFileSync(`/proc/${pid}/net/dev`, 'utf8'), /eth|ens|enp/)
    assert.notEqual(run(`readlink /proc/${pid}/ns/net`), run('readlink /proc/1/ns/net'))
    run('systemctl stop hello-tcp.socket hello-tcp.service')
    assert.equal(show('hello-tcp', 'Result'), 'success')
  })

  test('hello-80: port 80 by nobody, with one capability', async () => {
    run('systemctl start hello-80')
    assert.match(await ask({ host: '127.0.0.1', port: 80, path: '/' }), /uid 65534\n$/)
    const status = readFileSync(`/proc/${payloadOf('hello-80')}/status`, 'utf8')
    assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m)
    for (const set of ['Prm', 'Eff', 'Bnd']) assert.match(status, new RegExp(`^Cap${set}:\\t0{13}400$`, 'm'))
    run('systemctl stop hello-80')
    assert.equal(show('hello-80', 'Result'), 'success')
  })

  test('what systemd makes for a DynamicUser= is shown like any directory', () => {
    writeFileSync(
      '/opt/hello/state.json',
      JSON.stringify({
        preset: 'system',
        filesystem: [
          { bind: '/var/lib/state', writable: true },
          { bind: '/run/credentials' },
          { bind: '/dev/log', from: '/run/systemd/journal/dev-log' },
        ],
        env: { inherit: ['CREDENTIALS_DIRECTORY'] },
      }),
    )
    run('cd /opt/hello && vial compile state.json -o state.vial && echo "a word" > word')
    const told = run(
      `systemd-run --quiet --pipe --wait --collect --unit state -p DynamicUser=yes -p StateDirectory=state -p LoadCredential=key:/opt/hello/word \
        /opt/hello/state.vial sh -c 'cat $CREDENTIALS_DIRECTORY/key; echo kept > /var/lib/state/file; logger -t inside by syslog'`,
    )
    assert.equal(told, 'a word')
    assert.equal(run('cat /var/lib/private/state/file'), 'kept')
    assert.match(run('journalctl --sync; journalctl -t inside -o cat'), /^by syslog$/m)
  })

  test('a socket may be standard input', async () => {
    writeFileSync(
      '/opt/hello/once.py',
      [
        'import socket',
        'one, _ = socket.socket(fileno=0).accept()',
        'one.recv(1000)',
        'one.send(b"HTTP/1.0 200 OK\\r\\n\\r\\nby 0")',
      ].join('\n'),
    )
    writeFileSync('/run/systemd/system/in.socket', '[Socket]\nListenStream=/run/in\n')
    writeFileSync(
      '/run/systemd/system/in.service',
      '[Service]\nStandardInput=socket\nStandardOutput=journal\nExecStart=/opt/hello/hello-tcp.vial python3 once.py\n',
    )
    run('systemctl daemon-reload && systemctl start in.socket')
    assert.equal(await ask({ socketPath: '/run/in', path: '/' }), 'by 0')
  })

  test('a payload that takes too much memory is ended by MemoryMax=', () => {
    const { status } = sh(
      'systemd-run --quiet --wait --unit greedy -p MemoryMax=32M /opt/hello/plain.vial tail /dev/zero',
    )
    assert.notEqual(status, 0)
    assert.equal(show('greedy', 'Result'), 'oom-kill')
  })
})

describe('settings of a unit', () => {
  const attempt = (setting: string, user: string, vial: string) => {
    const as = setting.includes('User=') ? '' : `-p User=${user}`
    return sh(`systemd-run --quiet --pipe --wait --collect ${as} -p '${setting}' /opt/hello/${vial} echo up`)
  }
  const check = (expected: 'works' | RegExp, { status, stdout, stderr }: ReturnType<typeof sh>) => {
    if (expected === 'works') assert.deepEqual([status, stdout], [0, 'up\n'], stderr)
    else assert.match(stderr === '' ? String(status) : stderr, expected)
  }
  for (const { setting, rootless, rootMode } of unitSettings)
    test(setting, () => {
      check(rootless, attempt(setting, 'ordinary', 'plain.vial'))
      if (rootMode !== undefined) check(rootMode, attempt(setting, 'root', 'root.vial'))
    })
})
