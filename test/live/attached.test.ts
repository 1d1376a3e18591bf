/** A box of a sandbox that outlives its program: the program ends when it has nothing else to do, but for what it waits for. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers, workDirectory } from '../support/user.js'

for (const caller of callers)
  describe(`a named sandbox of ${caller.name}`, () => {
    const env = () => ({ XDG_RUNTIME_DIR: workDirectory(caller, 'attached') })

    test('a program that has attached to it ends, and it lives on; what waits for its end has it', async () => {
      const opened = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }] }).open({ name: 'stays' })
          return (await box.run('sh', ['-c', 'echo kept > /tmp/word; cat /tmp/word'])).stdout
        },
        undefined,
        { env: env() },
      )
      const attached = await evaluate(
        caller,
        async ({ Sandbox }) => {
          const box = await Sandbox.attach('stays')
          return (await box.run('cat', ['/tmp/word'])).stdout
        },
        undefined,
        { env: env() },
      )
      const ended = await evaluate(
        caller,
        async ({ Sandbox }) => {
          const box = await Sandbox.attach('stays')
          const waiting = box.wait()
          setTimeout(() => box.signal('SIGKILL'), 300)
          return (await waiting).verdict
        },
        undefined,
        { env: env() },
      )
      assert.deepEqual([opened, attached, ended], ['kept\n', 'kept\n', { kind: 'killed' }])
    })
  })
