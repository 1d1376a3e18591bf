/** A named sandbox that a program opens keeps its network by name as long as the program runs, for all who attach to it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers, workDirectory } from '../support/user.js'

for (const caller of callers)
  describe(`a named sandbox with a network by name that a program of ${caller.name}'s opens`, {
    skip: notInstalled('bash'),
  }, () => {
    const env = () => ({ XDG_RUNTIME_DIR: workDirectory(caller, 'kept') })

    test('is reached, changed, told of, and drained at its end', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox, Sandbox }) => {
          const { createServer } = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = createServer((socket) => socket.end('here')).listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const events: string[] = []
          const box = await sandbox({
            preset: 'system',
            network: {
              allow: [`a.example.com:${port}`, `127.0.0.1:${port}`],
              resolve: async () => ['127.0.0.1'],
              onEvent: ({ event, protocol }) => void (protocol === 'tcp' && events.push(event)),
            },
          }).open({ name: 'kept' })
          const read = (name: string) => ['-c', `cat < /dev/tcp/${name}/${port}`]
          const first = await box.run('bash', read('a.example.com'))
          const other = await Sandbox.attach('kept')
          await other.network!.deny([`a.example.com:${port}`])
          const second = await box.run('bash', read('a.example.com'))
          const { allowed, refused } = await other.network!.summary()
          await Sandbox.remove('kept', { force: true })
          server.close()
          return { first: first.stdout, second: second.stdout, allowed, refused: refused.length, events }
        },
        null,
        { env: env() },
      )
      assert.deepEqual(seen, {
        ...{ first: 'here', second: '', allowed: 1, refused: 1 },
        events: ['decision', 'end'],
      })
    })

    test('goes on without a network when that program has ended, which is told', async () => {
      await evaluate(
        caller,
        async ({ sandbox }) => {
          await sandbox({ preset: 'system', network: { allow: ['a.example.com:80'] } }).open({ name: 'left' })
        },
        null,
        { env: env() },
      )
      const seen = await evaluate(
        caller,
        async ({ Sandbox }) => {
          const box = await Sandbox.attach('left')
          const { exitCode } = await box.run('bash', ['-c', ': < /dev/tcp/a.example.com/80'])
          const told = await box.network!.summary().catch((error: Error) => error.message)
          await Sandbox.remove('left', { force: true })
          return { exitCode, told }
        },
        null,
        { env: env() },
      )
      assert.equal(seen.exitCode, 1)
      assert.match(String(seen.told), /^nothing serves the network of the sandbox "left" any more/)
    })

    test('lets that program end, where its root has no file for the authorities that it trusts', async () => {
      const opened = await evaluate(
        caller,
        async ({ sandbox }) => {
          const network = { allow: ['a.example.com:443'], inspect: true as const }
          await sandbox({ filesystem: [{ tmpfs: '/tmp' }], network }).open({ name: 'bare' })
          return true
        },
        null,
        { env: env() },
      )
      assert.ok(opened)
      await evaluate(caller, async ({ Sandbox }) => Sandbox.remove('bare', { force: true }), null, { env: env() })
    })

    test('is not left where its network cannot be', async () => {
      const said = await evaluate(
        caller,
        async ({ sandbox, Sandbox }) => {
          const { createServer } = await import('node:net')
          const { once } = (await import('node:events')).default
          const server = createServer().listen(0, '127.0.0.1')
          await once(server, 'listening')
          const { port } = server.address() as { port: number }
          const opening = sandbox({ preset: 'system', network: { publish: [`${port}:80`] } }).open({ name: 'none' })
          const first = await opening.then(
            () => 'opened',
            (error: Error) => error.message,
          )
          server.close()
          const second = await Sandbox.attach('none').then(
            () => 'there',
            (error: Error) => error.message,
          )
          return [first, second]
        },
        null,
        { env: env() },
      )
      assert.match(said[0]!, /cannot publish at 127\.0\.0\.1:\d+: EADDRINUSE/)
      assert.match(said[1]!, /there is no sandbox "none"/)
    })
  })
