/** Whether a signal was got is asked when its effect is known already. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forward } from '../../src/run/forwardSignals.js'

test('a signal that is told late counts as got, one that never comes does not', async () => {
  const sent: NodeJS.Signals[] = []
  const forwarding = forward(['SIGUSR2', 'SIGWINCH'], (signal) => void sent.push(signal))
  setTimeout(() => process.kill(process.pid, 'SIGUSR2'), 20)
  try {
    assert.equal(await forwarding.had('SIGUSR2', 0), false)
    assert.equal(await forwarding.had('SIGUSR2', 60_000), true)
    assert.equal(await forwarding.had('SIGUSR2', 0), true)
    assert.equal(await forwarding.had('SIGWINCH', 10), false)
  } finally {
    forwarding.end()
  }
  assert.deepEqual(sent, ['SIGUSR2'])
})
