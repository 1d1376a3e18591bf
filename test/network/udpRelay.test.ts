/** Datagrams through the gateway: who answers whom, and what ends a conversation. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:dgram'
import { type TestContext, test } from 'node:test'
import type { GatewayOptions } from '../../src/network/gatewayOptions.js'
import { parseDestination } from '../../src/policy/networkRules.js'
import { datagrams, gate, settled } from '../support/gate.js'
import { eventually } from '../support/processes.js'

interface Datagram {
  readonly text: string
  readonly from: string
}

/** What a socket has heard. */
function heard(socket: Socket): Datagram[] {
  const all: Datagram[] = []
  socket.on('message', (bytes, { address, port }) => all.push({ text: String(bytes), from: `${address}:${port}` }))
  return all
}
const count = (all: readonly unknown[], most: number) =>
  eventually(
    () => all.length,
    (length) => length >= most,
  )

/** A server outside, time.example.com, that says what it hears once more; and the way to it. */
async function clock(t: TestContext, options?: GatewayOptions) {
  const server = await datagrams(t)
  const asked = heard(server)
  server.on('message', (bytes, { port, address }) => server.send(bytes, port, address))
  const { port } = server.address()
  const rules = [`udp:time.example.com:${port}`, `udp:127.0.0.1:${port}`]
  const made = await gate(t, rules, options)
  const at = await made.udp('time.example.com', port)
  const program = async () => {
    const socket = await datagrams(t)
    return { socket, heard: heard(socket), say: (text: string | Buffer) => socket.send(text, at, '127.0.0.2') }
  }
  return { ...made, server, asked, port, at, program }
}

test('each program is answered, from the address that it asked', async (t) => {
  const { program, udp, port, at, gateway, told } = await clock(t)
  const [one, two] = [await program(), await program()]
  const other = await udp('127.0.0.1', port, '127.0.0.3')
  one.say('1')
  two.say('22')
  one.socket.send('333', other, '127.0.0.3')
  await count(one.heard, 2)
  await count(two.heard, 1)
  assert.deepEqual(
    [...one.heard].sort((a, b) => a.text.length - b.text.length),
    [
      { text: '1', from: `127.0.0.2:${at}` },
      { text: '333', from: `127.0.0.3:${other}` },
    ],
  )
  assert.deepEqual(two.heard, [{ text: '22', from: `127.0.0.2:${at}` }])
  gateway.close()
  const ends = [await told('end'), await told('end', 1), await told('end', 2)]
  assert.deepEqual(ends.map(({ bytesIn }) => bytesIn).sort(), [1, 2, 3])
  const [{ time, ms, bytesIn, bytesOut, ...event }] = ends as [(typeof ends)[0]]
  assert.deepEqual(event, {
    ...{ event: 'end', protocol: 'udp', name: 'time.example.com', port, verdict: 'allowed' },
    ...{ reason: 'the sandbox has ended', rule: `udp:time.example.com:${port}`, real: '127.0.0.1' },
  })
  assert.deepEqual(gateway.summary(), { refused: [], others: 0, allowed: 3, bytesIn: 6, bytesOut: 6 })
})

test('no other host is heard', async (t) => {
  const { server, program } = await clock(t)
  const { say, heard } = await program()
  let port = 0
  server.on('message', (_, from) => {
    port = from.port
  })
  say('question')
  await count(heard, 1)
  const stranger = await datagrams(t, '127.0.0.9')
  stranger.send('not asked', port, '127.0.0.1')
  say('last')
  await count(heard, 2)
  assert.deepEqual(
    heard.map(({ text }) => text),
    ['question', 'last'],
  )
})

test('datagrams are whole, the longest and the empty one', async (t) => {
  const { program } = await clock(t)
  const { say, heard } = await program()
  const lengths = [65507, 0, 1, 9000]
  for (const [index, length] of lengths.entries()) {
    say(Buffer.alloc(length, 'x'))
    await count(heard, index + 1)
  }
  assert.deepEqual(
    heard.map(({ text }) => text.length),
    lengths,
  )
})

test('beyond so many, the one that was silent longest ends', async (t) => {
  const { program, told, events } = await clock(t, { limits: { conversations: 2 } })
  const [one, two, three] = [await program(), await program(), await program()]
  for (const [index, { say, heard }] of [one, two, one, three].entries()) {
    say(`${index}`)
    await eventually(
      () => heard.at(-1)?.text,
      (text) => text === `${index}`,
    )
  }
  const { reason, bytesIn } = await told('end')
  assert.deepEqual([reason, bytesIn], ['there are too many others', 1])
  // The first goes on as it was.
  one.say('again')
  await count(one.heard, 3)
  assert.equal(events.filter(({ event }) => event === 'decision').length, 3)
})

test('one in which nothing is said ends, and begins anew', async (t) => {
  const { program, told } = await clock(t, { times: { silent: 100 } })
  const { say, heard } = await program()
  say('1')
  assert.equal((await told('end')).reason, 'silent')
  say('2')
  await told('end', 1)
  assert.deepEqual(
    heard.map(({ text }) => text),
    ['1', '2'],
  )
})

