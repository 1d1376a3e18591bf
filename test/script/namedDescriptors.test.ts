/** What starts a vial lays its descriptors out where the plan has numbered them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { type DescriptorName, layOut, numbered } from '../../src/plan/namedDescriptors.js'

test('what is laid out lies at its number, whatever names there are', () => {
  for (const counts of [
    {},
    { status: 1 },
    { listening: 2 },
    { payload: 5, status: 1 },
    { enter: 3, cpuTime: 1, memory: 1, status: 1, listening: 2, payload: 4 },
  ]) {
    // Each is its own number.
    const numbers = numbered(counts)
    const laidOut = layOut(numbers)
    assert.deepEqual(laidOut, [...laidOut.keys()])
    for (const [name, count] of Object.entries({ payload: 3, ...counts }))
      assert.equal(numbers[name as DescriptorName].length, count)
  }
})

test('sockets of a supervisor lie where sd_listen_fds(3) has them', () => {
  assert.deepEqual(numbered({ listening: 2, status: 1 }).listening, [3, 4])
})
