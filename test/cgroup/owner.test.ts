import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isDead, newGroupName, ourselves, ownerOf } from '../../src/cgroup/owner.js'

test('a name tells its maker, and no two are alike', () => {
  const kinds = ['tied', 'outlives', 'recorded'] as const
  const made = kinds.map(newGroupName)
  const [one] = made
  assert.equal(new Set([...made, newGroupName()]).size, 4)
  assert.deepEqual(
    made.map(ownerOf),
    kinds.map((kind) => ({ ...ourselves(), kind })),
  )
  for (const name of ['vial', 'vial.1.2.3', 'vial.callers', `x${one}`, `${one}x`, 'vial.1.2.3.-4'])
    assert.equal(ownerOf(name), undefined, name)
})

test('a maker is dead when its pid is free, another process has it, or it is a zombie', async () => {
  const self = ourselves()
  assert.equal(isDead(self), false)
  assert.equal(isDead({ ...self, start: '1' }), true)
  assert.equal(isDead({ ...self, pid: 2 ** 22 + 1 }), true)
  // The number of this pid in another pid namespace cannot be known here.
  assert.equal(isDead({ ...self, namespace: '1', start: '1' }), false)
  const child = spawn('sh', ['-c', 'sleep 0 & exec sleep 600'])
  const start = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19]!
  const owner = { ...self, pid: child.pid!, start: start() }
  assert.equal(isDead(owner), false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(isDead(owner), true)
})