test('what is refused hears nothing, is told once, and is decided anew at its time and when more is allowed', async (t) => {
  const server = await datagrams(t)
  server.on('message', (bytes, { port, address }) => server.send(bytes, port, address))
  const { port } = server.address()
  const { udp, events, gateway, told } = await gate(t, [`udp:127.0.0.1:${port}`], { times: { silent: 300 } })
  const at = await udp('127.0.0.9', port)
  const program = await datagrams(t)
  const answers = heard(program)
  const refused = () => events.filter(({ verdict }) => verdict === 'refused').length
  // Whatever is said meanwhile.
  const talking = setInterval(() => program.send('x', at, '127.0.0.2'), 10)
  t.after(() => clearInterval(talking))
  await eventually(refused, (seen) => seen === 2)
  assert.deepEqual(answers, [])
  assert.equal((await told('decision')).reason, 'no rule allows it')
  gateway.allow([parseDestination(`udp:127.0.0.9:${port}`)!])
  await eventually(
    () => events.some(({ event, verdict }) => event === 'decision' && verdict === 'allowed'),
    (seen) => seen,
  )
})

test('while it is decided some datagrams wait, in their order, and no more', async (t) => {
  let answer = () => {}
  const resolve = async () => {
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    return ['127.0.0.1']
  }
  const { program, asked, at, gateway, told } = await clock(t, { resolve })
  const [small, large] = [await program(), await program()]
  for (let index = 0; index < 100; index++) {
    small.say(`${index}`)
    // One after another: the kernel keeps only some for who has not read them.
    await new Promise<void>((sent) => {
      large.socket.send(Buffer.alloc(60_000), at, '127.0.0.2', () => sent())
    })
    await new Promise((turn) => setImmediate(turn))
  }
  await settled(() => asked.length)
  answer()
  await count(small.heard, 16)
  await settled(() => asked.length)
  assert.deepEqual(
    small.heard.map(({ text }) => text),
    Array.from({ length: 16 }, (_, index) => `${index}`),
  )
  gateway.close()
  // Not what the server heard: its kernel may have kept less.
  const sent = [await told('end'), await told('end', 1)].map(({ bytesOut }) => bytesOut!).sort((a, b) => a - b)
  assert.deepEqual(sent, [16 + 6, 3 * 60_000])
})

test('a port where none waits ends it, and the next datagram begins one', async (t) => {
  const gone = await datagrams(t)
  const { port } = gone.address()
  const made = await gate(t, [`udp:time.example.com:${port}`, `udp:127.0.0.1:${port}`])
  const program = await datagrams(t)
  const at = await made.udp('time.example.com', port)
  await new Promise<void>((resolve) => gone.removeAllListeners('message').close(resolve))
  t.mock.method(gone, 'close', () => {})
  for (const index of [0, 1]) {
    program.send('x', at, '127.0.0.2')
    assert.equal((await made.told('end', index)).reason, 'ECONNREFUSED')
  }
})

/** connect(2) says at once that a program may not send to all: EACCES. So it is where no route leads to an address of IPv6. */
const nowhere = '255.255.255.255'

test('an address to which no way leads ends it; where a name has others, the next is taken', async (t) => {
  const { port } = (await datagrams(t)).address()
  const rules = [`udp:${nowhere}:${port}`, `udp:127.0.0.1:${port}`, `udp:time.example.com:${port}`]
  const made = await gate(t, rules, { resolve: async () => [nowhere, '127.0.0.1'] })
  const program = await datagrams(t)
  program.send('x', await made.udp(nowhere, port), '127.0.0.2')
  assert.equal((await made.told('end')).reason, 'EACCES')
  program.send('x', await made.udp('time.example.com', port), '127.0.0.2')
  await made.told('decision', 1)
  await settled(() => made.events.length)
  made.gateway.close()
  const { real, bytesOut } = await made.told('end', 1)
  assert.deepEqual([real, bytesOut], ['127.0.0.1', 1])
})

test('what is denied ends, and behind so many bytes all does', async (t) => {
  const { program, port, gateway, told } = await clock(t, { limits: { bytes: 1000 } })
  const { say, heard } = await program()
  say('1')
  await count(heard, 1)
  const rule = parseDestination(`udp:time.example.com:${port}`)!
  gateway.deny([rule])
  assert.equal((await told('end')).reason, 'a rule denies it')
  say('2')
  assert.equal((await told('decision', 1)).verdict, 'refused')
  gateway.allow([rule])
  say('3')
  await count(heard, 2)
  say(Buffer.alloc(1000))
  assert.equal((await told('end', 1)).reason, '1000 bytes have gone through')
  say('4')
  assert.equal((await told('decision', 3)).reason, '1000 bytes have gone through')
  assert.equal(heard.length, 2)
})
