/** Unix sockets of the host that programs of a sandbox reach, through a gateway. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { compile } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { postgresPrograms } from '../support/postgres.js'
import { callers, vial, workDirectory } from '../support/user.js'

/** What a program says of each path: what comes back of many bytes and the end of one way, or its error's name. */
const tries = `
import hashlib, os, socket, sys
for path in sys.argv[1:]:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30); s.connect(path)
            said = os.urandom(2000000); s.sendall(said); s.shutdown(socket.SHUT_WR)
            print(s.makefile().read() == hashlib.sha256(said).hexdigest())
    except Exception as error: print(type(error).__name__)
`
const python = notInstalled('python3')

for (const caller of callers)
  describe(`unix sockets of the host, by ${caller.name}`, () => {
    test('are reached where they are listed, and nowhere else', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { tries }) => {
          const net = await import('node:net')
          const fs = await import('node:fs')
          const { once } = (await import('node:events')).default
          const { createHash } = await import('node:crypto')
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          const serve = async (name: string) => {
            const server = net.createServer({ allowHalfOpen: true }, (socket) => {
              const sum = createHash('sha256')
              socket.on('error', () => {}).on('data', (bytes) => sum.update(bytes))
              socket.on('end', () => socket.end(sum.digest('hex')))
            })
            await once(server.listen(`${directory}/${name}`), 'listening')
            return server
          }
          const servers = [await serve('db'), await serve('other')]
          const events: string[] = []
          const policy: Policy = {
            preset: 'system',
            network: {
              allow: [
                ...[`unix:${directory}/db`, `unix:${directory}/db:/run/deep/er/db`, `unix:${directory}/db:/tmp/db`],
                ...[`unix:${directory}/gone:/tmp/gone`, `unix:${directory}/other:/tmp/denied`],
              ],
              deny: ['unix:/tmp/denied'],
              onEvent: ({ event, protocol, path, real, rule, reason, bytesIn, bytesOut, port }) => {
                const texts = [event, protocol, path, real, rule, reason, bytesIn, bytesOut, port]
                events.push(texts.join(' ').replaceAll(directory, ''))
              },
            },
          }
          const box = await sandbox(policy).open()
          const look = async (...paths: string[]) =>
            (await box.run('python3', ['-c', tries, ...paths])).stdout.trim().split('\n')
          const first = await look(
            ...[`${directory}/db`, '/run/deep/er/db', '/tmp/db'],
            ...['/tmp/gone', '/tmp/denied', `${directory}/other`],
          )
          // At its end, that of an event is told.
          const told = events.splice(0)
          await box.network.deny([`unix:${directory}/db`])
          const denied = await look(`${directory}/db`, '/tmp/db')
          await box.network.allow([`unix:${directory}/db`])
          const again = await look(`${directory}/db`)
          await box.network.allow([`unix:${directory}/other:/tmp/late`, `unix:${directory}/other:/tmp/gone`])
          const late = await look('/tmp/late', '/tmp/gone')
          const readonly = await box.network
            .allow([`unix:${directory}/other:/run/late`])
            .catch((error: NodeJS.ErrnoException) => [error.code, error.message.split('\n')[0]])
          const summary = await box.network.summary()
          await box.close()
          for (const server of servers) server.close()
          fs.rmSync(directory, { recursive: true })
          return { first, told, denied, again, late, readonly, refused: summary.refused, allowed: summary.allowed }
        },
        { tries },
      )
      const reset = new Set(['BrokenPipeError', 'ConnectionResetError', 'False'])
      const [one, two, three, gone, denied, other] = seen.first
      assert.deepEqual([one, two, three, other], ['True', 'True', 'True', 'FileNotFoundError'])
      for (const ended of [gone, denied, ...seen.denied]) assert.ok(reset.has(ended!), ended)
      const through = 'closed 64 2000000 '
      assert.deepEqual(
        // One ends while the next is decided.
        seen.told.toSorted(),
        [
          ...['/db', '/run/deep/er/db', '/tmp/db'].flatMap((path) => {
            const rule = path === '/db' ? 'unix:/db' : `unix:/db:${path}`
            return [`decision unix ${path}  ${rule} a rule allows it   `, `end unix ${path} /db ${rule} ${through}`]
          }),
          'decision unix /tmp/denied  unix:/tmp/denied a rule denies it   ',
          'decision unix /tmp/gone  unix:/gone:/tmp/gone ENOENT   ',
        ].toSorted(),
      )
      assert.deepEqual([seen.again, seen.late], [['True'], ['True', 'True']])
      assert.deepEqual(seen.readonly, ['EROFS', 'cannot make the socket /run/late in the sandbox: EROFS'])
      assert.equal(seen.allowed, 6)
      assert.deepEqual(
        seen.refused.map(({ protocol, reason, flag }) => [protocol, reason, flag]),
        Array.from({ length: 3 }, () => ['unix', 'a rule denies it', undefined]),
      )
    })

    test('do not lie where the payload could put a link in their place', async () => {
      const said = await evaluate(
        caller,
        async ({ sandbox }) => {
          const fs = await import('node:fs')
          const directory = fs.mkdtempSync(`${process.env.HOME}/w`)
          fs.mkdirSync(`${directory}/rw/deep`, { recursive: true })
          fs.symlinkSync('rw', `${directory}/link`)
          const policy = (allow: string[]) => ({
            preset: 'system' as const,
            filesystem: [{ bind: '/tmp/rw', from: `${directory}/rw`, writable: true }],
            network: { allow },
          })
          const tell = (error: Error) => error.message.replaceAll(directory, '').split('\n')[0]
          const ran = await Promise.all(
            ['rw/a', 'rw/deep/a', 'link/deep/a', 'rw2/a'].map((path) =>
              sandbox(policy([`unix:${directory}/${path}:/run/a`]))
                .run('true')
                .then(({ exitCode }) => exitCode, tell),
            ),
          )
          const box = await sandbox(policy([])).open()
          const later = await box.network!.allow([`unix:${directory}/rw/a:/tmp/a`]).then(() => 'allowed', tell)
          await box.close()
          return [...ran, later]
        },
        null,
      )
      assert.deepEqual(said, [
        ...['/rw/a', '/rw/deep/a', '/link/deep/a'].map(
          (path) => `unix:${path} lies in /rw, which the sandbox may write`,
        ),
        ...[0, 'unix:/rw/a lies in /rw, which the sandbox may write'],
      ])
    })

    test('a rule that denies ends what is open, and a busy server is waited for', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const fs = await import('node:fs')
          const { spawn } = await import('node:child_process')
          const { once } = (await import('node:events')).default
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          // Its queue holds two connections, of which it has accepted none.
          const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind('${directory}/busy'); s.listen(1)
print('ready', flush=True); sys.stdin.readline()
for turn in range(3): s.accept()[0].sendall(b'served')
sys.stdin.readline()
`
          const busy = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] })
          await once(busy.stdout, 'data')
          const before = [1, 2].map(() => net.connect(`${directory}/busy`).on('error', () => {}))
          await Promise.all(before.map((socket) => once(socket, 'connect')))
          const box = await sandbox({
            preset: 'system',
            network: { allow: [`unix:${directory}/busy:/tmp/busy`] },
          }).open()
          const client = `
import socket
s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect('/tmp/busy'); print('connected', flush=True)
print(s.recv(6), flush=True); print(s.recv(6), flush=True)
`
          const waiting = box.spawn('python3', ['-c', client])
          let said = ''
          waiting.stdout!.on('data', (bytes) => {
            said += bytes
          })
          await once(waiting.stdout!, 'data')
          busy.stdin.write('go\n')
          let isOver = false
          const over = waiting.result.then(() => {
            isOver = true
          })
          while (!said.includes('served') && !isOver) await Promise.race([once(waiting.stdout!, 'data'), over])
          await box.network.deny(['unix:/tmp/busy'])
          await waiting.result
          for (const socket of before) socket.destroy()
          busy.kill('SIGKILL')
          await box.close()
          fs.rmSync(directory, { recursive: true })
          return said
        },
        {},
      )
      assert.equal(seen, "connected\nb'served'\nb''\n")
    })

    test('lie in what is empty of a root that is the host’s, and nowhere else', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const fs = await import('node:fs')
          const { once } = (await import('node:events')).default
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          const server = net.createServer((socket) => socket.end('here'))
          await once(server.listen(`${directory}/db`), 'listening')
          const program = `
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect('/tmp/a/b/db'); print(s.recv(9).decode())
`
          const says: string[] = []
          for (const writable of [false, true])
            for (const inside of ['/tmp/a/b/db', '/home/db', '/tmp/host/other', '/var/lib/db']) {
              const filesystem = [
                { bind: '/', writable },
                { proc: '/proc' as const },
                { tmpfs: '/tmp' },
                { bind: '/tmp/host', from: directory, writable },
              ]
              await sandbox({ filesystem, network: { allow: [`unix:${directory}/db:${inside}`] } })
                .run('/usr/bin/env', ['python3', '-c', program])
                .then(
                  ({ stdout, stderr }) => says.push(stdout || stderr),
                  (error: Error) =>
                    says.push(/(?:unix:|\/)[^:]* lies in [^:\n]*/.exec(error.message.replaceAll(directory, '/D'))![0]),
                )
            }
          const left = fs.readdirSync(directory)
          server.close()
          fs.rmSync(directory, { recursive: true })
          return { says, left }
        },
        {},
      )
      const refused = (path: string) => `${path} lies in no directory of the sandbox's own, as /tmp is`
      const each = ['here\n', refused('/home/db'), refused('/tmp/host/other'), refused('/var/lib/db')]
      // All that such a root shows may be another when it is connected to.
      const written = ['unix:/D/db lies in /, which the sandbox may write', ...each.slice(1)]
      assert.deepEqual(seen, { says: [...each, ...written], left: ['db'] })
    })

    test('serve PostgreSQL and its client, each in a sandbox', {
      skip: notInstalled('psql') || (postgresPrograms() === undefined && 'PostgreSQL is not installed'),
    }, async () => {
      const [initdb, server] = ['initdb', 'postgres'].map((name) => join(postgresPrograms()!, name))
      const make = `${initdb} -D data -U vial -A trust -E UTF8 --locale=C --no-sync`
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { script }) => {
          const fs = await import('node:fs')
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          const name = '.s.PGSQL.5432'
          const publish = [`${directory}/${name}:/tmp/${name}`]
          const box = await sandbox({ preset: 'system', network: { publish } }).open()
          const served = box.spawn('sh', ['-c', `${script} 2>&1`])
          let log = ''
          for await (const bytes of served.stdout!) {
            log += bytes
            if (log.includes('ready to accept connections')) break
          }
          const { stdout, stderr } = await sandbox({
            preset: 'system',
            network: { allow: [`unix:${directory}/${name}:/run/postgresql/${name}`] },
          }).run('psql', ['-h', '/run/postgresql', '-U', 'vial', '-d', 'postgres', '-Atc', 'select 6 * 7'])
          await box.close()
          fs.rmSync(directory, { recursive: true })
          return { stdout, stderr }
        },
        { script: `${make} && exec ${server} -D data -k /tmp -h '' -c fsync=off` },
      )
      assert.deepEqual(seen, { stdout: '42\n', stderr: '' })
    })

    test('a command line says them in the same words', { skip: notInstalled('socat') }, () => {
      const home = workDirectory(caller, 'home')
      const run = (...args: string[]) => {
        const { status, stderr } = vial(caller, ['run', ...args, '--', 'socat', '-u', 'UNIX:/tmp/a', '-'], {
          env: { HOME: home },
        })
        return { status, stderr }
      }
      const refused = run('--allow', `unix:${home}/missing:/tmp/a`, '--deny', 'unix:/tmp/a')
      assert.match(refused.stderr, /^vial: the network refused unix:\/tmp\/a: a rule denies it$/m)
      const wrong = run('--allow', 'unix:/run/a:/usr/a')
      assert.equal(wrong.status, 125)
      assert.match(
        wrong.stderr,
        /^vial: --allow unix:\/run\/a:\/usr\/a: \/usr\/a lies in no directory of the sandbox's own/,
      )
    })
  })

