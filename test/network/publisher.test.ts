/** Servers of the host that hand on to a sandbox's: here to a server beside them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Publisher } from '../../src/network/publisher.js'
import { parsePublished } from '../../src/policy/networkPublish.js'
import { endOf, serve, textOf } from '../support/gate.js'
import { eventually } from '../support/processes.js'

async function published(t: TestContext, answer?: (socket: Socket) => void) {
  const inside = await serve(t, answer)
  const connectInside = async () => {
    const socket = connect(inside.port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
  const publisher = new Publisher([parsePublished('0:80')!], {
    connect: connectInside,
    listenAt: async () => assert.fail('no path is published'),
    fail: (error) => assert.fail(error),
  })
  t.after(() => publisher.close())
  const [port] = await eventually(
    () => publisher.ports,
    ([port]) => port !== 0,
  )
  const client = () => {
    const socket = connect({ port: port!, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
    t.after(() => socket.destroy())
    return socket
  }
  return { publisher, inside, client }
}

test('the end of one way is not that of the other, whoever ends first', async (t) => {
  const { client, inside } = await published(t, (socket) => socket.end('greeting'))
  const one = client()
  assert.equal(await textOf(one), 'greeting')
  one.write('much')
  one.end(' more')
  assert.equal(await textOf(inside.sockets[0]!), 'much more')
})

test('a question ends before its answer', async (t) => {
  const { client } = await published(t, (socket) => socket.on('end', () => socket.end('answer')).resume())
  const one = client()
  one.end('question')
  assert.equal(await textOf(one), 'answer')
})

test('a reset is one, both ways', async (t) => {
  const { client, inside } = await published(t)
  for (const by of [0, 1]) {
    const one = client()
    await eventually(
      () => inside.sockets.length,
      (count) => count > by,
    )
    const both = [one, inside.sockets[by]!]
    const ended = endOf(both[1 - by]!)
    both[by]!.resetAndDestroy()
    assert.equal(await ended, 'ECONNRESET')
  }
})

test('where none listens inside, who connects is reset', async (t) => {
  const { client, inside } = await published(t)
  inside.server.close()
  await once(inside.server, 'close')
  assert.equal(await endOf(client()), 'ECONNRESET')
})

test('behind its end it listens no more, and what was open has ended', async (t) => {
  const { client, inside, publisher } = await published(t)
  const one = client()
  await eventually(
    () => inside.sockets.length,
    (count) => count > 0,
  )
  const ended = endOf(inside.sockets[0]!)
  one.on('end', () => one.destroy()).resume()
  publisher.close()
  inside.sockets[0]!.end()
  await Promise.all([ended, one.closed || once(one, 'close')])
  assert.equal(await endOf(client()), 'ECONNREFUSED')
})
