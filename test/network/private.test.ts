/** Private networks of whole sandboxes, by pasta, on a host of their own. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { gateways, noPrivateHost, onHost, other, own } from '../support/network/privateHost.js'
import { callers } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** What a program says of each place that it tries by TCP: the first bytes that it gets, or its error's name. */
const tries = `
import socket, sys
for place in sys.argv[1:]:
    host, port = place.rsplit(' ', 1)
    try:
        with socket.create_connection((host, int(port)), 10) as s: print(place, s.recv(64).decode())
    except Exception as error: print(place, type(error).__name__)
`

/** Sends to addresses past the routes of its own kernel, by TCP and by UDP: no privilege is needed to bind a socket to a device. */
const pastRoutes = `
import socket, sys
port, device, index, *hosts = sys.argv[1:]
index = int(index)
def sends(host, protocol, how):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, protocol) as s:
        s.settimeout(0.3)
        try:
            if how == 'bound': s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            elif how == 'index': s.setsockopt(*((socket.IPPROTO_IPV6, 76, index) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 50, socket.htonl(index))))
            elif how == 'local': s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode()); s.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
            s.connect((host, int(port)))
            s.send(b'from inside')
        except OSError: pass
for host in hosts:
    for protocol in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        for how in 'plain', 'bound', 'index', 'local': sends(host, protocol, how)
`

/** Datagrams to addresses as frames that its kernel sends as they are: packet(7). The last word is said to each. */
const frames = `
import ipaddress, socket, struct, sys
port, device, own, own6, *hosts = sys.argv[1:]
def total(data):
    if len(data) % 2: data += b'\\0'
    value = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while value >> 16: value = (value & 0xffff) + (value >> 16)
    return ~value & 0xffff or 0xffff
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind((device, 0))
    for host in hosts:
        to = ipaddress.ip_address(host).packed
        data = ('framed to ' + host).encode()
        size = 8 + len(data)
        start = ipaddress.ip_address(own6 if len(to) == 16 else own).packed
        summed = total(start + to + struct.pack('!LHH', size, 0, 17) + struct.pack('!HHHH', 4000, int(port), size, 0) + data)
        datagram = struct.pack('!HHHH', 4000, int(port), size, summed) + data
        if len(to) == 16: packet, kind = struct.pack('!LHBB', 6 << 28, size, 17, 64) + start + to + datagram, 0x86dd
        else:
            header = struct.pack('!BBHHHBBH', 0x45, 0, 20 + size, 1, 0, 64, 17, 0) + start + to
            packet, kind = header[:10] + struct.pack('!H', total(header)) + header[12:] + datagram, 0x800
        s.send(b'\\x52\\x54\\0\\0\\0\\1' + s.getsockname()[4] + struct.pack('!H', kind) + packet)
`

