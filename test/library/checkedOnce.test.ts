/** A policy is checked once, however many runs, vials and explanations are made of it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { type Policy, sandbox } from '../../src/index.js'

/** A policy that counts how often the check reads a value which nothing else reads. */
function counted() {
  let reads = 0
  const limits = {
    get wallTime(): string {
      reads++
      return '60s'
    },
  }
  const policy = { preset: 'system', limits } as Policy
  return { policy, reads: () => reads }
}

test('a sandbox checks its policy at the first use, and never again', async () => {
  const { policy, reads } = counted()
  const one = sandbox(policy)
  assert.equal(reads(), 0)
  await one.run('true')
  await one.run('true', [], { cwd: '/' })
  await one.spawn('true', [], { stdio: ['ignore', 'ignore', 'ignore'] }).result
  await one.compile()
  one.explain()
  assert.equal(reads(), 1)
})

test('so does one that is opened, with what enters it', async () => {
  const { policy, reads } = counted()
  await using box = await sandbox(policy).open()
  await box.run('true')
  await box.spawn('true', [], { stdio: ['ignore', 'ignore', 'ignore'] }).result
  assert.equal(reads(), 1)
})

test('what its maker changes of a policy after the first use changes no vial', async () => {
  const policy: Policy = { preset: 'system', env: { set: { WORD: 'first' } } }
  const one = sandbox(policy)
  const word = async (options = {}) => (await one.run('sh', ['-c', 'echo $WORD'], options)).stdout
  assert.equal(await word(), 'first\n')
  policy.env!.set!.WORD = 'second'
  // With a directory of its own it is another vial.
  assert.equal(await word({ cwd: '/' }), 'first\n')
})
