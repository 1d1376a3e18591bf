/** The gateway by itself: sockets of the host stand for those that wait inside a sandbox. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Gateway } from '../../src/network/gateway.js'
import type { GatewayOptions } from '../../src/network/gatewayOptions.js'
import type { NetworkEvent, OnRequest } from '../../src/policy/networkCalls.js'
import { parseAddress } from '../../src/policy/ipAddress.js'
import { parseDestination } from '../../src/policy/networkRules.js'
import { eventually } from '../support/processes.js'

const here = parseAddress('127.0.0.1')!

const portOf = (server: Server) => (server.address() as AddressInfo).port

/** A gateway, and what makes a socket that stands for one inside: a program connects to it by an address that it knows. */
async function gate(t: TestContext, allow: readonly string[], options: GatewayOptions = {}) {
  const events: NetworkEvent[] = []
  const rules = { allow: allow.map((one) => parseDestination(one)!), deny: [] }
  const gateway = new Gateway(rules, { onEvent: (event) => events.push(event), ...options })
  t.after(() => gateway.close())
  const inside = async (host: string, port = 0) => {
    const server = createServer()
    server.listen(port, host)
    await once(server, 'listening')
    gateway.take({ protocol: 'tcp', role: 'destination', address: here, port }, server)
    return portOf(server)
  }
  return { gateway, events, inside }
}

test('what no rule allows is reset, and told with the flag that would allow it', async (t) => {
  const { events, gateway, inside } = await gate(t, ['192.0.2.1:443'])
  const port = await inside('127.0.0.1')
  const socket = connect(port, '127.0.0.1')
  const [error] = await once(socket, 'error')
  assert.equal(error.code, 'ECONNRESET')
  await eventually(
    () => events.length,
    (count) => count > 0,
  )
  assert.deepEqual(
    events.map(({ event, verdict, address, reason }) => [event, verdict, address, reason]),
    [['decision', 'refused', '127.0.0.1', 'no rule allows it']],
  )
  assert.equal(gateway.summary().refused[0]?.flag, `--allow 127.0.0.1:${port}`)
})

const denying: Readonly<Record<string, OnRequest>> = {
  throws: (): boolean => {
    throw new Error('no')
  },
  rejects: async () => {
    throw new Error('no')
  },
  'says no': (): boolean => false,
  'says something else': () => 'yes' as never,
}
for (const [name, onRequest] of Object.entries(denying))
  test(`a caller that ${name} denies`, async (t) => {
    const { inside, events } = await gate(t, [], { onRequest })
    const socket = connect(await inside('127.0.0.1'), '127.0.0.1')
    await once(socket, 'error')
    await eventually(
      () => events.length,
      (count) => count > 0,
    )
    assert.equal(events[0]?.verdict, 'refused')
  })

test('a name that leads to a special address is refused, whatever rule allows the name', async (t) => {
  for (const special of [
    '169.254.169.254',
    '127.0.0.1',
    '10.1.2.3',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    'fe80::1',
  ]) {
    const resolve = async () => [special]
    const { gateway, events } = await gate(t, ['db.example.com:80'], { resolve })
    const { v4 } = gateway.addressesOf('db.example.com')!
    assert.equal(v4, '198.18.1.0')
    // As its DNS server asks.
    const udp = createSocket('udp4')
    udp.bind(0, '127.0.0.1')
    await once(udp, 'listening')
    gateway.take({ protocol: 'udp', role: 'dns', address: here, port: 53 }, udp)
    const asker = createSocket('udp4')
    // A question for A of db.example.com.
    const query = Buffer.from('000101000001000000000000026462076578616d706c6503636f6d0000010001', 'hex')
    asker.send(query, udp.address().port, '127.0.0.1')
    const [answer] = await once(asker, 'message')
    asker.close()
    assert.notEqual(answer[3] & 0xf, 0, special)
    assert.equal(answer.readUInt16BE(6), 0, special)
    assert.equal(events.find(({ verdict }) => verdict === 'refused')?.name, 'db.example.com')
  }
})
