/** A scope from a booted systemd: from the system's manager for root, from the user's own for an ordinary user. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { sandbox } from '../../src/index.js'

process.env.VIAL_CGROUP = 'systemd'
const manager = process.getuid!() === 0 ? 'system' : "user's"

test(`the ${manager} manager gives a scope, and its limits are in force`, async () => {
  const limits = { memory: '24M', pids: 8, cpuTime: '20s', wallTime: '60s' } as const
  const { verdict, enforcement, usage } = await sandbox({ preset: 'system', limits }).run('tail', ['/dev/zero'])
  assert.deepEqual(verdict, { kind: 'memory-limit', limit: 24 * 2 ** 20 })
  assert.equal(enforcement.memory, 'systemd')
  assert.equal(enforcement.pids, 'systemd')
  assert.ok(usage.oomKills! >= 1)
})

test('this process is in the scope, which is delegated', () => {
  const group = readFileSync('/proc/self/cgroup', 'utf8').trim()
  assert.match(
    group,
    manager === 'system'
      ? /^0::\/system\.slice\/vial-[\d-]+\.scope\b/
      : /\/user@12345\.service\/.*vial-[\d-]+\.scope\b/,
  )
})

test('a second sandbox is made in the same scope', async () => {
  const limits = { pids: 8 } as const
  const { verdict } = await sandbox({ preset: 'system', limits }).run('sh', [
    '-c',
    'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait',
  ])
  assert.deepEqual(verdict, { kind: 'pids-limit', limit: 8 })
})
