/** The network by name of whole sandboxes. Every host is a server of this machine, under names that the test itself resolves. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'

/** What a program says of each place that it tries: the first bytes that it gets, or its error's name. */
const tries = `
import socket, sys
for place in sys.argv[1:]:
    host, port = place.rsplit(' ', 1)
    try:
        with socket.create_connection((host, int(port)), 10) as s: print(place, s.recv(64).decode())
    except Exception as error: print(place, type(error).__name__)
`
const python = notInstalled('python3')

for (const caller of callers)
  describe(`a network by name, by ${caller.name}`, () => {
    test('reaches what is listed, by name and by address, and nothing else', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { tries }) => {
          const { createServer } = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = createServer((socket) => socket.end('here'))
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const asked: string[] = []
          const resolve = async (name: string) => {
            asked.push(name)
            if (name === 'missing.example.com') throw Object.assign(new Error('none'), { code: 'ENOTFOUND' })
            if (name === 'metadata.example.com') return ['169.254.169.254']
            return ['127.0.0.1']
          }
          const allow = [`api.example.com:${port}`, `*.example.com:${port}`, `127.0.0.1:${port}`]
          const { stdout, stderr } = await sandbox({
            preset: 'system',
            network: { allow, deny: [`denied.example.com:${port}`], resolve },
          }).run('python3', [
            ...['-c', tries],
            ...['api', 'other', 'deep.er', 'API', 'missing', 'metadata', 'denied'].map(
              (name) => `${name}.example.com ${port}`,
            ),
            ...[`example.com ${port}`, `example.org ${port}`, `127.0.0.1 ${port}`, `2001:db8::1 ${port}`],
            ...[
              '192.0.2.1 80',
              '169.254.169.254 80',
              `198.18.77.77 ${port}`,
              '127.0.0.1 1',
              '::1 1',
              `api.example.com 1`,
            ],
          ])
          server.close()
          const lines = stdout.trim().split('\n')
          return { lines: lines.map((line) => line.replace(String(port), 'PORT')), stderr, asked: [...new Set(asked)] }
        },
        { tries },
      )
      assert.deepEqual(seen, {
        lines: [
          'api.example.com PORT here',
          'other.example.com PORT here',
          'deep.er.example.com PORT here',
          'API.example.com PORT here',
          'missing.example.com PORT gaierror',
          'metadata.example.com PORT gaierror',
          'denied.example.com PORT gaierror',
          'example.com PORT gaierror',
          'example.org PORT gaierror',
          '127.0.0.1 PORT here',
          // A pattern listens at any address of its port: what is none of a name's is reset.
          '2001:db8::1 PORT ConnectionResetError',
          '192.0.2.1 80 ConnectionRefusedError',
          '169.254.169.254 80 ConnectionRefusedError',
          '198.18.77.77 PORT ConnectionResetError',
          '127.0.0.1 1 ConnectionRefusedError',
          '::1 1 ConnectionRefusedError',
          'api.example.com 1 ConnectionRefusedError',
        ],
        stderr: '',
        // Names that no rule lists are asked of nobody: they carry nothing out.
        asked: [
          'api.example.com',
          'other.example.com',
          'deep.er.example.com',
          'missing.example.com',
          'metadata.example.com',
        ],
      })
    })

    test('its program has no descriptor of it, and no variable', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const policy: Policy = { preset: 'system', network: { allow: ['a.example.com:1'] } }
          const script = 'ls /proc/self/fd; env | grep NODE_CHANNEL; cat /etc/resolv.conf'
          const inherits = await sandbox({ ...policy, env: { inherit: true } }).run('sh', ['-c', script])
          const own = await sandbox(policy).run('sh', ['-c', script], { env: { A: '1' }, cwd: '/' })
          return [inherits.stdout, own.stdout]
        },
        {},
      )
      const expected = '0\n1\n2\n3\nnameserver 198.18.0.1\noptions timeout:10 attempts:2 ndots:1\n'
      assert.deepEqual(seen, [expected, expected])
    })

    test('hands on both ways: much, the end of one way, a reset, and datagrams', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const { createSocket } = await import('node:dgram')
          const { once } = (await import('node:events')).default
          const { createHash } = await import('node:crypto')
          const server = net.createServer({ allowHalfOpen: true }, (socket) => {
            const sum = createHash('sha256')
            socket.on('error', () => {})
            socket.once('data', (first) => {
              if (first.toString() === 'reset') socket.resetAndDestroy()
              if (first.toString() === 'part') socket.write('part', () => socket.resetAndDestroy())
            })
            socket.on('data', (bytes) => sum.update(bytes))
            socket.on('end', () => socket.end(sum.digest('hex')))
          })
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const udp = createSocket('udp4')
          udp.on('message', (bytes, { port, address }) => udp.send(`${bytes}!`, port, address))
          udp.bind(0, '127.0.0.1')
          await once(udp, 'listening')
          const program = `
import hashlib, os, socket, sys
s = socket.create_connection(('big.example.com', ${port}))
bytes_ = os.urandom(20000000)
s.sendall(bytes_); s.shutdown(socket.SHUT_WR)
print(s.makefile().read() == hashlib.sha256(bytes_).hexdigest())
for word in b'reset', b'part':
    s = socket.create_connection(('big.example.com', ${port})); s.sendall(word)
    try:
        while True:
            got = s.recv(9); print(got)
            if not got: break
    except Exception as error: print(type(error).__name__)
for host in 'time.example.com', '127.0.0.1':
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(10); u.connect((host, ${udp.address().port}))
    u.send(b'tick'); print(u.recv(9))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(10); u.connect(('127.0.0.1', 9)); u.send(b'tick')
try: print(u.recv(9))
except Exception as error: print(type(error).__name__)
`
          const network = {
            allow: [
              ...[`big.example.com:${port}`, `127.0.0.1:${port}`],
              ...[`udp:time.example.com:${udp.address().port}`, `udp:127.0.0.1:${udp.address().port}`],
            ],
            resolve: async () => ['127.0.0.1'],
          }
          const { stdout, stderr } = await sandbox({ preset: 'system', network }).run('python3', ['-c', program])
          server.close()
          udp.close()
          return { stdout, stderr }
        },
        {},
      )
      const stdout =
        "True\nConnectionResetError\nb'part'\nConnectionResetError\nb'tick!'\nb'tick!'\nConnectionRefusedError\n"
      assert.deepEqual(seen, { stdout, stderr: '' })
    })

    test('changes while a sandbox is open, and publishes its servers', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { tries }) => {
          const net = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = net.createServer((socket) => socket.end('here'))
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const box = await sandbox({
            preset: 'system',
            network: {
              allow: [`a.example.com:${port}`, `127.0.0.1:${port}`],
              publish: ['127.0.0.1:0:8080', '0:8081'],
              resolve: async () => ['127.0.0.1'],
            },
          }).open()
          try {
            const says: string[] = []
            const look = async (name: string) => {
              const { stdout } = await box.run('python3', ['-c', tries, `${name}.example.com ${port}`])
              says.push(stdout.trim().replace(String(port), 'PORT'))
            }
            await look('b')
            await box.network.allow([`b.example.com:${port}`])
            await look('b')
            await box.network.allow([`*.example.com:${port}`])
            await look('c')
            await look('a')
            await box.network.deny([`a.example.com:${port}`])
            await look('a')
            const wrong = await box.network.allow(['nonsense']).catch((error: Error) => error.message)
            const program = `
import socket, sys
servers = [socket.create_server(('127.0.0.1', 8080)), socket.create_server(('::1', 8081), family=socket.AF_INET6)]
print('ready', flush=True)
for server in servers:
    s = server.accept()[0]; s.sendall(s.recv(99).upper()); s.close()
`
            const served = box.spawn('python3', ['-c', program])
            await once(served.stdout!, 'data')
            for (const published of box.network.ports) {
              const socket = net.connect(published, '127.0.0.1')
              socket.write('hello')
              let text = ''
              for await (const bytes of socket) text += bytes
              says.push(text)
            }
            await served.result
            const summary = await box.network.summary()
            return { says, wrong, allowed: summary.allowed, refused: summary.refused.map(({ flag }) => flag) }
          } finally {
            await box.close()
            server.close()
          }
        },
        { tries },
      )
      assert.deepEqual(seen, {
        says: [
          'b.example.com PORT gaierror',
          ...['b', 'c', 'a'].map((name) => `${name}.example.com PORT here`),
          'a.example.com PORT gaierror',
          ...['HELLO', 'HELLO'],
        ],
        wrong: seen.wrong,
        allowed: 3,
        refused: ['--allow b.example.com:PORT', '--allow a.example.com:PORT'],
      })
      assert.match(String(seen.wrong), /destinations\[0\]: must be HOST:PORT/)
    })

    test('changes at once, and ends with connections that are ending', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = net.createServer((socket) => socket.on('error', () => {}).end('here'))
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const network = {
            allow: [`a.example.com:${port}`, `127.0.0.1:${port}`],
            resolve: async () => ['127.0.0.1'],
          }
          const box = await sandbox({ preset: 'system', network }).open()
          // What the policy lists may not have come from the vial yet.
          await box.network.allow([`*.example.com:${port}`])
          const connect = `exec 3<>/dev/tcp/c.example.com/${port}; head -c 4 <&3`
          const { stdout } = await box.run('bash', ['-c', connect])
          await box.run('bash', ['-c', connect])
          await box.network.deny([`c.example.com:${port}`])
          await box.close()
          const after = await box.network.allow(['a.example.com:1']).catch((error: Error) => error.message)
          server.close()
          return [stdout, after]
        },
        {},
      )
      assert.deepEqual(seen, ['here', 'the sandbox has ended, or is about to'])
    })

    test('has a proxy for programs that insist on one', { skip: notInstalled('curl') }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { createServer } = await import('node:http')
          const { once } = (await import('node:events')).default
          const server = createServer((asked, answer) => answer.end(`${asked.headers.host} ${asked.url}\n`))
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const network = {
            allow: ['*.example.com:*', `127.0.0.1:${port}`],
            deny: [`b.example.com:${port}`],
            proxy: 3128,
            resolve: async () => ['127.0.0.1'],
          }
          const { stdout } = await sandbox({ preset: 'system', network }).run('sh', [
            '-c',
            `for how in '' -p '-x socks5h://[::1]:3128'; do for name in a b; do
               curl -s -m 20 $how http://$name.example.com:${port}/x || echo none; done; done
             curl -s --noproxy '*' -m 20 http://a.example.com:${port}/ || echo "direct $?"; echo $all_proxy $HTTP_PROXY`,
          ])
          server.close()
          server.closeAllConnections()
          return stdout.replaceAll(String(port), 'PORT').trim().split('\n')
        },
        {},
      )
      const [a, refused] = ['a.example.com:PORT /x', 'none']
      assert.deepEqual(seen, [
        ...[a, 'Refused: a rule denies it', a, refused, a, refused],
        ...['direct 7', 'socks5h://127.0.0.1:3128 http://127.0.0.1:3128'],
      ])
    })

    test('its ports are known as soon as it is open', async () => {
      const ports = await evaluate(
        caller,
        async ({ sandbox }) => {
          const ports: number[] = []
          for (let round = 0; round < 20; round++) {
            const box = await sandbox({ preset: 'system', network: { publish: ['0:80'] } }).open()
            ports.push(...box.network.ports)
            await box.close()
          }
          return ports
        },
        {},
      )
      assert.equal(ports.filter((port) => port > 0).length, 20)
    })

    test('what a program sends last goes out, though it ends at once', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const { createSocket } = await import('node:dgram')
          const { once } = (await import('node:events')).default
          const got: Promise<string>[] = []
          const server = net.createServer((socket) => {
            let bytes = 0
            // It is slow to read.
            socket.pause()
            setTimeout(() => socket.resume(), 50)
            socket.on('data', (part) => {
              bytes += part.length
            })
            got.push(
              new Promise((resolve) => {
                socket.on('end', () => resolve(String(bytes))).on('error', (error) => resolve(error.message))
              }),
            )
          })
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const udp = createSocket('udp4')
          udp.bind(port, '127.0.0.1')
          await once(udp, 'listening')
          const datagram = once(udp, 'message').then(([bytes]) => String(bytes))
          const network = {
            allow: [`127.0.0.1:${port}`, `udp:a.example.com:${port}`, `udp:127.0.0.1:${port}`],
            resolve: async () => ['127.0.0.1'],
            // It takes its time, while the program has ended.
            onRequest: async () => {
              await new Promise((resolve) => setTimeout(resolve, 100))
              return true
            },
          }
          const program = `
import os, socket
s = socket.create_connection(('a.example.com', ${port}))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('a.example.com', ${port}))
s.sendall(b'x' * 200000); u.send(b'last'); os._exit(0)
`
          const { exitCode } = await sandbox({ preset: 'system', network }).run('python3', ['-c', program])
          const said = [exitCode, ...(await Promise.all([...got, datagram]))]
          server.close()
          udp.close()
          return said
        },
        {},
      )
      assert.deepEqual(seen, [0, '200000', 'last'])
    })

    test('a port that cannot be published ends the run, and says which', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = net.createServer().listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const policy: Policy = { preset: 'system', network: { publish: [`${port}:80`] } }
          const said = await sandbox(policy)
            .run('sleep', ['60'])
            .catch((error: Error) => error.message.replace(String(port), 'PORT'))
          server.close()
          return said
        },
        {},
      )
      assert.match(String(seen), /^cannot publish at 127\.0\.0\.1:PORT: EADDRINUSE/)
    })

    test('many sandboxes, one behind the other: no first connection fails', { skip: python }, async () => {
      const failed = await evaluate(
        caller,
        async ({ sandbox }, { rounds }) => {
          const net = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = net.createServer((socket) => socket.end('here'))
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const network = {
            allow: [`a.example.com:${port}`, `127.0.0.1:${port}`],
            resolve: async () => ['127.0.0.1'],
          }
          const box = sandbox({ preset: 'system', network })
          let failed = 0
          for (let round = 0; round < rounds; round++) {
            const { stdout } = await box.run('bash', ['-c', `exec 3<>/dev/tcp/a.example.com/${port}; cat <&3`])
            if (stdout !== 'here') failed++
          }
          server.close()
          return failed
        },
        { rounds: Number(process.env.VIAL_NETWORK_ROUNDS ?? 20) },
      )
      assert.equal(failed, 0)
    })
  })
