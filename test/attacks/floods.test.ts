/** A payload that asks its network by name too much: what it costs Node.js is bounded, and the next honest connection works. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'
import { connections, fromNowhere, fuzzed, honest, tunnel, unread } from './payloads.js'

/** Bytes of memory more than before, and room for what a collector has not collected yet. */
const most = 96 * 2 ** 20

const floods: readonly (readonly [string, string, readonly string[]])[] = [
  ['malformed questions, by a fixed seed', fuzzed, []],
  ['twenty thousand questions for names that are not listed', tunnel, []],
  ['ten thousand connections', connections, ['PORT', 'unfinished', '10000', '1500']],
  ['connections that are waited for', connections, ['PORT', 'many', '400', '400']],
  ['connections that are reset at once', connections, ['PORT', 'reset', '300', '1']],
  ['connections that say a byte and wait', connections, ['PORT', 'slow', '500', '500']],
  ['datagrams from nowhere', fromNowhere, ['UDP']],
]
const python = notInstalled('python3')

for (const caller of callers)
  test(`floods by ${caller.name}`, { skip: python }, async (t) => {
    const seen = await evaluate(
      caller,
      async ({ sandbox }, { floods, honest, unread }) => {
        const net = await import('node:net')
        const { createSocket } = await import('node:dgram')
        const { once } = (await import('node:events')).default
        const listening = async (says: (socket: import('node:net').Socket) => void) => {
          const server = net.createServer((socket) => says(socket.on('error', () => {})))
          server.listen(0, '127.0.0.1')
          await once(server, 'listening')
          return server
        }
        const server = await listening((socket) => {
          // Says it, and waits for the other's end.
          socket.write('here')
          socket.resume()
        })
        const chunk = Buffer.alloc(2 ** 16)
        let poured = 0
        const pouring = await listening((socket) => {
          const more = () => {
            while (!socket.destroyed && poured < 2 ** 30) {
              poured += chunk.length
              if (!socket.write(chunk)) return void socket.once('drain', more)
            }
          }
          more()
        })
        const udp = createSocket('udp4').bind(0, '127.0.0.1')
        await once(udp, 'listening')
        udp.on('message', (_, { port, address }) => {
          for (let index = 0; index < 200; index++) udp.send(chunk.subarray(0, 60_000), port, address, () => {})
        })
        const [port, flood] = [server, pouring].map((one) => (one.address() as { port: number }).port)
        const asked = new Set<string>()
        const box = await sandbox({
          ...{ preset: 'system', seccomp: 'none', landlock: 'off', capabilities: ['CAP_NET_RAW'] },
          identity: { uid: 0, gid: 0 },
          network: {
            allow: [
              ...[`api.example.com:${port}`, `flood.example.com:${flood}`, `127.0.0.1:${port}`, `127.0.0.1:${flood}`],
              ...[`udp:flood.example.com:${udp.address().port}`, `udp:127.0.0.1:${udp.address().port}`],
            ],
            resolve: async (name: string) => {
              asked.add(name)
              return ['127.0.0.1']
            },
          },
        }).open()
        const python = (program: string, words: readonly string[]) =>
          box.run('python3', [
            ...['-c', program],
            ...words.map((word) => word.replace('PORT', String(port)).replace('UDP', String(udp.address().port))),
          ])
        const memory = () => process.memoryUsage().rss
        const seen: { said: string; more: number; after: string; ms: number }[] = []
        await python(honest, ['PORT'])
        for (const [, program, words] of floods) {
          const [before, started] = [memory(), performance.now()]
          const { stdout, stderr } = await python(program, words)
          const more = memory() - before
          const after = (await python(honest, ['PORT'])).stdout.trim()
          seen.push({ said: `${stdout}${stderr}`.trim(), more, after, ms: Math.round(performance.now() - started) })
        }
        // While it reads nothing of what it was answered.
        const before = memory()
        const held = box.spawn('python3', ['-c', unread, String(flood), String(udp.address().port)])
        let isOver = false
        const end = () => {
          isOver = true
        }
        void held.result.then(end, end)
        let text = ''
        held.stdout!.on('data', (bytes: Buffer) => {
          text += bytes
        })
        let [last, still] = [-1, 0]
        while (!(text.includes('ready') && still > 20) && !isOver) {
          still = poured === last ? still + 1 : 0
          last = poured
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        const unreadMore = memory() - before
        held.stdin?.end()
        await held.result.catch(() => {})
        const after = (await python(honest, ['PORT'])).stdout.trim()
        await box.close()
        for (const one of [server, pouring]) one.close()
        udp.close()
        return { seen, asked: [...asked], unread: { text, more: unreadMore, poured, after } }
      },
      { floods, honest, unread },
    )
    const said = ['answered', 'refused', 'tried', 'tried', 'tried', 'tried', 'sent']
    for (const [index, [what]] of floods.entries())
      await t.test(`${what}: refused or bounded, and the next honest connection works`, () => {
        const { said: answer, more, after } = seen.seen[index]!
        assert.deepEqual([answer, after], [said[index], 'here'])
        assert.ok(more < most, `${more} bytes more`)
      })
    await t.test('more answers than are read wait outside', () => {
      const { text, more, poured, after } = seen.unread
      assert.deepEqual([text, after], ['60000\nready\n', 'here'])
      assert.ok(poured < 2 ** 30, `${poured} bytes were taken`)
      // The servers are in the same process.
      assert.ok(more < 2 * most, `${more} bytes more`)
    })
    await t.test('no name but the listed ones was asked for outside', () => {
      assert.deepEqual(seen.asked.sort(), ['api.example.com', 'flood.example.com'])
    })
    t.diagnostic(JSON.stringify([seen.seen, seen.unread]))
  })
