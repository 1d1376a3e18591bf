/** The proxy inside: what programs ask it for is decided as every connection is, in whatever words. */
import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Gateway } from '../../src/network/gateway.js'
import { parseAddress } from '../../src/policy/ipAddress.js'
import { parseDestination } from '../../src/policy/networkRules.js'
import { listening } from '../support/network/listening.js'

const here = parseAddress('127.0.0.1')!

/** A gateway's proxy, a server that says what it got, and one that answers requests. */
async function begin(t: TestContext, limits = {}) {
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
  const web = createHttpServer((asked, answer) => {
    const parts: Buffer[] = []
    asked.on('data', (part) => parts.push(part))
    asked.on('end', () => {
      answer.setHeader('x-many', ['1', '2'])
      answer.end(JSON.stringify({ url: asked.url, headers: asked.headers, body: Buffer.concat(parts).toString() }))
    })
  })
  const [{ port: echoPort }, { port: webPort }] = [await listening(echo), await listening(web)]
  const server = createServer()
  const { port } = await listening(server)
  const allow = [
    ...[`echo.example.com:${echoPort}`, 'web.example.com:*', 'gone.example.com:1'],
    ...[1, echoPort, webPort].map((one) => `127.0.0.1:${one}`),
  ]
  const gateway = new Gateway(
    { allow: allow.map((one) => parseDestination(one)!), deny: [] },
    { resolve: async () => ['127.0.0.1'], limits },
  )
  gateway.take({ protocol: 'tcp', role: 'proxy', address: here, port }, server)
  t.after(() => {
    gateway.close()
    for (const one of [echo, web]) one.close()
    web.closeAllConnections()
  })
  return { gateway, port, echoPort, webPort }
}

/** Everything that comes until the other side ends. */
async function say(port: number, bytes: string | Uint8Array, then?: (socket: Socket) => void): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.write(bytes)
  then?.(socket)
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  socket.destroy()
  return Buffer.concat(parts)
}

const ask = async (port: number, text: string, then?: (socket: Socket) => void) =>
  (await say(port, text, then)).toString()

test('CONNECT makes a tunnel, with what was sent behind it at once, and hands on the end of each way', async (t) => {
  const { gateway, port, echoPort } = await begin(t)
  const big = 'x'.repeat(3_000_000)
  const said = await ask(port, `CONNECT echo.example.com:${echoPort} HTTP/1.1\r\nhost: other\r\n\r\n${big}`, (socket) =>
    socket.end('end'),
  )
  assert.equal(said, `HTTP/1.1 200 Connection established\r\n\r\n${big}end`)
  assert.deepEqual([gateway.summary().allowed, gateway.summary().bytesIn], [1, big.length + 3])
})

test('what no rule allows is refused, however it is written', async (t) => {
  const { gateway, port, echoPort } = await begin(t)
  const hosts = [
    ...[
      `echo.example.com:${echoPort + 1}`,
      `other.example.com:${echoPort}`,
      '10.0.0.1:80',
      '[::1]:80',
      '198.18.77.1:80',
    ],
    ...[
      '0x7f.1:80',
      '2130706433:80',
      '127.1:80',
      'localhost:80',
      'echo.example.com\0.web.example.com:80',
      ':80',
      'a b:80',
    ],
    ...[
      'echo.example.com:0',
      'echo.example.com:65536',
      'echo.example.com',
      '[::ffff:10.0.0.1]:80',
      '169.254.169.254:80',
    ],
    ...['ec\u00e9.example.com:80', `${'a'.repeat(300)}.com:80`, '*.example.com:80', 'web.example.com.evil.com:80'],
  ]
  for (const host of hosts) {
    assert.match(await ask(port, `CONNECT ${host} HTTP/1.1\r\n\r\n`), /^HTTP\/1\.1 40[03] /, host)
    const name = Buffer.from(host.replace(/:\d*$/, ''), 'latin1').subarray(0, 255)
    const request = Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, name.length), name, Buffer.of(0, 80)])
    if (!/^(?:echo|other)/.test(host)) assert.equal((await say(port, request))[3], 2, host)
    assert.match(
      await ask(port, `GET http://${host}/ HTTP/1.1\r\nhost: web.example.com\r\n\r\n`),
      /^HTTP\/1\.1 40[03] /,
      host,
    )
  }
  assert.equal(gateway.summary().allowed, 0)
  assert.match(await ask(port, 'CONNECT gone.example.com:1 HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 502 ECONNREFUSED\r\n/)
})

