/** Connections through the gateway: both ways and their ends, limits, and what holds a stream up. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import type { GatewayOptions } from '../../src/network/gatewayOptions.js'
import { parseDestination } from '../../src/policy/networkRules.js'
import { endOf, gate, serve, settled, textOf } from '../support/gate.js'
import { eventually } from '../support/processes.js'

/** A server outside by the name api.example.com, and what connects to it. */
async function api(t: TestContext, answer?: (socket: Socket) => void, options?: GatewayOptions) {
  const outside = await serve(t, answer)
  const destination = `api.example.com:${outside.port}`
  const gateway = await gate(t, [destination, `127.0.0.1:${outside.port}`], options)
  const at = await gateway.tcp('api.example.com', outside.port)
  const connected = async (): Promise<[Socket, Socket]> => {
    const before = outside.sockets.length
    const program = gateway.program(at)
    await eventually(
      () => outside.sockets.length,
      (count) => count > before,
    )
    return [program, outside.sockets[before]!]
  }
  return { ...gateway, outside, destination, connected, program: () => gateway.program(at) }
}

describe('the end of a connection', () => {
  test('of one way is handed on, from inside, and the other goes on', async (t) => {
    const { connected, told, outside, gateway } = await api(t)
    const [program, server] = await connected()
    program.end('question')
    assert.equal(await textOf(server), 'question')
    server.write('answer')
    server.end(', and its end')
    assert.equal(await textOf(program), 'answer, and its end')
    const { time, ms, ...event } = await told('end')
    assert.deepEqual(event, {
      ...{ event: 'end', protocol: 'tcp', name: 'api.example.com', port: outside.port, verdict: 'allowed' },
      ...{ reason: 'closed', rule: `api.example.com:${outside.port}`, real: '127.0.0.1', bytesIn: 19, bytesOut: 8 },
    })
    assert.ok(time > 0 && ms! >= 0)
    assert.deepEqual(gateway.summary(), { refused: [], others: 0, allowed: 1, bytesIn: 19, bytesOut: 8 })
  })

  test('of one way is handed on, from outside, and the other goes on', async (t) => {
    const { connected, told } = await api(t)
    const [program, server] = await connected()
    server.end('greeting')
    assert.equal(await textOf(program), 'greeting')
    program.write('much')
    program.end(' more')
    assert.equal(await textOf(server), 'much more')
    const { reason, bytesIn, bytesOut } = await told('end')
    assert.deepEqual([reason, bytesIn, bytesOut], ['closed', 8, 9])
  })

  test('is a reset where it was one, both ways', async (t) => {
    const { connected, told } = await api(t)
    for (const by of [0, 1]) {
      const both = await connected()
      const other = endOf(both[1 - by]!)
      both[by]!.resetAndDestroy()
      assert.equal(await other, 'ECONNRESET')
      assert.equal((await told('end', by)).reason, 'ECONNRESET')
    }
  })

  test('is a reset where it comes with the last bytes: what was cut off does not look whole', async (t) => {
    const { connected, told } = await api(t)
    for (const index of [0, 1, 2, 3, 4]) {
      const [program, server] = await connected()
      // A program that is written in JavaScript has to look as closely.
      program.on('end', () => program.write(Buffer.alloc(0)))
      const ended = endOf(program)
      server.write('some', () => server.resetAndDestroy())
      const { reason } = await told('end', index)
      assert.deepEqual([await ended, reason], ['ECONNRESET', 'ECONNRESET'])
    }
  })

  test('that was handed on one way can be a reset of the other', async (t) => {
    const { connected } = await api(t)
    const [program, server] = await connected()
    program.end('question')
    assert.equal(await textOf(server), 'question')
    const ended = endOf(program)
    server.resetAndDestroy()
    assert.equal(await ended, 'ECONNRESET')
  })
})