test('a payload that is another user of the host connects too', {
  skip: process.geteuid!() !== 0 ? 'only root may have such a payload' : python,
}, async () => {
  const root = callers.find(({ uid }) => uid === 0)
  if (root === undefined) return
  const stdout = await evaluate(
    root,
    async ({ sandbox }) => {
      const net = await import('node:net')
      const fs = await import('node:fs')
      const { once } = (await import('node:events')).default
      const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
      const server = net.createServer((socket) => socket.end('here'))
      await once(server.listen(`${directory}/db`), 'listening')
      const policy: Policy = {
        preset: 'system',
        namespaces: { user: 'host' },
        identity: { uid: 65534, gid: 65534 },
        network: { allow: [`unix:${directory}/db:/run/a/db`], publish: [`${directory}/app:/tmp/app`] },
      }
      const box = await sandbox(policy).open()
      const program = `
import os, socket, struct
s = socket.socket(socket.AF_UNIX); s.connect('/run/a/db'); print(os.getuid(), s.recv(9))
s = socket.socket(socket.AF_UNIX); s.bind('/tmp/app'); s.listen(); print('ready', flush=True)
c = s.accept()[0]; c.sendall(str(struct.unpack('3i', c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:]).encode()); c.close()
`
      const served = box.spawn('python3', ['-c', program])
      let text = ''
      served.stdout!.on('data', (bytes) => {
        text += bytes
      })
      while (!text.includes('ready'))
        if ((await Promise.race([once(served.stdout!, 'data'), served.result.then(() => false)])) === false) return text
      for await (const bytes of net.connect(`${directory}/app`)) text += bytes
      await box.close()
      server.close()
      fs.rmSync(directory, { recursive: true })
      return text
    },
    {},
  )
  assert.equal(stdout, "65534 b'here'\nready\n(65534, 65534)")
})

test('what a policy alone shows to be wrong is said', () => {
  const fault = (allow: readonly string[], more: Policy = {}): string => {
    try {
      compile({ preset: 'system', network: { allow }, ...more } as Policy)
    } catch (error) {
      return String((error as Error).message)
    }
    return ''
  }
  assert.match(fault(['unix:/run/a', 'unix:/run/b:/run/a']), /network\.allow\[1\].*\/run\/a leads to \/run\/a already/)
  assert.match(fault(['unix:run/a']), /network\.allow\[0\].*relative path/)
  assert.match(fault(['unix:/run/a:b']), /names are reached through a process/)
  assert.match(fault([`unix:/run/${'x'.repeat(200)}:/run/a`]), /longer than the 107 bytes/)
  assert.match(fault([`unix:/run/a:/${'x'.repeat(107)}`]), /longer than the 107 bytes/)
})
