import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callers } from '../support/user.js'
import { loads } from './loads.js'

for (const caller of callers)
  test(`random policies make vials that load, by ${caller.name}`, () => {
    const seen = loads(caller, { runs: 150 })
    assert.ok(seen.complete > 0 && seen.refused > 0, JSON.stringify(seen))
  })
