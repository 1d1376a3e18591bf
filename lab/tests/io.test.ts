/** What needs a disk: io.max and memory.high hold a sandbox back, and the pressure of it is measured. Only in a guest. */
import assert from 'node:assert/strict'
import { chownSync, mkdtempSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import type { LimitsPolicy } from '../../src/index.js'
import { evaluate } from '../../test/support/evaluate.js'
import { delegate } from '../../test/support/groups.js'
import { callers } from '../../test/support/user.js'

const MiB = 2 ** 20

for (const caller of callers) {
  describe(`on a disk by ${caller.name}`, () => {
    const delegation = delegate(caller)
    after(() => delegation.remove())
    // On the guest's own disk; /tmp is memory.
    const directory = mkdtempSync('/home/vial-')
    chownSync(directory, caller.uid, caller.gid)
    const run = (script: string, limits: LimitsPolicy) =>
      evaluate(
        caller,
        async ({ sandbox }, { script, limits, directory }) => {
          const filesystem = [{ bind: '/disk', from: directory, writable: true }]
          const one = sandbox({ preset: 'system', limits, filesystem } as never)
          const { verdict, usage, enforcement, stderr } = await one.run('sh', ['-c', script])
          return { verdict, usage, enforcement, stderr }
        },
        { script, limits, directory },
        { wrapper: delegation.wrapper!, env: { VIAL_CGROUP: 'v2' } },
      )

    test('io.max: what is written waits, and PSI has it', async () => {
      const script = 'dd if=/dev/zero of=/disk/file bs=256k count=16 oflag=direct; rm /disk/file'
      const free = await run(script, { io: { write: '1G' } })
      const held = await run(script, { io: { write: '2M' } })
      for (const { verdict, usage, enforcement, stderr } of [free, held]) {
        assert.equal(verdict.kind, 'ok', stderr)
        assert.equal(enforcement.io, 'cgroup v2')
        assert.ok(usage.writtenBytes! >= 4 * MiB, JSON.stringify(usage))
      }
      // 4 MiB at 2 MiB a second: two seconds, less what a slice of time grants at once.
      const [least, most] = [free, held].map(({ usage }) => usage.pressure!.io!.someMs) as [number, number]
      assert.ok(most > 500 && most > 3 * least, `${least} ms, held back ${most} ms`)
    })

    test('memory.high: page cache is taken back, and no process is killed', async () => {
      const script = 'dd if=/dev/zero of=/disk/file bs=256k count=128 && rm /disk/file'
      const free = await run(script, { memory: '128M' })
      const held = await run(script, { memory: '128M', memoryHigh: '12M' })
      for (const { verdict, stderr } of [free, held]) assert.equal(verdict.kind, 'ok', stderr)
      assert.ok(free.usage.peakMemory! > 32 * MiB, JSON.stringify(free.usage))
      assert.ok(held.usage.peakMemory! < 24 * MiB, JSON.stringify(held.usage))
      assert.equal(free.usage.memoryHighHits, 0)
      assert.ok(held.usage.memoryHighHits! > 0, JSON.stringify(held.usage))
    })
  })
}
