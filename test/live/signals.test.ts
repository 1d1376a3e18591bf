/** Signals to a box are those of `vial kill`, whichever process opened it: none is for its monitor alone. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { uniqueSeconds } from '../support/processes.js'
import { callers, workDirectory } from '../support/user.js'

for (const caller of callers)
  describe(`signals to a box of ${caller.name}`, () => {
    for (const door of ['opened', 'attached', 'spawned'] as const)
      test(`SIGSTOP and SIGCONT are for all in it, ${door}`, async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox, Sandbox }, { door, word }) => {
            const { readdirSync, readFileSync } = await import('node:fs')
            const read = (pid: string, name: string) => {
              try {
                return readFileSync(`/proc/${pid}/${name}`, 'latin1')
              } catch {
                return ''
              }
            }
            const state = () =>
              readdirSync('/proc')
                .filter((pid) => read(pid, 'cmdline') === `sleep\0${word}\0`)
                .map((pid) => /^State:\s+(\w)/m.exec(read(pid, 'status'))?.[1])
                .join()
            const until = async (wanted: string) => {
              for (let left = 3000; state() !== wanted && left > 0; left--)
                await new Promise((resolve) => setTimeout(resolve, 10))
              return state()
            }
            const one = sandbox({ preset: 'system' })
            if (door === 'attached') await one.open({ name: 'box' })
            const box = { opened: () => one.open(), attached: () => Sandbox.attach('box'), spawned: () => undefined }
            const opened = await box[door]()
            const running = (opened ?? one).spawn('sleep', [word])
            const signal = (name: NodeJS.Signals) => opened?.signal(name) ?? running.kill(name)
            const states = [await until('S'), signal('SIGSTOP'), await until('T'), signal('SIGCONT'), await until('S')]
            signal('SIGKILL')
            await running.result
            await opened?.wait()
            return states
          },
          { door, word: uniqueSeconds() },
          { env: { XDG_RUNTIME_DIR: workDirectory(caller, `stopped-${door}`) } },
        )
        assert.deepEqual(seen, ['S', true, 'T', true, 'S'])
      })

    for (const door of ['opened', 'attached'] as const)
      test(`SIGKILL ends all of it, and how it ended is known, ${door}`, async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox, Sandbox }, { door }) => {
            if (door === 'attached') await sandbox({ preset: 'system' }).open({ name: 'box' })
            const box = door === 'opened' ? await sandbox({ preset: 'system' }).open() : await Sandbox.attach('box')
            const sent = box.signal('SIGKILL')
            return [sent, (await box.wait()).verdict, box.signal('SIGKILL')]
          },
          { door },
          { env: { XDG_RUNTIME_DIR: workDirectory(caller, `killed-${door}`) } },
        )
        // Another process may have ended one that is attached to.
        const by = door === 'opened' ? { by: 'caller' } : {}
        assert.deepEqual(seen, [true, { kind: 'killed', ...by }, false])
      })
  })
