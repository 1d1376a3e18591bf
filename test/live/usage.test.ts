/** What runs in an open sandbox, and what it uses; and that it can be stopped as a whole. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers } from '../support/user.js'

for (const caller of callers) {
  describe(`processes of an open sandbox, by ${caller.name}`, () => {
    test('what entered, what it has started, and what it left in the background', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { default: events } = await import('node:events')
          const box = await sandbox({ preset: 'system', filesystem: [{ proc: '/proc' }] }).open()
          const empty = [await box.processes(), (await box.usage()).processes]
          const left = await box.run('sh', ['-c', 'setsid sleep 600 >/dev/null 2>&1 & echo $!'])
          const shell = box.spawn('sh', ['-c', 'sleep 601 & echo $$ $!; wait'])
          const [pids] = await events.once(shell.stdout!, 'data')
          const own = box.spawn('sh', ['-c', 'echo $$; exec sleep 602'], { stdio: ['ignore'] })
          const [alone] = await events.once(own.stdout!, 'data')
          // A shell writes before its child has executed.
          let all = await box.processes()
          while (all.filter(({ command }) => command[0] === 'sleep').length < 3) all = await box.processes()
          const { processes, memory, cpuMs, group } = await box.usage()
          const told = all.map(({ pid, parent, command }) => [command.slice(0, 2).join(' '), pid, parent])
          const resident = all.every((one) => one.memory > 0 && one.state !== 'running' && one.userMs >= 0)
          await box.close()
          const late = await box.processes().catch(({ name, message }) => [name, message])
          return {
            empty,
            told: told.sort(),
            pids: [left.stdout, pids, alone].flatMap((text) => String(text).trim().split(' ').map(Number)),
            usage: [processes, memory > 0, cpuMs >= 0, group === undefined],
            resident,
            late,
          }
        },
        undefined,
      )
      const [background, shell, child, own] = seen.pids
      assert.deepEqual(seen.empty, [[], 0])
      assert.deepEqual(seen.told, [
        ['sh -c', shell, 0],
        ['sleep 600', background, 1],
        ['sleep 601', child, shell],
        ['sleep 602', own, 0],
      ])
      assert.deepEqual(seen.usage, [4, true, true, true])
      assert.equal(seen.resident, true)
      assert.deepEqual(seen.late, ['HostError', 'the sandbox has ended'])
    })

    test('frozen, none goes on, until it is thawed; and a frozen one can be closed', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { default: events } = await import('node:events')
          const box = await sandbox({ preset: 'system' }).open()
          const busy = box.spawn('sh', ['-c', 'echo on; while :; do :; done'])
          await events.once(busy.stdout!, 'data')
          const states = async () => (await box.processes()).map(({ state }) => state)
          const frozen = box.freeze()
          while ((await states()).some((state) => state !== 'stopped'));
          const used = (await box.usage()).cpuMs
          await new Promise((resolve) => setTimeout(resolve, 100))
          const still = (await box.usage()).cpuMs === used
          const thawed = box.thaw()
          while ((await box.usage()).cpuMs === used);
          box.freeze()
          await box.close()
          return [frozen, still, thawed, (await busy.result).verdict.kind, box.thaw()]
        },
        undefined,
      )
      assert.deepEqual(seen, [true, true, true, 'signal', false])
    })
  })
}
