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
  return { inspector, client, accepted }
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