test('requests with a whole address go to it, without what is between a client and a proxy', async (t) => {
  const { port, webPort } = await begin(t)
  const said = await ask(
    port,
    `POST http://web.example.com:${webPort}/a?b HTTP/1.1\r\nhost: other.example.com\r\nproxy-authorization: x\r\nconnection: close, x-own\r\n` +
      'x-own: 1\r\nx-kept: 2\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n',
  )
  assert.match(said, /^HTTP\/1\.1 200 OK\r\n/)
  assert.equal(said.match(/x-many: \d/gi)?.length, 2)
  const { url, headers, body } = JSON.parse(/\{.*\}/s.exec(said)![0])
  assert.deepEqual([url, headers.host, body], ['/a?b', `web.example.com:${webPort}`, 'one'])
  assert.deepEqual(
    ['proxy-authorization', 'x-own', 'x-kept'].map((name) => headers[name]),
    [undefined, undefined, '2'],
  )
})

test('requests behind each other on one connection are each decided', async (t) => {
  const { port, webPort } = await begin(t)
  const said = await ask(
    port,
    `GET http://web.example.com:${webPort}/ HTTP/1.1\r\nhost: x\r\n\r\nGET http://other.example.com/ HTTP/1.1\r\nhost: x\r\n\r\n`,
  )
  assert.deepEqual(said.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 403'])
})

test('SOCKS 5: by name and by address; other commands, kinds and words are refused', async (t) => {
  const { port, echoPort } = await begin(t)
  const at = [echoPort >> 8, echoPort & 0xff]
  const name = Buffer.from('echo.example.com')
  const begun = [5, 2, 1, 0]
  const done = Buffer.of(5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
  const word = Buffer.from('hello')
  for (const place of [Buffer.of(3, name.length, ...name), Buffer.of(1, 127, 0, 0, 1)]) {
    const bytes = Buffer.concat([Buffer.of(...begun, 5, 1, 0), place, Buffer.of(...at), word])
    assert.deepEqual(await say(port, bytes, (socket) => socket.end()), Buffer.concat([done, word]))
    // In small pieces.
    const socket = connect(port, '127.0.0.1')
    for (const byte of bytes) {
      socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const parts: Buffer[] = []
    socket.end()
    for await (const part of socket) parts.push(part)
    assert.deepEqual(Buffer.concat(parts), Buffer.concat([done, word]))
  }
  assert.deepEqual(await say(port, Buffer.of(5, 1, 2)), Buffer.of(5, 0xff))
  assert.equal((await say(port, Buffer.of(...begun, 5, 2, 0, 1, 127, 0, 0, 1, ...at)))[3], 7)
  assert.equal((await say(port, Buffer.of(...begun, 5, 1, 0, 9)))[3], 8)
  assert.deepEqual(await say(port, Buffer.of(5, 1), (socket) => socket.end()), Buffer.alloc(0))
})

test('denied later, a tunnel is reset; and nonsense is answered', async (t) => {
  const { gateway, port, echoPort } = await begin(t)
  const socket = connect(port, '127.0.0.1')
  const over = new Promise((resolve) => socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)))
  socket.write(`CONNECT echo.example.com:${echoPort} HTTP/1.1\r\n\r\n`)
  await new Promise((resolve) => socket.once('data', resolve))
  gateway.deny([parseDestination(`echo.example.com:${echoPort}`)!])
  assert.equal(await over, 'ECONNRESET')
  assert.match(await ask(port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await ask(port, 'GET / HTTP/1.1\r\nhost: web.example.com\r\n\r\n'), /^HTTP\/1\.1 403 /)
})

test('limits count what a proxy hands on', async (t) => {
  const { port, echoPort, webPort } = await begin(t, { bytes: 100_000 })
  await say(port, `CONNECT echo.example.com:${echoPort} HTTP/1.1\r\n\r\n`, (socket) =>
    socket.end('x'.repeat(60_000)),
  ).catch(() => {})
  const end = await say(
    port,
    `POST http://web.example.com:${webPort}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 90000\r\n\r\n${'y'.repeat(90_000)}`,
  ).then(
    (bytes) => bytes.toString().includes('"body"'),
    () => false,
  )
  assert.equal(end, false)
})
