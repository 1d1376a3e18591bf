/** What a payload can make of the paths by which unix sockets lead in and out. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'

const python = notInstalled('python3')

for (const caller of callers)
  describe(`paths of unix sockets, by ${caller.name}`, () => {
    test('a published path inside leads to nothing of the host, whatever lies there', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const fs = await import('node:fs')
          const { once } = (await import('node:events')).default
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          let reached = 0
          const secret = net.createServer((socket) => {
            reached++
            socket.on('error', () => {}).end('secret')
          })
          await once(secret.listen(`${directory}/secret`), 'listening')
          // Any program inside may reach it at this path: a path that leads there is a payload's own way.
          const policy = {
            preset: 'system' as const,
            filesystem: [{ bind: '/tmp/shown', from: `${directory}/secret`, writable: true }],
            network: { publish: [`${directory}/app:/tmp/app`] },
          }
          const box = await sandbox(policy).open()
          const asked = async () => {
            const socket = net.connect(`${directory}/app`)
            let text = ''
            try {
              for await (const bytes of socket) text += bytes
            } catch {}
            return text
          }
          const says: string[] = []
          for (const target of [
            `${directory}/secret`,
            `../../../../../../../..${directory}/secret`,
            `/proc/1/root${directory}/secret`,
            `/proc/self/root${directory}/secret`,
            `/proc/${process.pid}/root${directory}/secret`,
            '/proc/1/cwd/secret',
            '/etc',
            '/etc/passwd',
            '/dev/null',
            'app',
          ]) {
            await box.run('ln', ['-sfn', target, '/tmp/app'])
            says.push(await asked())
          }
          await box.run('sh', ['-c', 'rm /tmp/app; mkfifo /tmp/app'])
          says.push(await asked())
          const others = reached
          await box.run('sh', ['-c', 'rm /tmp/app; ln -s shown /tmp/app'])
          const shown = await asked()
          // Another server in the place of the first.
          const program = `
import os, socket, sys
try: os.unlink('/tmp/app')
except OSError: pass
s = socket.socket(socket.AF_UNIX); s.bind('/tmp/app'); s.listen(); s.settimeout(10)
print('ready', flush=True)
c = s.accept()[0]
# A descriptor is not handed on.
socket.send_fds(c, [sys.argv[1].encode()], [0, 1, 2]); c.close()
`
          const held = () => fs.readdirSync('/proc/self/fd').length
          const replaced: string[] = []
          const before = held()
          for (const name of ['one', 'two']) {
            const served = box.spawn('python3', ['-c', program, name])
            await once(served.stdout!, 'data')
            replaced.push(await asked())
            await served.result
          }
          const more = held() - before
          await box.close()
          secret.close()
          fs.rmSync(directory, { recursive: true })
          return { says, others, shown, replaced, more: more > 0 }
        },
        {},
      )
      assert.deepEqual(seen, {
        says: Array.from({ length: 11 }, () => ''),
        others: 0,
        shown: 'secret',
        replaced: ['one', 'two'],
        more: false,
      })
    })

    test('a socket that is listed is what it is, and hands on nothing but bytes', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const fs = await import('node:fs')
          const { spawn } = await import('node:child_process')
          const { once } = (await import('node:events')).default
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          // Tells who connects, and which descriptors came along.
          const service = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.bind('${directory}/db'); s.listen()
print('ready', flush=True)
while True:
    c = s.accept()[0]
    said, fds, _, _ = socket.recv_fds(c, 99, 9)
    pid = struct.unpack('3i', c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    c.sendall(b'%s %d %s' % (said, len(fds), b'gateway' if pid == int(sys.argv[1]) else b'another')); c.close()
`
          const server = spawn('python3', ['-c', service, String(process.pid)])
          await once(server.stdout, 'data')
          fs.mkdirSync(`${directory}/empty`)
          const box = await sandbox({
            preset: 'system',
            filesystem: [{ bind: '/work', from: `${directory}/empty` }],
            network: { allow: [`unix:${directory}/db:/run/a/db`, `unix:${directory}/db:/tmp/db`] },
          }).open()
          const program = `
import glob, os, socket, sys
def ask(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30); s.connect(path); socket.send_fds(s, [b'said'], [0, 1, 2]); return s.makefile().read()
print(ask('/run/a/db'))
for call in [lambda: os.unlink('/run/a/db'), lambda: os.rename('/run/a/db', '/run/a/b'), lambda: os.rename('/run/a', '/run/b'), lambda: os.chmod('/run/a/db', 0o777),
             lambda: os.symlink('/tmp/db', '/run/a/c'), lambda: socket.socket(socket.AF_UNIX).bind('/run/a/d')]:
    try: print('did', call())
    except OSError as error: print(error.strerror)
# Where it may be replaced, that is for its own programs only.
os.unlink('/tmp/db')
own = socket.socket(socket.AF_UNIX); own.bind('/tmp/db'); own.listen()
mine = socket.socket(socket.AF_UNIX); mine.connect('/tmp/db'); print(own.accept()[0] is not None)
os.unlink('/tmp/db'); os.symlink('/run/a/db', '/tmp/db')
print(ask('/tmp/db'))
# No process here has what listens, nor the channel by which it was handed over.
held = set()
for link in glob.glob('/proc/[0-9]*/fd/*'):
    try: held.add(os.readlink(link))
    except OSError: pass
print([one for one in held if one.startswith('socket:') and one != 'socket:[%d]' % os.fstat(own.fileno()).st_ino and one != 'socket:[%d]' % os.fstat(mine.fileno()).st_ino])
`
          const { stdout, stderr } = await box.run('python3', ['-c', program])
          // What is made while it runs is made where the payload could make it: its links lead to nothing of the host's.
          await box.run('sh', [
            '-c',
            `ln -s ${directory} /tmp/out; ln -s /work /tmp/shown; ln -s ${directory}/new /tmp/new`,
          ])
          const late: unknown[] = []
          for (const path of ['/tmp/out/new', '/tmp/new', '/tmp/shown/new', `/proc/self/root${directory}/new`])
            await box.network.allow([`unix:${directory}/db:${path}`]).then(
              () => late.push('made'),
              ({ code }: NodeJS.ErrnoException) => late.push(code),
            )
          const made = fs.readdirSync(directory, { recursive: true })
          await box.close()
          server.kill('SIGKILL')
          fs.rmSync(directory, { recursive: true })
          return { lines: stdout.trim().split('\n'), stderr, late, made: made.toSorted() }
        },
        {},
      )
      assert.deepEqual(seen, {
        lines: [
          'said 0 gateway',
          ...Array.from({ length: 6 }, () => 'Read-only file system'),
          ...['True', 'said 0 gateway', '[]'],
        ],
        stderr: '',
        late: ['ENOENT', 'EADDRINUSE', 'EROFS', 'ENOENT'],
        made: ['db', 'empty'],
      })
    })
  })