/** Listens, and accepts none: it holds its own thread still. */
async function deaf(t: TestContext): Promise<number> {
  const program = `
    import { createServer } from 'node:net'
    import { writeSync } from 'node:fs'
    const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      writeSync(1, String(server.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', program])
  t.after(() => child.kill('SIGKILL'))
  const [bytes] = await once(child.stdout!, 'data')
  return Number(bytes)
}

/** A gateway before it, as many as its kernel takes for it being connected. */
async function unanswered(t: TestContext, options: GatewayOptions) {
  const port = await deaf(t)
  const made = await gate(t, [`api.example.com:${port}`, `127.0.0.1:${port}`], options)
  const at = await made.tcp('api.example.com', port)
  const programs = [1, 2, 3, 4, 5].map(() => made.program(at))
  return { ...made, port, programs }
}

describe('a connection that cannot be made', () => {
  test('is reset where none listens', async (t) => {
    const { outside, program, told } = await api(t)
    outside.server.close()
    await once(outside.server, 'close')
    assert.equal(await endOf(program()), 'ECONNRESET')
    const { verdict, reason, rule } = await told('decision')
    assert.deepEqual([verdict, reason, rule], ['failed', 'ECONNREFUSED', `api.example.com:${outside.port}`])
  })

  test('is reset where nothing is said in time', async (t) => {
    const { programs, events } = await unanswered(t, { times: { connect: 300 } })
    assert.equal(await Promise.race(programs.map(endOf)), 'ECONNRESET')
    await eventually(
      () => events.filter(({ reason }) => reason === 'ETIMEDOUT').length,
      (count) => count > 0,
    )
  })

  test('is left off when it is denied, and when the gateway closes', async (t) => {
    const { programs, events, gateway, port } = await unanswered(t, {})
    const ended = programs.map(endOf)
    await eventually(
      () => events.length,
      (count) => count > 0,
    )
    gateway.deny([parseDestination(`api.example.com:${port}`)!])
    assert.deepEqual(await Promise.all(ended), Array(5).fill('ECONNRESET'))
    await eventually(
      () => events.filter(({ reason }) => reason === 'ECANCELED').length,
      (count) => count > 0,
    )
  })

  test('is reset where its name cannot be looked up', async (t) => {
    const resolve = async () => {
      throw Object.assign(new Error('none'), { code: 'ESERVFAIL' })
    }
    const { program, told } = await api(t, undefined, { resolve })
    assert.equal(await endOf(program()), 'ECONNRESET')
    const { verdict, reason } = await told('decision')
    assert.deepEqual([verdict, reason], ['failed', 'looking it up failed (ESERVFAIL)'])
  })
})

/** More than kernels hold for one connection. */
const much = 2 ** 27

/** Writes what fits, again and again, and counts it. */
function pour(socket: Socket) {
  const chunk = Buffer.alloc(2 ** 18, 'vial')
  const count = { sent: 0 }
  const more = () => {
    while (count.sent < much) {
      count.sent += chunk.length
      if (!socket.write(chunk)) return void socket.once('drain', more)
    }
    socket.end()
  }
  more()
  return count
}

describe('a stream', () => {
  for (const [name, of] of [
    ['in', (both: [Socket, Socket]) => [both[1], both[0]]],
    ['out', (both: [Socket, Socket]) => both],
  ] as const)
    test(`on its way ${name} waits for one who does not read, and costs no memory; then all of it arrives`, async (t) => {
      const { connected } = await api(t)
      const [from, to] = of(await connected()) as [Socket, Socket]
      to.pause()
      const before = process.memoryUsage().rss
      const count = pour(from)
      const sent = await settled(() => count.sent)
      assert.ok(sent < much / 2, `${sent} bytes were taken`)
      const more = process.memoryUsage().rss - before
      assert.ok(more < 48 * 2 ** 20, `${more} bytes more`)
      let read = 0
      for await (const bytes of to) read += (bytes as Buffer).length
      assert.equal(read, much)
    })

  test('is the same on both ways at once, in many connections', async (t) => {
    const { connected } = await api(t, (socket) => socket.pipe(socket))
    const sums = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const [program] = await connected()
        const bytes = randomBytes(100_000 + 1000 * index)
        program.end(bytes)
        const sum = createHash('sha256')
        for await (const some of program) sum.update(some as Buffer)
        return sum.digest('hex') === createHash('sha256').update(bytes).digest('hex')
      }),
    )
    assert.deepEqual(sums, Array(40).fill(true))
  })

  test('is no faster than its limit', async (t) => {
    const { connected } = await api(t, undefined, { limits: { bytesPerSecond: 400_000 } })
    const [program, server] = await connected()
    const started = performance.now()
    server.end(Buffer.alloc(200_000))
    assert.equal((await textOf(program)).length, 200_000)
    // A tenth of a second's may come at once, and what is read at once is paid for behind it.
    assert.ok(performance.now() - started > 150)
  })
})

describe('limits of connections', () => {
  test('one on which nothing is said is reset at its time', async (t) => {
    const { connected, told } = await api(t, undefined, { times: { idle: 200 } })
    const [program, server] = await connected()
    assert.deepEqual(await Promise.all([endOf(program), endOf(server)]), ['ECONNRESET', 'ECONNRESET'])
    assert.equal((await told('end')).reason, 'nothing was said')
  })

  test('so many are open at a time, and no more', async (t) => {
    const { connected, program, events, told } = await api(t, undefined, { limits: { connections: 2 } })
    const [first] = await connected()
    await connected()
    assert.equal(await endOf(program()), 'ECONNRESET')
    await told('decision', 2)
    assert.deepEqual(events.map(({ verdict, reason }) => [verdict, reason]).at(-1), [
      'refused',
      '2 connections are open',
    ])
    first.resetAndDestroy()
    await told('end')
    const [third, server] = await connected()
    server.end('here')
    assert.equal(await textOf(third), 'here')
  })

  test('so many are made at a time, and the others wait', async (t) => {
    const asked: string[] = []
    const answers: (() => void)[] = []
    const resolve = async (name: string) => {
      asked.push(name)
      await new Promise<void>((answer) => answers.push(answer))
      return ['127.0.0.1']
    }
    const { port } = await serve(t, (socket) => socket.end('here'))
    const names = ['a', 'b', 'c', 'd'].map((name) => `${name}.example.com`)
    const made = await gate(t, [`*.example.com:${port}`, `127.0.0.1:${port}`], { resolve, limits: { dials: 2 } })
    const programs: Promise<string>[] = []
    for (const name of names) programs.push(textOf(made.program(await made.tcp(name, port))))
    assert.equal(await settled(() => asked.length), 2)
    for (let answered = 0; answered < 4; answered++) {
      await eventually(
        () => answers.length,
        (count) => count > answered,
      )
      assert.ok(asked.length <= answered + 2)
      answers[answered]!()
    }
    assert.deepEqual(await Promise.all(programs), Array(4).fill('here'))
  })

  test('one that goes away before its turn leaves it to the next', async (t) => {
    const answers: (() => void)[] = []
    const resolve = async () => {
      await new Promise<void>((answer) => answers.push(answer))
      return ['127.0.0.1']
    }
    const options = { resolve, limits: { dials: 1 } }
    const { port } = await serve(t, (socket) => socket.end('here'))
    const made = await gate(t, [`*.example.com:${port}`, `127.0.0.1:${port}`], options)
    const programs: Socket[] = []
    for (const name of ['a', 'b', 'c']) {
      const one = made.program(await made.tcp(`${name}.example.com`, port))
      programs.push(one)
      await once(one, 'connect')
      await eventually(
        () => answers.length,
        (count) => count > 0,
      )
    }
    const last = textOf(programs[2]!)
    made.gateway.deny([parseDestination(`b.example.com:${port}`)!])
    assert.equal(await endOf(programs[1]!), 'ECONNRESET')
    answers[0]!()
    assert.equal(await textOf(programs[0]!), 'here')
    await eventually(
      () => answers.length,
      (count) => count > 1,
    )
    answers[1]!()
    assert.equal(await last, 'here')
  })

  test('behind so many bytes all ends, and nothing new begins', async (t) => {
    const { connected, program, told, gateway } = await api(t, undefined, { limits: { bytes: 100_000 } })
    const [quiet] = await connected()
    const [program_, server] = await connected()
    const ends = [endOf(quiet), endOf(program_)]
    server.write(Buffer.alloc(100_001))
    // A socket of Node.js takes a reset that comes with data for the end.
    program_.on('end', () => program_.destroy())
    assert.equal((await Promise.all(ends))[0], 'ECONNRESET')
    for (const index of [0, 1]) assert.equal((await told('end', index)).reason, '100000 bytes have gone through')
    assert.equal(await endOf(program()), 'ECONNRESET')
    assert.equal((await told('decision', 2)).reason, '100000 bytes have gone through')
    assert.deepEqual([gateway.summary().bytesIn, gateway.summary().bytesOut], [100_001, 0])
  })
})

describe('changes', () => {
  test('what is denied is reset, and nothing else; what is allowed again is reached', async (t) => {
    const { port, sockets } = await serve(t, (socket) => socket.write('here'))
    const made = await gate(t, [`*.example.com:${port}`, `127.0.0.1:${port}`])
    const [a, b] = [await made.tcp('a.example.com', port), await made.tcp('b.example.com', port)]
    const [first, second] = [made.program(a), made.program(b)]
    await Promise.all([once(first, 'data'), once(second, 'data')])
    const rule = parseDestination(`a.example.com:${port}`)!
    const ended = endOf(first)
    made.gateway.deny([rule])
    assert.equal(await ended, 'ECONNRESET')
    assert.equal((await made.told('end')).reason, 'a rule denies it')
    second.end()
    for (const socket of sockets) socket.end()
    assert.equal(await endOf(second), 'closed')
    assert.equal(await endOf(made.program(a)), 'ECONNRESET')
    made.gateway.allow([rule])
    await once(made.program(a), 'data')
  })

  test('behind its end a gateway takes no connection', async (t) => {
    const { gateway, connected, told } = await api(t)
    const [program, server] = await connected()
    const ends = [endOf(program), endOf(server)]
    gateway.close()
    assert.deepEqual(await Promise.all(ends), ['ECONNRESET', 'ECONNRESET'])
    assert.equal((await told('end')).reason, 'the sandbox has ended')
  })
})

/** A program with a gateway, an open connection through it, and one that is being made. */
const withGateway = (then: string) => `
  import { createServer, connect } from 'node:net'
  import { createSocket } from 'node:dgram'
  import { once } from 'node:events'
  import { Gateway } from '${new URL('../../src/network/gateway.js', import.meta.url).href}'
  import { parseDestination } from '${new URL('../../src/policy/networkRules.js', import.meta.url).href}'
  import { parseAddress } from '${new URL('../../src/policy/ipAddress.js', import.meta.url).href}'
  const server = createServer((socket) => { socket.on('error', () => {}).unref(); socket.write('here') }).unref()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  const allow = ['127.0.0.1:' + port, 'slow.example.com:' + port, 'udp:127.0.0.1:' + port].map(parseDestination)
  const gateway = new Gateway({ allow, deny: [] }, { resolve: () => new Promise(() => {}) })
  const address = parseAddress('127.0.0.1')
  for (const localAddress of ['127.0.0.1', gateway.addressesOf('slow.example.com').v4]) {
    const inside = createServer()
    inside.on('connection', (socket) => {
      Object.defineProperty(socket, 'localAddress', { value: localAddress })
      Object.defineProperty(socket, 'localPort', { value: port })
    })
    await once(inside.listen(0, '127.0.0.2'), 'listening')
    gateway.take({ protocol: 'tcp', role: 'destination', address, port }, inside)
    const socket = connect(inside.address().port, '127.0.0.2').on('error', () => {})
    await once(socket, localAddress === '127.0.0.1' ? 'data' : 'connect')
    socket.unref()
  }
  const udp = createSocket('udp4')
  await once(udp.bind(0, '127.0.0.2'), 'listening')
  gateway.take({ protocol: 'udp', role: 'destination', address, port }, udp)
  const asker = createSocket('udp4').unref()
  asker.send('x', udp.address().port, '127.0.0.2')
  ${then}
  console.log('at its end')`

for (const [name, then] of [
  ['that has closed', 'gateway.close()'],
  ['that is open still', ''],
] as const)
  test(`a gateway ${name} keeps no process`, () => {
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', withGateway(then)], {
      ...{ encoding: 'utf8', timeout: 30_000, killSignal: 'SIGKILL' },
    })
    assert.deepEqual([done.stdout, done.stderr, done.status], ['at its end\n', '', 0])
  })
