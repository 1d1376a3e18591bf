/** A reset at any moment of a connection's end: the socket closes, and a process that did it can end. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const path = new URL('../../src/network/resetSocket.js', import.meta.url).href

/** What has been done to a socket before it is reset. */
const moments = {
  'says nothing': '',
  'has ended': 'socket.end()',
  'has written and ended': "socket.end('x')",
  'has more to write than goes out, and ended': 'socket.end(Buffer.alloc(50_000_000))',
  'has ended, a while ago': 'socket.end(); await new Promise((resolve) => setTimeout(resolve, 50))',
  'is destroyed': 'socket.destroy()',
}

for (const [moment, script] of Object.entries(moments))
  test(`a socket that ${moment} can be reset`, () => {
    const program = `
      import { connect, createServer } from 'node:net'
      import { once } from 'node:events'
      import { resetSocket } from '${path}'
      const server = createServer({ allowHalfOpen: true }, (other) => other.on('error', () => {}).resume())
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const socket = connect({ port: server.address().port, host: '127.0.0.1', allowHalfOpen: true })
      await once(socket, 'connect')
      const closed = once(socket, 'close')
      ${script}
      resetSocket(socket)
      resetSocket(socket)
      await closed
      server.close()
      console.log('closed')`
    // One that turns for ever is ended.
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      ...{ encoding: 'utf8', timeout: 20_000, killSignal: 'SIGKILL' },
    })
    assert.deepEqual([done.stdout, done.stderr, done.status], ['closed\n', '', 0])
  })