for (const caller of callers)
  describe(`a private network, by ${caller.name}`, { skip: noPrivateHost() }, () => {
    test("reaches other addresses, and of the host's own neither loopback, nor gateway, nor the one that it shares", async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { tries, pastRoutes, other, own, gateways }) => {
          const { createServer } = await import('node:net')
          const { createSocket } = await import('node:dgram')
          const { once } = (await import('node:events')).default
          const heard: string[] = []
          const server = createServer((socket) => {
            heard.push(`tcp ${socket.localAddress}`)
            socket.on('error', () => {}).end('here')
          })
          await once(server.listen(0, '::'), 'listening')
          const { port } = server.address() as { port: number }
          const datagrams = createSocket('udp4')
          const six = createSocket({ type: 'udp6', ipv6Only: true })
          for (const one of [datagrams, six])
            one.on('message', (bytes, { address }) => heard.push(`udp ${address} ${bytes}`))
          await once(datagrams.bind(port), 'listening')
          await once(six.bind(port), 'listening')
          const box = await sandbox({ preset: 'system', network: 'private' }).open()
          const listed = [other, '127.0.0.1', '::1', own.v4, own.v6].map((host) => `${host} ${port}`)
          const { stdout } = await box.run('python3', ['-c', tries, ...listed])
          // Its own, outside: where it comes from.
          const asked = heard.splice(0)
          const loopback = ['127.0.0.1', '127.0.0.5', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1']
          const past = await box.run('python3', [
            '-c',
            pastRoutes,
            String(port),
            'uplink',
            '2',
            ...loopback,
            ...gateways,
          ])
          const last = `import socket; s = socket.socket(2, 2); s.sendto(b'last', ('${other}', ${port}))`
          await box.run('python3', ['-c', last])
          while (!heard.some((one) => one.endsWith('last'))) await new Promise((resolve) => setTimeout(resolve, 10))
          await box[Symbol.asyncDispose]()
          server.close()
          for (const one of [datagrams, six]) one.close()
          return {
            lines: stdout.trim().replaceAll(String(port), 'PORT').split('\n'),
            asked,
            past: past.stderr,
            heard: heard.map((one) => one.replace(/^udp \S+/, 'udp')),
          }
        },
        { tries, pastRoutes, other, own, gateways },
        { wrapper: onHost(caller) },
      )
      assert.deepEqual(seen, {
        lines: [
          `${other} PORT here`,
          ...['127.0.0.1', '::1', own.v4, own.v6].map((host) => `${host} PORT ConnectionRefusedError`),
        ],
        asked: [`tcp ::ffff:${other}`],
        past: '',
        heard: ['udp last'],
      })
    })

    test('with every right over its network it reaches no loopback either', async () => {
      const heard = await evaluate(
        caller,
        async ({ sandbox }, { frames, other, own }) => {
          const { createSocket } = await import('node:dgram')
          const { once } = (await import('node:events')).default
          const heard: string[] = []
          const datagrams = createSocket('udp4').on('message', (bytes) => heard.push(String(bytes)))
          await once(datagrams.bind(0), 'listening')
          const { port } = datagrams.address()
          const six = createSocket({ type: 'udp6', ipv6Only: true }).on('message', (bytes) => heard.push(String(bytes)))
          await once(six.bind(port), 'listening')
          const all = sandbox({
            preset: 'system',
            network: 'private',
            capabilities: ['CAP_NET_RAW', 'CAP_NET_ADMIN'],
            seccomp: 'none',
          })
          const hosts = ['127.0.0.1', '127.0.0.5', '::1', '::ffff:127.0.0.1', own.v4, own.v6, other]
          const loop = 'while python3 -c "$@"; do sleep 0.1; done'
          const words = ['sh', frames, String(port), 'uplink', own.v4, own.v6, ...hosts]
          const sending = all.spawn('sh', ['-c', loop, ...words])
          let ended = false
          sending.result.finally(() => (ended = true)).catch(() => {})
          const fine = () => heard.filter((one) => one.endsWith(other)).length
          // By the third time all before it have come.
          while (fine() < 3 && !ended) await new Promise((resolve) => setTimeout(resolve, 10))
          sending.kill('SIGKILL')
          await sending.result
          for (const one of [datagrams, six]) one.close()
          return [...new Set(heard)]
        },
        { frames, other, own },
        { wrapper: onHost(caller) },
      )
      assert.deepEqual(heard, [`framed to ${other}`])
    })

    test("asks the host's resolver, wherever that is", async () => {
      const body = async (
        { sandbox }: typeof import('../../src/index.js'),
        { tries, other, resolver }: { tries: string; other: string; resolver: string | undefined },
      ) => {
        const { createServer } = await import('node:net')
        const { createSocket } = await import('node:dgram')
        const { once } = (await import('node:events')).default
        const server = createServer((socket) => socket.on('error', () => {}).end('here'))
        await once(server.listen(0, other), 'listening')
        const { port } = server.address() as { port: number }
        const stub = createSocket(resolver?.includes(':') ? 'udp6' : 'udp4')
        // RFC 1035: the question, and one answer of type A; none of another type.
        stub.on('message', (question, from) => {
          const type = question.readUInt16BE(question.indexOf(0, 12) + 1)
          const header = Buffer.from(question.subarray(0, 12))
          header.writeUInt16BE(0x8180, 2)
          header.writeUInt16BE(type === 1 ? 1 : 0, 6)
          header.writeUInt32BE(0, 8)
          const asked = question.subarray(12, question.indexOf(0, 12) + 5)
          const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...other.split('.').map(Number)])
          stub.send(Buffer.concat([header, asked, ...(type === 1 ? [answer] : [])]), from.port, from.address)
        })
        if (resolver !== undefined) await once(stub.bind(53, resolver), 'listening')
        const command = ['-c', 'cat /etc/resolv.conf; exec python3 -c "$@"', 'sh', tries]
        const names = resolver === undefined ? [] : [`api.example.com ${port}`]
        const { stdout } = await sandbox({ preset: 'system', network: 'private' }).run('sh', [...command, ...names])
        server.close()
        stub.close()
        return stdout.replaceAll(String(port), 'PORT')
      }
      const asks = (resolver: string | undefined, text: string) =>
        evaluate(caller, body, { tries, other, resolver }, { wrapper: onHost(caller, text) })
      const through = (address: string) => `nameserver ${address}\nsearch example.net\napi.example.com PORT here\n`
      assert.equal(await asks('127.0.0.53', 'nameserver 127.0.0.53\nsearch example.net\n'), through('198.18.0.1'))
      assert.equal(await asks('::1', 'search example.net\nnameserver ::1\n'), through('fd00:7669:616c::1'))
      assert.equal(await asks(other, `nameserver ${other}\nsearch example.net\n`), through('198.18.0.1'))
      // Of another host it is the same file.
      assert.equal(
        await asks(undefined, 'nameserver 203.0.113.53\n# as it is\n'),
        'nameserver 203.0.113.53\n# as it is\n',
      )
    })

    test('a compiled vial, a named sandbox and a command that enters have it, and nothing is left of it', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox, Sandbox }, { tries, other, main }) => {
          const { createServer } = await import('node:net')
          const { spawn } = await import('node:child_process')
          const { readdirSync, readFileSync } = await import('node:fs')
          const { once } = (await import('node:events')).default
          const server = createServer((socket) => socket.on('error', () => {}).end('here'))
          await once(server.listen(0, other), 'listening')
          const { port } = server.address() as { port: number }
          const place = `${other} ${port}`
          const call = async (program: string, ...args: string[]) => {
            const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
            let text = ''
            for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes))
            const [status] = await once(child, 'close')
            return `${status} ${text.trim().replace(String(port), 'PORT')}`
          }
          /** Of pasta, by its arguments. */
          const pastas = () =>
            readdirSync('/proc').filter((name) => {
              try {
                return /^[^\0]*\/pasta\0/.test(readFileSync(`/proc/${name}/cmdline`, 'latin1'))
              } catch {
                return false
              }
            }).length
          const vial = (...args: string[]) => call(process.execPath, main, ...args)
          const python = ['python3', '-c', tries, place]
          const compiled = await vial('compile', '--network', 'private', '-o', 'private-vial', '--')
          const alone = await call('./private-vial', ...python)
          const started = await vial('start', '--name', 'box', '--network', 'private')
          const entered = await vial('exec', 'box', '--', ...python)
          const attached = await (await Sandbox.attach('box')).run('python3', ['-c', tries, place])
          const running = pastas()
          await vial('stop', 'box')
          const stopped = pastas()
          const fixed = await sandbox({ preset: 'system', network: 'private', filesystem: [{ sysfs: '/sys' }] }).run(
            'sh',
            ['-c', 'ls /sys/class/net; exec python3 -c "$@"', 'sh', tries, place],
          )
          const over = pastas()
          server.close()
          return {
            compiled: compiled.slice(0, 15),
            ...{ alone, started: started.slice(0, 10), entered, running, stopped, over },
            attached: attached.stdout.replace(String(port), 'PORT'),
            fixed: fixed.stdout.replace(String(port), 'PORT'),
          }
        },
        { tries, other, main },
        { wrapper: onHost(caller) },
      )
      assert.deepEqual(seen, {
        compiled: '0 private-vial:',
        alone: `0 ${other} PORT here`,
        started: '0 box runs',
        entered: `0 ${other} PORT here`,
        running: 2,
        stopped: 0,
        over: 0,
        attached: `${other} PORT here\n`,
        fixed: `lo\nuplink\n${other} PORT here\n`,
      })
    })

    test('whatever else is or is not of its own', async () => {
      const policies: readonly Policy[] = [
        { namespaces: { pid: 'host' } },
        { init: 'payload' },
        { identity: { uid: 0 } },
        { disableUserns: true, dieWithParent: false },
        ...(caller.uid === 0 ? [{ namespaces: { user: 'host' } } as const] : []),
      ]
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { policies, tries, other }) => {
          const { createServer } = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = createServer((socket) => socket.on('error', () => {}).end('here'))
          await once(server.listen(0, other), 'listening')
          const { port } = server.address() as { port: number }
          const seen: string[] = []
          for (const policy of policies) {
            const made = sandbox({ preset: 'system', network: 'private', ...policy })
            seen.push((await made.run('python3', ['-c', tries, `${other} ${port}`])).stdout.trim().split(' ').at(-1)!)
          }
          server.close()
          return seen
        },
        { policies, tries, other },
        { wrapper: onHost(caller) },
      )
      assert.deepEqual(
        seen,
        policies.map(() => 'here'),
      )
    })

    test('without what it needs it is not started, and says why', async () => {
      const why = (change: string) =>
        evaluate(
          caller,
          async ({ sandbox }) => {
            try {
              return String((await sandbox({ preset: 'system', network: 'private' }).run('true')).exitCode)
            } catch (error) {
              return `${(error as { stage: string }).stage}: ${(error as Error).message.split('\n')[0]}`
            }
          },
          {},
          { wrapper: onHost(caller, undefined, change) },
        )
      const needs = 'host: network: "private" needs pasta, of the package passt: '
      assert.equal(await why('true'), '0')
      assert.equal(await why('mount --bind /dev/null $(command -v pasta)'), `${needs}pasta is not installed`)
      assert.equal(await why('mount -t tmpfs none /dev/net'), `${needs}there is no /dev/net/tun`)
      const says =
        /^sandbox: cannot connect a network of its own by pasta, which needs \/dev\/net\/tun, a default route, and leave of AppArmor or SELinux \(see dmesg\): /
      assert.match(await why('ip link del uplink'), says)
      assert.match(await why('mount --bind /bin/false $(command -v pasta)'), /: it has ended without a word$/)
      // Another file that can be opened.
      const device = await why('mount --bind /dev/null /dev/net/tun')
      assert.match(device, says)
      assert.match(device, / tun /)
    })

    test('with a pasta that was killed it goes on, and reaches nothing', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { tries, other }) => {
          const { createServer } = await import('node:net')
          const { readdirSync, readFileSync } = await import('node:fs')
          const { once } = (await import('node:events')).default
          const server = createServer((socket) => socket.on('error', () => {}).end('here'))
          await once(server.listen(0, other), 'listening')
          const { port } = server.address() as { port: number }
          const box = await sandbox({ preset: 'system', network: 'private' }).open()
          const reach = async () =>
            (await box.run('python3', ['-c', tries, `${other} ${port}`])).stdout.trim().split(' ').at(-1)
          const before = await reach()
          for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one)))
            if (/^[^\0]*\/pasta\0/.test(readFileSync(`/proc/${name}/cmdline`, 'latin1')))
              process.kill(Number(name), 'SIGKILL')
          const after = await reach()
          const { stdout } = await box.run('echo', ['alive'])
          await box[Symbol.asyncDispose]()
          server.close()
          return { before, isReached: after === 'here', stdout }
        },
        { tries, other },
        { wrapper: onHost(caller) },
      )
      assert.deepEqual(seen, { before: 'here', isReached: false, stdout: 'alive\n' })
    })

    test('is refused where it cannot be', async () => {
      const faults = await evaluate(
        caller,
        async ({ sandbox }) => {
          const said = async (action: () => Promise<unknown>) => {
            try {
              await action()
              return ''
            } catch (error) {
              return (error as Error).message
            }
          }
          return [
            await said(() => sandbox({ preset: 'system', network: 'private' }).pool()),
            await said(async () => sandbox({ network: 'private', namespaces: { net: 'host' } }).compile()),
          ]
        },
        {},
        { wrapper: onHost(caller) },
      )
      assert.deepEqual(faults, [
        'network: "private" is for a sandbox that is started with its command, or opened: a pool has none',
        'network: "private" contradicts namespaces.net',
      ])
    })
  })
