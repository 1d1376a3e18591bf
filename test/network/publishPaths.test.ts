/** Servers of sandboxes that are reached by unix sockets: of the host, of the sandbox, or of both. */
import assert from 'node:assert/strict'
import { chownSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { NetworkListener } from '../../src/live/networkListener.js'
import type { Policy } from '../../src/index.js'
import { evaluate, start } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { eventually } from '../support/processes.js'
import { callers, vial, workDirectory } from '../support/user.js'

/** Serves so many connections at each place, one after another: what a client has said when its side ends, in capitals. */
const server = `
import socket, sys
def at(place):
    if place.isdigit(): return socket.create_server(('127.0.0.1', int(place)))
    s = socket.socket(socket.AF_UNIX); s.bind(place); s.listen(); return s
servers = [at(place) for place in sys.argv[1:]]
print('ready', flush=True)
for s in servers:
    c = s.accept()[0]; said = c.makefile('rb').read(); c.sendall(said.upper()); c.close()
`
const python = notInstalled('python3')

for (const caller of callers)
  describe(`what is published by a path, by ${caller.name}`, () => {
    test('is reached both ways, and its file is this user’s alone, and gone at the end', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { server }) => {
          const net = await import('node:net')
          const fs = await import('node:fs')
          const { once } = (await import('node:events')).default
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          const [both, port] = [`${directory}/both`, `${directory}/port`]
          const publish = [`${both}:/tmp/a`, '0:/tmp/b', `${port}:8000`]
          const box = await sandbox({ preset: 'system', network: { publish } }).open()
          const modes = [both, port].map((path) => fs.lstatSync(path).mode.toString(8))
          const served = box.spawn('python3', ['-c', server, '/tmp/a', '/tmp/b', '8000'])
          await once(served.stdout!, 'data')
          const [free] = box.network.ports
          const much = 'x'.repeat(3_000_000)
          const says: boolean[] = []
          for (const to of [{ path: both }, { port: free!, host: '127.0.0.1' }, { path: port }]) {
            const socket = net.connect({ ...to, allowHalfOpen: true })
            socket.end(much)
            let text = ''
            for await (const bytes of socket) text += bytes
            says.push(text === much.toUpperCase())
          }
          await served.result
          // No program listens any more: what connects is closed.
          const late = net.connect(both)
          await once(
            late.on('error', () => {}),
            'close',
          )
          const { ports, paths } = box.network
          await box.close()
          const left = fs.readdirSync(directory)
          fs.rmSync(directory, { recursive: true })
          return { modes, says, ports: ports.length, paths: paths.map((path) => path.slice(directory.length)), left }
        },
        { server },
      )
      assert.deepEqual(seen, {
        modes: ['140600', '140600'],
        says: [true, true, true],
        ports: 1,
        paths: ['/both', '/port'],
        left: [],
      })
    })

    test('takes the place of no file, and of no socket that is in use', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const fs = await import('node:fs')
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          fs.writeFileSync(`${directory}/file`, 'mine')
          fs.symlinkSync('nowhere', `${directory}/link`)
          const publishing = (name: string) =>
            sandbox({ preset: 'system', network: { publish: [`${directory}/${name}:80`] } })
          const box = await publishing('used').open()
          const failed: unknown[] = []
          for (const name of ['file', 'link', 'used', 'missing/socket'])
            await publishing(name)
              .run('true')
              .catch((error: Error & { hint?: string }) =>
                failed.push([error.message.replace(directory, '').split('\n')[0], error.hint]),
              )
          const before = fs.readdirSync(directory)
          // What took its place meanwhile is not removed.
          fs.unlinkSync(`${directory}/used`)
          fs.writeFileSync(`${directory}/used`, 'another')
          await box.close()
          const left = before.map((name) => [name, fs.lstatSync(`${directory}/${name}`).isFile()])
          fs.rmSync(directory, { recursive: true })
          return { failed, left }
        },
        {},
      )
      const taken = 'a file is there, or another program listens: choose another path'
      assert.deepEqual(seen, {
        failed: [
          ...['file', 'link', 'used'].map((name) => [`cannot publish at /${name}: EADDRINUSE`, taken]),
          ['cannot publish at /missing/socket: ENOENT', 'its directory is not there'],
        ],
        left: [
          ['file', true],
          ['link', false],
          ['used', true],
        ],
      })
    })

    test('is published again where a process was killed, and removed by one that exits', async () => {
      const directory = mkdtempSync(join(workDirectory(caller, 'home'), 's'))
      chownSync(directory, caller.uid, caller.gid)
      const path = join(directory, 'app')
      try {
        const opened = (exits: boolean) =>
          start(
            caller,
            async ({ sandbox }, { path, exits }) => {
              const policy: Policy = { preset: 'system', network: { publish: [`${path}:80`] } }
              await sandbox(policy).open()
              if (exits) process.exit()
              process.stdout.write('open')
              await new Promise((resolve) => setTimeout(resolve, 1e6))
            },
            { path, exits },
          )
        const killed = opened(false)
        await new Promise((resolve) => killed.stdout!.once('data', resolve))
        const stale = lstatSync(path)
        const ended = new Promise((resolve) => killed.once('exit', resolve))
        killed.kill('SIGKILL')
        await ended
        assert.equal(lstatSync(path).ino, stale.ino)
        const exits = opened(true)
        await new Promise((resolve) => exits.once('exit', resolve))
        assert.deepEqual(readdirSync(directory), [])
        const { stdout, stderr } = vial(caller, ['run', '--publish', `${path}:/tmp/app`, '--', 'echo', 'done'])
        assert.deepEqual([stdout, stderr, readdirSync(directory)], ['done\n', '', []])
      } finally {
        rmSync(directory, { recursive: true })
      }
    })
  })

test('what is held up is left, and the next who asks is served', async (t) => {
  const listener = new NetworkListener({ place: 'host', args: () => [], patience: 300 })
  // It does not keep this process.
  const held = setInterval(() => {}, 1e6)
  t.after(() => {
    listener.close()
    clearInterval(held)
  })
  const directory = mkdtempSync('/tmp/vial-held-')
  t.after(() => rmSync(directory, { recursive: true }))
  const make = async (name: string) => {
    const made = await listener.make({ protocol: 'unix', path: join(directory, name), mode: 0o600, connects: false })
    assert.ok('close' in made)
    made.close()
  }
  const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').map(Number)
  const others = children()
  await make('one')
  const [child] = children().filter((pid) => !others.includes(pid))
  process.kill(child!, 'SIGSTOP')
  await assert.rejects(make('two'), { code: 'ETIMEDOUT' })
  await make('three')
  await eventually(children, (pids) => !pids.includes(child!))
})
