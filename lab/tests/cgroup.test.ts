/** cgroup v2 with all its controllers: every limit is in force, by root and by an ordinary user to whom a group was delegated. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { evaluate } from '../../test/support/evaluate.js'
import { delegate } from '../../test/support/groups.js'
import { callers } from '../../test/support/user.js'

const limits = { memory: '24M', pids: 8, cpu: 0.5, cpuTime: '20s', wallTime: '60s', io: { write: '10M' } } as const
const files = ['memory.max', 'memory.swap.max', 'memory.oom.group', 'pids.max', 'cpu.max', 'io.max']

for (const caller of callers) {
  describe(`all controllers by ${caller.name}`, () => {
    const delegation = delegate(caller)
    after(() => delegation.remove())
    const asked = evaluate(
      caller,
      async ({ sandbox }, { limits, files }) => {
        const shown = { filesystem: [{ bind: '/sys/fs/cgroup' }], namespaces: { cgroup: 'host' } } as const
        const cat = `cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup) && grep . ${files.join(' ')}`
        const run = async (script: string, changed: object = {}, policy: object = {}) => {
          const one = sandbox({ preset: 'system', limits: { ...limits, ...changed }, ...policy } as never)
          const { verdict, usage, enforcement, stdout } = await one.run('sh', ['-c', script])
          return { verdict, usage, enforcement, stdout }
        }
        return {
          set: await run(cat, {}, shown),
          memory: await run('tail /dev/zero'),
          pids: await run('for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait'),
          cpuTime: await run('while :; do :; done', { cpuTime: '500ms', cpu: 2 }),
          cpu: await run('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done', { cpu: 0.05 }),
          freeze: await run('echo made'),
        }
      },
      { limits, files },
      { env: { VIAL_CGROUP: 'v2' }, ...(delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }) },
    )
    // It is looked at by each test.
    asked.catch(() => {})

    test('each is written into the group', async () => {
      const { set } = await asked
      const lines = set.stdout.trim().split('\n')
      const of = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1))
      assert.deepEqual(of('memory.max'), [String(24 * 2 ** 20)])
      assert.deepEqual(of('memory.swap.max'), ['0'])
      assert.deepEqual(of('memory.oom.group'), ['1'])
      assert.deepEqual(of('cpu.max'), ['50000 100000'])
      assert.match(of('pids.max').join(), /^\d+$/)
      assert.match(of('io.max')[0]!, /wbps=10485760/)
      for (const limit of ['memory', 'pids', 'cpu', 'cpuTime', 'io'] as const)
        assert.equal(set.enforcement[limit], 'cgroup v2', limit)
    })

    test('memory: all are killed, and it is told', async () => {
      const { memory } = await asked
      assert.deepEqual(memory.verdict, { kind: 'memory-limit', limit: 24 * 2 ** 20 })
      assert.ok(memory.usage.oomKills! >= 1 && memory.usage.memoryLimitHits! >= 1, JSON.stringify(memory.usage))
      assert.ok(memory.usage.peakMemory! > 20 * 2 ** 20, JSON.stringify(memory.usage))
    })

    test('pids: a fork is refused', async () => {
      const { pids } = await asked
      assert.deepEqual(pids.verdict, { kind: 'pids-limit', limit: 8 })
      assert.ok(pids.usage.pidsLimitHits! >= 1)
    })

    test('CPU time: it is ended', async () => {
      const { cpuTime } = await asked
      assert.deepEqual(cpuTime.verdict, { kind: 'time-limit', clock: 'cpu', limit: 500 })
    })

    test('cores: it is held back', async () => {
      const { cpu } = await asked
      assert.equal(cpu.verdict.kind, 'ok')
      assert.ok(cpu.usage.throttledMs! > 0, JSON.stringify(cpu.usage))
    })

    // Over the heads of processes the kernel lets them be switched on, and no process may enter the groups below then.
    test('pids and cpu alone first, where processes stand in the way', async () => {
      const fresh = delegate(caller)
      try {
        const kinds = await evaluate(
          caller,
          async ({ sandbox }) => {
            const kinds: string[] = []
            for (const limits of [{ pids: 8 }, { cpu: 0.9 }, { cpuTime: 20 }, { memory: '64M' }] as const) {
              const { verdict, enforcement } = await sandbox({ preset: 'system', limits }).run('true')
              kinds.push(`${Object.keys(limits)[0]}: ${verdict.kind} by ${Object.values(enforcement).join()}`)
            }
            return kinds
          },
          {},
          { env: { VIAL_CGROUP: 'v2' }, wrapper: fresh.wrapper! },
        )
        assert.deepEqual(
          kinds,
          ['pids', 'cpu', 'cpuTime', 'memory'].map((name) => `${name}: ok by cgroup v2`),
        )
        assert.deepEqual(fresh.left(), [])
      } finally {
        fresh.remove()
      }
    })

    test('pressure and peaks are measured, and no group is left', async () => {
      const { freeze } = await asked
      assert.deepEqual(Object.keys(freeze.usage.pressure!).sort(), ['cpu', 'io', 'memory'])
      assert.ok(freeze.usage.peakMemory! > 0)
      assert.deepEqual(delegation.left(), [])
      for (const directory of delegation.directories)
        assert.deepEqual(
          readdirSync(directory).filter((one) => /^vial\.\d/.test(one)),
          [],
        )
    })
  })
}
