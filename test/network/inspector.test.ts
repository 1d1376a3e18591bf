/** Connections whose requests are read, at their edges: what a client does that no program does. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createWebServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectSecurely } from 'node:tls'
import { Gateway } from '../../src/network/gateway.js'
import { Inspector } from '../../src/network/inspector.js'
import { EventLog } from '../../src/network/networkEvents.js'
import { RequestRules } from '../../src/network/requestRules.js'
import { parseAddress } from '../../src/policy/ipAddress.js'
import { parseRequest } from '../../src/policy/networkRequests.js'
import { parseDestination } from '../../src/policy/networkRules.js'
import { listening } from '../support/network/listening.js'
import { secureServer } from '../support/network/secureServer.js'

/** A client that an inspector serves, and the socket that was accepted for it. */
async function inspected(t: TestContext, port: number, authorities?: string) {
  const inspector = new Inspector(
    new RequestRules({ inspect: true }, new EventLog(undefined)),
    { spend: () => 0 },
    authorities,
  )
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  t.after(() => server.close())
  const { port: at } = await listening(server)
  const client = connect({ port: at, host: '127.0.0.1' })
  const [accepted] = (await once(server, 'connection')) as [Socket]
  const outside = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(outside, 'connect')
  const wanted = { protocol: 'tcp', name: 'api.example.com', port } as const
  inspector.serve(accepted, { verdict: 'allowed', wanted, rule: '', real: '127.0.0.1', socket: outside })
  t.after(() => client.destroy())
  return { inspector, client, accepted, outside }
}

test('a connection of TLS that is used is not silent, and ends no answer that takes its time', async (t) => {
  const { secure, authorities } = await secureServer(t)
  const { inspector, client, accepted } = await inspected(t, secure, authorities)
  const tls = connectSecurely({ socket: client, servername: 'api.example.com', ca: inspector.certificates })
  await once(tls, 'secureConnect')
  tls.write(`GET / HTTP/1.1\r\nHost: api.example.com:${secure}\r\n\r\n`)
  const [said] = await once(tls, 'data')
  assert.match(String(said), /^HTTP\/1\.1 200/)
  // Node.js counts nothing on the socket beneath: a time there would run from the start on.
  assert.ok(!accepted.timeout)
})

test('a wish for another protocol may come with each request of a connection', async (t) => {
  const { plain, seen } = await secureServer(t)
  const { client } = await inspected(t, plain)
  const warnings: Error[] = []
  const warned = (warning: Error) => void warnings.push(warning)
  process.on('warning', warned)
  t.after(() => process.off('warning', warned))
  for (let round = 0; round < 30; round++) {
    client.write(
      `POST /${round} HTTP/1.1\r\nHost: api.example.com:${plain}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Length: 3\r\n\r\nabc`,
    )
    let said = ''
    while (!said.endsWith('undefined 3\n')) said += String((await once(client, 'data'))[0])
  }
  assert.equal(seen.length, 30)
  assert.ok(seen.every(({ bytes, method }) => bytes === 3 && method === 'POST'))
  assert.deepEqual(warnings, [])
})

const framed = [
  [
    'chunked',
    (body: string) => `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  ],
  ['a length', (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`],
  [
    'a length that Connection names',
    (body: string) => `Connection: content-length\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  ],
] as const

for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST'])
  for (const [how, frame] of framed)
    test(`the body of a ${method} request, ${how}, is no other request`, async (t) => {
      const { plain, seen } = await secureServer(t)
      const { client } = await inspected(t, plain)
      const host = `api.example.com:${plain}`
      const body = `DELETE /admin HTTP/1.1\r\nHost: ${host}\r\n\r\n`
      let said = ''
      client.on('data', (part) => {
        said += String(part)
      })
      client.write(`${method} /first HTTP/1.1\r\nHost: ${host}\r\n${frame(body)}`)
      client.write(`GET /second HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      await once(client, 'close')
      // Behind an answer to HEAD the server may close.
      const whole = [
        [method, '/first', body.length],
        ['GET', '/second', 0],
      ].slice(0, seen.length)
      assert.ok(seen.length === 2 || method === 'HEAD', said)
      assert.deepEqual(
        seen.map((one) => [one.method, one.url, one.bytes]),
        whole,
        said,
      )
    })

