/** A named sandbox whose network is by name: it is kept by a process of its own, and changed and looked at by others. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer as createWebServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { cacheDirectory } from '../../src/cache/cacheDirectory.js'
import { notInstalled } from '../support/needs.js'
import { childrenOf, eventually, processesWith, uniqueSeconds } from '../support/processes.js'
import { shareOf } from '../support/share.js'
import { commander, monitorOf } from './commander.js'

/** Servers of this host, each of which says its word. */
async function serving(t: TestContext, ...words: readonly string[]): Promise<readonly number[]> {
  return Promise.all(
    words.map(async (word) => {
      const server = createServer((socket) => socket.on('error', () => {}).end(`${word}\n`))
      t.after(() => server.close())
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return (server.address() as AddressInfo).port
    }),
  )
}

const answerOf = (port: number) =>
  new Promise<string>((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.on('data', (bytes) => {
      text += bytes
    })
    socket.on('close', () => resolve(text))
  })

const reading = (port: number) => `exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`

describe('a named sandbox with a network by name', { skip: notInstalled('bash', 'python3') }, () => {
  test('goes on without its starter, is changed and told of by others, and leaves nothing', async (t) => {
    const { call, home } = commander(t)
    const [one, two] = await serving(t, 'one', 'two')
    const log = join(home, '..', 'log.json')
    const started = await call(
      ...['start', '--name', 'web', '--allow', `127.0.0.1:${one}`, '--allow', 'a.example.com:80'],
      ...['--publish', '0:8080', '--network-log', log],
    )
    assert.equal(started.status, 0, started.err)
    assert.match(started.err, /^web runs: enter it with "vial exec web COMMAND"/)
    const enter = async (script: string) => (await call('exec', 'web', '--', 'bash', '-c', script)).out
    assert.equal(await enter(reading(one!)), 'one\n')
    assert.equal(await enter(reading(two!)), '')
    assert.deepEqual(await call('network', '--allow', `127.0.0.1:${two}`, 'web'), { status: 0, out: '', err: '' })
    assert.equal(await enter(reading(two!)), 'two\n')
    assert.equal((await call('network', '--deny', `127.0.0.1:${one}`, 'web')).status, 0)
    assert.equal(await enter(reading(one!)), '')
    assert.match((await call('network', '--allow', 'nonsense', 'web')).err, /must be HOST:PORT/)
    const { ports, allowed, refused } = JSON.parse((await call('network', '--json', 'web')).out)
    assert.deepEqual([ports.length, allowed, refused.length], [1, 2, 1])
    assert.match((await call('network', 'web')).out, /^2 allowed, .*\npublished at \d+\nREFUSED +TIMES +WHY/)

    const program = "import socket; s = socket.create_server(('127.0.0.1', 8080)); s.accept()[0].sendall(b'inside')"
    const served = call('exec', 'web', 'python3', '-c', program)
    let said = ''
    // Until the server inside listens, connections are reset.
    while (said === '') said = await answerOf(ports[0])
    assert.equal(said, 'inside')
    assert.equal((await served).status, 0)
    const events = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).verdict)
    assert.ok(events.includes('allowed') && events.includes('refused'), events.join())

    const keepers = () => processesWith(`--network-log\0${log}`)
    assert.equal(keepers().length, 1)
    assert.equal((await call('stop', 'web')).status, 0)
    await eventually(keepers, (pids) => pids.length === 0)
    assert.equal((await call('network', 'web')).status, 125)
    assert.equal((await call('rm', 'web')).status, 0)
  })

  test('whose keeper is killed reaches nothing any more, and that is told', async (t) => {
    const { call, home } = commander(t)
    const [one] = await serving(t, 'one')
    const log = join(home, '..', 'log.json')
    await call('start', '--name', 'web', '--allow', `127.0.0.1:${one}`, '--network-log', log)
    const [keeper] = processesWith(`--network-log\0${log}`)
    process.kill(keeper!, 'SIGKILL')
    await eventually(
      () => processesWith(`--network-log\0${log}`),
      (pids) => pids.length === 0,
    )
    const { out, status } = await call('exec', 'web', '--', 'bash', '-c', reading(one!))
    assert.deepEqual([out, status], ['', 1])
    const told = await call('network', 'web')
    assert.equal(told.status, 125)
    assert.match(told.err, /nothing serves the network of the sandbox "web" any more/)
    assert.equal((await call('rm', '-f', 'web')).status, 0)
  })

  test('whose starter is killed runs with its network, or not at all', async (t) => {
    const { call, start } = commander(t)
    const word = uniqueSeconds()
    for (let round = 0; round < shareOf(8); round++) {
      const starter = start('start', '--name', 'web', '--allow', 'a.example.com:80', '--', 'sleep', word)
      await new Promise((resolve) => setTimeout(resolve, 40 + 30 * round))
      starter.kill('SIGKILL')
      await once(starter, 'close')
      // Of one that is being started nothing is left when its keeper has seen the end; one that runs is served.
      const isOver = () => processesWith(word).length === 0
      let state: string | undefined
      do state = JSON.parse((await call('ps', '--json')).out)[0]?.state
      while (state === 'starting' || (state !== 'running' && !isOver()))
      if (state === 'running') assert.equal((await call('network', 'web')).status, 0)
      await call('rm', '-f', 'web')
      await eventually(isOver, (is) => is)
    }
  })

  test('that cannot be started leaves nothing: no process, and no name', async (t) => {
    const { call } = commander(t)
    const [port] = await serving(t, 'taken')
    for (const [flags, says] of [
      [['--publish', `${port}:80`], /cannot publish at 127\.0\.0\.1:\d+: EADDRINUSE/],
      [['--allow', 'a.example.com:80', '--network-log', '-'], /--network-log - needs --foreground/],
      [['--allow', 'a.example.com:80', '--ro', '/nowhere-at-all'], /nowhere-at-all/],
      [['--allow', 'a.example.com:80', '--', 'no-such-command'], /no-such-command/],
    ] as const) {
      const before = childrenOf(1).length
      const { status, err } = await call('start', '--name', 'web', ...flags)
      assert.notEqual(status, 0, err)
      assert.match(err, says)
      assert.equal((await call('ps', '--json')).out, '[]\n')
      await eventually(
        () => childrenOf(1).length,
        (count) => count <= before,
      )
    }
  })

  test('in the foreground tells at the end what was refused', async (t) => {
    const { call } = commander(t)
    const [one] = await serving(t, 'one')
    const script = `${reading(one!)}; exec 3<>/dev/tcp/b.example.com/80`
    const { status, out, err } = await call(
      ...['start', '--foreground', '--name', 'web', '--allow', `127.0.0.1:${one}`, '--', 'bash', '-c', script],
    )
    assert.deepEqual([status, out.split('\n')[0]], [1, 'one'])
    assert.match(err, /the network refused b\.example\.com.*\n.*--allow b\.example\.com:PORT would allow it/)
  })
  for (const foreground of [false, true])
    test(`what its programs sent last goes out behind their end${foreground ? ', in the foreground' : ''}`, async (t) => {
      const { call, start, home } = commander(t)
      // As much as all buffers hold while none reads at the other end.
      const program = `import select, socket
s = socket.create_connection(('127.0.0.1', int('PORT')))
s.setblocking(False)
sent = 0
while select.select([], [s], [], 0.3)[1]: sent += s.send(bytes(65536))
print(sent)`
      let got = 0
      const server = createServer({ pauseOnConnect: true }, (socket) => {
        accept(socket.on('error', () => {}).on('data', (data) => (got += data.length)))
      })
      t.after(() => server.close())
      let accept: (socket: Socket) => void = () => {}
      const accepted = new Promise<Socket>((resolve) => {
        accept = resolve
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const flags = ['--name', 'web', '--allow', `127.0.0.1:${port}`]
      start(
        'start',
        ...(foreground ? ['--foreground'] : []),
        ...flags,
        '--',
        'python3',
        '-c',
        program.replace('PORT', String(port)),
      )
      const socket = await accepted
      const monitor = monitorOf(home, 'web')
      await eventually(
        () => existsSync(`/proc/${monitor}`),
        (isThere) => !isThere,
      )
      socket.resume()
      await once(socket, 'close')
      assert.equal(`${got}\n`, (await call('logs', 'web')).out)
    })
  test('uses a secret that is written nowhere, and that nothing in it has', {
    skip: notInstalled('curl'),
  }, async (t) => {
    const { call, home } = commander(t)
    const value = `s3cr3t-${uniqueSeconds()}`
    const got: (string | undefined)[] = []
    const server = createWebServer((asked, answer) => {
      got.push(asked.headers.authorization)
      answer.end('here')
    })
    t.after(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    process.env.VIAL_TEST_KEY = value
    t.after(() => delete process.env.VIAL_TEST_KEY)
    const at = `127.0.0.1:${port}`
    const started = await call(
      'start',
      '--name',
      'web',
      '--allow',
      at,
      '--secret',
      `VIAL_TEST_KEY@${at}`,
      '--env',
      'VIAL_*',
    )
    assert.equal(started.status, 0, started.err)
    delete process.env.VIAL_TEST_KEY
    const script = `curl -sS -H "authorization: $VIAL_TEST_KEY" http://${at}/; env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline`
    const { out } = await call('exec', 'web', '--', 'bash', '-c', script)
    assert.match(out, /^here/)
    assert.deepEqual(got, [value])
    assert.match(out, /VIAL_TEST_KEY=vial-secret-VIAL_TEST_KEY/)
    for (const said of [out, (await call('inspect', 'web')).out, ...filesOf(home), ...filesOf(cacheDirectory())])
      assert.ok(!said.includes(value))
  })
})

const filesOf = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
