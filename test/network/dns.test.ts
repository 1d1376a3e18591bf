/** The DNS server of a sandbox: what it answers, what it refuses, malformed messages, floods. */
import assert from 'node:assert/strict'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { Resolver as DnsClient } from 'node:dns/promises'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { after, describe, test } from 'node:test'
import packet from 'dns-packet'
import fc from 'fast-check'
import { answerQuery, type NameAnswer, type Names } from '../../src/network/dnsAnswer.js'
import { type DnsLimits, DnsServer } from '../../src/network/dnsServer.js'
import { fakeAddresses, fakeIndex } from '../../src/policy/networkAddresses.js'

const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.example`
const known: Readonly<Record<string, NameAnswer>> = {
  'api.example.com': { is: 'known', addresses: fakeAddresses(0) },
  'xn--bcher-kva.example': { is: 'known', addresses: fakeAddresses(1) },
  '_s._tcp.example': { is: 'known', addresses: fakeAddresses(2) },
  [long]: { is: 'known', addresses: fakeAddresses(3) },
  'gone.example': { is: 'missing' },
  'failed.example': { is: 'failed' },
}
const indexed = Object.keys(known)
const asked: string[] = []
const names: Names = {
  ask: async (name) => {
    asked.push(name)
    if (name === 'broken.example') throw new Error('broken')
    return known[name] ?? { is: 'refused' }
  },
  nameOf: (address) => {
    const index = fakeIndex(address)
    return index === undefined ? undefined : indexed[index]
  },
  hasV6: true,
}

type Asking = Partial<packet.Question> & { readonly additionals?: packet.Answer[] }
const query = (name: string, { type = 'A', class: kind = 'IN', additionals = [] }: Asking = {}) =>
  packet.encode({
    type: 'query',
    id: 4711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type, class: kind }],
    additionals,
  })

async function ask(message: Buffer, by: 'udp' | 'tcp' = 'udp') {
  const answer = await answerQuery(message, names, by)
  if (answer === undefined) return undefined
  const read = packet.decode(answer)
  const records = read.answers!.map((one) => `${one.name} ${one.type} ${'data' in one ? String(one.data) : ''}`)
  return { ...read, rcode: answer[3]! & 0xf, records, length: answer.length }
}

const option = (rest: object = {}) =>
  ({
    type: 'OPT',
    name: '.',
    udpPayloadSize: 1400,
    flags: 0,
    extendedRcode: 0,
    ednsVersion: 0,
    options: [],
    ...rest,
  }) as unknown as packet.Answer
const type = (number: number) => `UNKNOWN_${number}` as packet.RecordType

const pointerV6 = `0.0.1.0.${'0.'.repeat(16)}c.6.1.6.9.6.6.7.0.0.d.f.ip6.arpa`

/** What is asked, the code of the answer (RFC 1035, 4.1.1), its records. */
const answers: readonly (readonly [string, Asking, number, readonly string[]])[] = [
  ['api.example.com', {}, 0, ['api.example.com A 198.18.1.0']],
  ['api.example.com', { type: 'AAAA' }, 0, ['api.example.com AAAA fd00:7669:616c::100']],
  ['aPi.ExAmPlE.cOm', {}, 0, ['aPi.ExAmPlE.cOm A 198.18.1.0']],
  ['api.example.com', { additionals: [option()] }, 0, ['api.example.com A 198.18.1.0']],
  ['_s._tcp.example', {}, 0, ['_s._tcp.example A 198.18.1.2']],
  ['api.example.com', { type: type(65) }, 0, []],
  ['api.example.com', { type: type(64) }, 0, []],
  ['api.example.com', { type: 'MX' }, 0, []],
  ['api.example.com', { type: 'TXT' }, 0, []],
  ['api.example.com', { type: 'SRV' }, 0, []],
  ['api.example.com', { type: 'ANY' as packet.RecordType }, 5, []],
  ['api.example.com', { type: 'AXFR' }, 5, []],
  ['api.example.com', { type: 'IXFR' }, 5, []],
  ['api.example.com', { class: 'CH' }, 5, []],
  ['version.bind', { type: 'TXT', class: 'CH' }, 5, []],
  ['evil.example.com', {}, 3, []],
  ['evil.example.com', { type: 'AAAA' }, 3, []],
  ['evil.example.com', { type: 'TXT' }, 3, []],
  ['api.example.com.evil.org', {}, 3, []],
  ['gone.example', {}, 3, []],
  ['failed.example', {}, 2, []],
  ['broken.example', {}, 2, []],
  ['localhost', {}, 0, ['localhost A 127.0.0.1']],
  ['db.LOCALHOST', { type: 'AAAA' }, 0, ['db.LOCALHOST AAAA ::1']],
  ['127.0.0.1', {}, 3, []],
  ['0x7f.1', {}, 3, []],
  ['bücher.example', {}, 0, ['bücher.example A 198.18.1.1']],
  ['a b.example', {}, 3, []],
  ['.', { type: 'NS' }, 3, []],
  ['0.1.18.198.in-addr.arpa', { type: 'PTR' }, 0, ['0.1.18.198.in-addr.arpa PTR api.example.com']],
  ['0.1.18.198.IN-ADDR.arpa', { type: 'PTR' }, 0, ['0.1.18.198.IN-ADDR.arpa PTR api.example.com']],
  ['0.1.18.198.in-addr.arpa', { type: 'A' }, 0, []],
  ['9.1.18.198.in-addr.arpa', { type: 'PTR' }, 3, []],
  ['1.0.0.127.in-addr.arpa', { type: 'PTR' }, 3, []],
  ['256.1.18.198.in-addr.arpa', { type: 'PTR' }, 3, []],
  [pointerV6, { type: 'PTR' }, 0, [`${pointerV6} PTR api.example.com`]],
  [`9${pointerV6.slice(1)}`, { type: 'PTR' }, 3, []],
  [`0.${pointerV6}`, { type: 'PTR' }, 3, []],
]

describe('a question', () => {
  for (const [name, asking, rcode, records] of answers)
    test(`${asking.type ?? 'A'} ${asking.class ?? ''} ${name}`, async () => {
      const answer = (await ask(query(name, asking)))!
      assert.deepEqual([answer.rcode, answer.records], [rcode, records])
      assert.deepEqual([answer.id, answer.type, answer.flag_rd, answer.flag_ra], [4711, 'response', true, true])
      assert.equal(answer.questions![0]!.name, name)
      for (const one of answer.answers!) assert.ok('ttl' in one && one.ttl! <= 60)
    })
  test('where names have no addresses of IPv6', async () => {
    const answer = await answerQuery(query('api.example.com', { type: 'AAAA' }), { ...names, hasV6: false }, 'udp')
    assert.deepEqual(packet.decode(answer!).answers, [])
    assert.equal(answer![3]! & 0xf, 0)
  })
  test('of a name that is refused, why is told to one who knows extensions', async () => {
    const [told] = (await ask(query('evil.example.com', { additionals: [option()] })))!
      .additionals as packet.OptAnswer[]
    const { code, data } = told!.options[0]! as { code: number; data: Buffer }
    assert.equal(code, 15)
    assert.equal(data.readUInt16BE(0), 18)
    assert.equal(data.toString('utf8', 2), "no rule of the sandbox's network allows this name")
    assert.deepEqual((await ask(query('evil.example.com')))!.additionals, [])
  })
  test('of another version of the extensions', async () => {
    const answer = (await ask(query('api.example.com', { additionals: [option({ ednsVersion: 1 })] })))!
    assert.deepEqual([answer.records, (answer.additionals![0] as packet.OptAnswer).extendedRcode], [[], 1])
  })
  test('with an answer that is too long for UDP', async () => {
    const cut = (await ask(query(long)))!
    assert.deepEqual([cut.flag_tc, cut.records, cut.length <= 512], [true, [], true])
    for (const whole of [await ask(query(long, { additionals: [option()] })), await ask(query(long), 'tcp')])
      assert.deepEqual([whole!.flag_tc, whole!.records], [false, [`${long} A 198.18.1.3`]])
  })
})

describe('a message that is no question', () => {
  const changed = (change: (message: Buffer) => void) => {
    const message = query('api.example.com')
    change(message)
    return message
  }
  const cases: readonly (readonly [string, Buffer, number | undefined])[] = [
    ['nothing', Buffer.alloc(0), undefined],
    ['less than a header', Buffer.alloc(11), undefined],
    ['an answer', changed((message) => message.writeUInt8(message[2]! | 0x80, 2)), undefined],
    ['a header alone', query('api.example.com').subarray(0, 12), 1],
    ['no question', changed((message) => message.writeUInt16BE(0, 4)), 1],
    ['two questions', changed((message) => message.writeUInt16BE(2, 4)), 1],
    ['65535 questions', changed((message) => message.writeUInt16BE(65535, 4)), 1],
    ['an answer in it', changed((message) => message.writeUInt16BE(1, 6)), 1],
    ['65535 additionals', changed((message) => message.writeUInt16BE(65535, 10)), 1],
    ['an option that is missing', changed((message) => message.writeUInt16BE(1, 10)), 1],
    ['a label beyond the end', changed((message) => message.writeUInt8(63, 12)), 1],
    ['a pointer to itself', changed((message) => message.writeUInt16BE(0xc00c, 12)), 1],
    ['a pointer into the header', changed((message) => message.writeUInt16BE(0xc004, 12)), 1],
    ['a reserved label', changed((message) => message.writeUInt8(0x80, 12)), 1],
    ['a dot in a label', changed((message) => message.write('.', 14)), 1],
    ['bytes that are no text', changed((message) => message.writeUInt8(0xff, 14)), 1],
    ['a status', changed((message) => message.writeUInt8(2 << 3, 2)), 4],
    ['an update', changed((message) => message.writeUInt8(5 << 3, 2)), 4],
    ['too long', Buffer.concat([query('api.example.com'), Buffer.alloc(5000)]), 1],
  ]
  for (const [is, message, rcode] of cases)
    test(is, async () => {
      const answer = await answerQuery(message, names, 'udp')
      assert.equal(answer === undefined ? undefined : answer[3]! & 0xf, rcode)
    })
  test('a NUL in a name', async () => {
    asked.length = 0
    const message = query('api.example.com')
    message.writeUInt8(0, 14)
    assert.equal((await ask(message))!.rcode, 3)
    assert.deepEqual(asked, [])
  })
  test('any bytes', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      // A question with some bytes changed gets further.
      fc
        .tuple(
          fc.constantFrom(query('api.example.com'), query('a.b.c.d.example', { additionals: [option()] })),
          fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 5 }),
          fc.uint8Array({ maxLength: 20 }),
        )
        .map(([message, changes, rest]) => {
          const changed = Buffer.concat([message, rest])
          for (const [at, byte] of changes) changed[at % changed.length] = byte
          return changed
        }),
    )
    await fc.assert(
      fc.asyncProperty(bytes, async (given) => {
        const message = Buffer.from(given)
        for (const by of ['udp', 'tcp'] as const) {
          const answer = await answerQuery(message, names, by)
          if (answer === undefined) {
            assert.ok(message.length < 12 || message[2]! >= 0x80)
            continue
          }
          assert.ok(message[2]! < 0x80 && answer[2]! >= 0x80, 'an answer is answered by nothing')
          assert.deepEqual(answer.subarray(0, 2), message.subarray(0, 2))
          assert.ok(answer.length <= (by === 'udp' ? 1232 : 65535))
          packet.decode(answer)
        }
      }),
      { numRuns: 3000 },
    )
  })
})

const limits: DnsLimits = { perSecond: 1000, connections: 4 }
const opened: (UdpSocket | Server | DnsServer)[] = []
after(() => {
  for (const one of opened) one.close()
})

async function serve(given: Partial<DnsLimits> = {}, of: Names = names) {
  const dns = new DnsServer(of, { ...limits, ...given })
  // TCP chooses the port: of its ports many are taken, also by connections that have ended; of those of UDP few.
  const tcp = createServer().listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  dns.takeUdp(udp)
  dns.takeTcp(tcp)
  opened.push(udp, tcp, dns)
  return port
}

const framed = (message: Buffer) => {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(message.length)
  return Buffer.concat([head, message])
}

describe('the server', () => {
  test("is understood by Node's own client, and falls back to TCP", async () => {
    const client = new DnsClient({ tries: 1, timeout: 5000 })
    client.setServers([`127.0.0.1:${await serve()}`])
    assert.deepEqual(await client.resolve4('api.example.com'), ['198.18.1.0'])
    assert.deepEqual(await client.resolve6('api.example.com'), ['fd00:7669:616c::100'])
    assert.deepEqual(await client.resolve4(long), ['198.18.1.3'])
    assert.deepEqual(await client.reverse('198.18.1.0'), ['api.example.com'])
    await assert.rejects(client.resolve4('evil.example.com'), { code: 'ENOTFOUND' })
    await assert.rejects(client.resolve4('gone.example'), { code: 'ENOTFOUND' })
    await assert.rejects(client.resolve4('failed.example'), { code: 'ESERVFAIL' })
    await assert.rejects(client.resolveMx('api.example.com'), { code: 'ENODATA' })
  })

  test('answers questions that come one behind the other, in pieces, until the end', async () => {
    const socket = connect({ port: await serve(), host: '127.0.0.1', allowHalfOpen: true })
    const questions = Array.from({ length: 200 }, (_, id) => {
      const message = query(id % 2 === 0 ? 'api.example.com' : 'evil.example.com')
      message.writeUInt16BE(id, 0)
      return framed(message)
    })
    const bytes = Buffer.concat(questions)
    for (let at = 0; at < bytes.length; at += 997) socket.write(bytes.subarray(at, at + 997))
    socket.end()
    let read = Buffer.alloc(0)
    for await (const some of socket) read = Buffer.concat([read, some as Buffer])
    const ids = new Map<number, number>()
    while (read.length > 0) {
      const length = read.readUInt16BE(0)
      ids.set(read.readUInt16BE(2), read[5]! & 0xf)
      read = read.subarray(2 + length)
    }
    assert.equal(ids.size, 200)
    for (const [id, rcode] of ids) assert.equal(rcode, id % 2 === 0 ? 0 : 3)
  })

  test('ends connections beyond so many, and those that send what is no message', async () => {
    const port = await serve({ connections: 2 })
    const sockets = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => {}))
    const closed = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await closed[2]
    sockets[0]!.write(Buffer.from([0xff, 0xff, 0, 0]))
    await closed[0]
    sockets[1]!.write(Buffer.from([0, 0]))
    await closed[1]
  })

  test('holds what it reads while it answers nothing', async () => {
    let answered: (() => void) | undefined
    const slow: Names = {
      ...names,
      ask: async () => {
        await new Promise<void>((resolve) => {
          answered = resolve
        })
        return { is: 'refused' }
      },
    }
    const socket = connect({ port: await serve({}, slow), host: '127.0.0.1' })
    await once(socket, 'connect')
    const message = framed(query('evil.example.com'))
    // More than the kernel takes for one who does not read.
    const many = Buffer.concat(Array.from({ length: 1000 }, () => message))
    let sent = 0
    while (socket.writableLength < 2 ** 22 && sent < 1000) {
      socket.write(many)
      sent++
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(socket.writableLength > 2 ** 21, 'the asker waits')
    assert.notEqual(answered, undefined)
    socket.destroy()
  })

  test('answers so many in a second, and no more', async () => {
    const port = await serve({ perSecond: 10 })
    const client = createSocket('udp4').bind(0, '127.0.0.1')
    await once(client, 'listening')
    opened.push(client)
    let heard = 0
    client.on('message', () => heard++)
    for (let sent = 0; sent < 1000; sent++) client.send(query('evil.example.com'), port, '127.0.0.1')
    // One that comes by TCP when all others were read has its turn later.
    const socket = connect(port, '127.0.0.1')
    socket.write(framed(query('api.example.com')))
    await once(socket, 'data')
    socket.destroy()
    assert.ok(heard >= 1 && heard < 100, `${heard} answers`)
  })
})