test('what is no path, and no whole address, is asked of no server', async (t) => {
  const { plain, seen } = await secureServer(t)
  for (const target of [
    'http://evil.example:99999/x',
    'https://evil.example:0x1/',
    'http://[evil.example]/',
    'ftp://a/',
    'x',
    'a:b',
  ]) {
    const { client } = await inspected(t, plain)
    client.write(`GET ${target} HTTP/1.1\r\nHost: api.example.com:${plain}\r\nConnection: close\r\n\r\n`)
    const [said] = await once(client, 'data')
    assert.match(String(said), /^HTTP\/1\.1 4(?:00|21) /, target)
  }
  assert.deepEqual(seen, [])
})

test('a client whose server has left is given a while, whatever it does', async (t) => {
  const { client, accepted, outside } = await inspected(t, (await silent(t)).port)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const one of [client, outside]) one.on('error', () => {})
  const closed = new Promise((resolve) => accepted.once('close', resolve))
  // A request that never ends, of which there is always more.
  client.write(`GET / HTTP/1.1\r\nX: `)
  outside.destroy(new Error('it failed'))
  await new Promise((resolve) => outside.once('close', resolve))
  t.mock.timers.tick(60_000)
  await closed
})

test('a secret goes by TLS only where that is opened, and no server is told of another method or path than was decided', () => {
  const network = {
    inspect: [parseDestination('api.example.com:443')!],
    secrets: ['api.example.com:443', 'api.example.com:80'].map((one) => ({
      ...{
        env: 'KEY',
        value: 's3cr3t',
        for: parseDestination(one)!,
        header: 'authorization',
        placeholder: 'stands-for',
      },
    })),
    requests: [parseRequest('GET https://api.example.com/v1/*')!],
  }
  const rules = new RequestRules(network, new EventLog(undefined))
  const headersDistinct = {
    authorization: ['stands-for'],
    'x-http-method-override': ['DELETE'],
    'x-original-url': ['/admin'],
  }
  const ask = (port: number, secure: boolean) =>
    rules.admit({
      asked: { method: 'GET', headers: {}, headersDistinct } as unknown as IncomingMessage,
      ...{ wanted: { protocol: 'tcp', name: 'api.example.com', port }, secure, target: '/v1/x' },
    })
  assert.equal(ask(443, false).verdict, 'refused')
  const admitted = ask(443, true)
  assert.deepEqual('headers' in admitted && admitted.headers, { authorization: ['s3cr3t'], host: 'api.example.com' })
  // No TLS is opened there, and no rule is about it.
  const plain = ask(80, false)
  assert.deepEqual('headers' in plain && plain.headers.authorization, ['s3cr3t'])
})

test('a flag that is told can be typed into a shell, whatever a program has asked for', () => {
  const log = new EventLog(undefined)
  const wanted = { protocol: 'tcp', name: 'a.example.com', port: 80 } as const
  log.request(wanted, 'refused', { method: 'GET', url: "http://a.example.com/x';id;'", reason: '' })
  assert.equal(log.summary().refused[0]!.flag, "--request 'GET http://a.example.com/x'\\'';id;'\\'''")
})

/** Answers nothing, and counts. */
async function silent(t: TestContext) {
  const answers: ServerResponse[] = []
  const server = createWebServer((_: IncomingMessage, answer) => void answers.push(answer))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (await listening(server)).port, answers }
}

const many = (line: string, host: string) => `GET ${line} HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(5000)

test('a client that asks and asks, and hears nothing, is left', async (t) => {
  const { port, answers } = await silent(t)
  const { client } = await inspected(t, port)
  client.on('error', () => {})
  client.write(many('/', `api.example.com:${port}`))
  client.resume()
  await new Promise((resolve) => client.once('close', resolve))
  assert.ok(answers.length <= 16)
})

test('so is one of the proxy', async (t) => {
  const { port, answers } = await silent(t)
  const server = createServer()
  const { port: at } = await listening(server)
  const gateway = new Gateway({ allow: [parseDestination(`127.0.0.1:${port}`)!], deny: [] })
  t.after(() => gateway.close())
  gateway.take({ protocol: 'tcp', role: 'proxy', address: parseAddress('127.0.0.1')!, port: at }, server)
  const client = connect({ port: at, host: '127.0.0.1' })
  client.on('error', () => {})
  client.write(many(`http://127.0.0.1:${port}/`, `127.0.0.1:${port}`))
  client.resume()
  await new Promise((resolve) => client.once('close', resolve))
  assert.ok(answers.length <= 16)
})
