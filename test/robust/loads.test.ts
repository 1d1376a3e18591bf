import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callers } from '../support/user.js'
import { loads } from './loads.js'

for (const caller of callers) {
  test(`random policies make vials that load, by ${caller.name}`, () => {
    const { complete, refused, faults } = loads(caller, { runs: 100 })
    assert.equal(complete + refused + faults, 100)
  })

  // What a draw happens to hold is asserted only of this one, which is the same each time.
  test(`a fixed sample of policies has vials of all kinds, and they load, by ${caller.name}`, () => {
    const seen = loads(caller, { runs: 50, seed: 1 })
    assert.ok(seen.complete > 0 && seen.refused > 0, JSON.stringify(seen))
  })
}
