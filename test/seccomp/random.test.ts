import assert from 'node:assert/strict'
import test from 'node:test'
import { agree } from './agree.js'

for (const kind of ['typed', 'oci'] as const)
  test(`random ${kind} profiles decide as they read`, () => {
    const seen = agree(kind, { runs: 40 })
    assert.ok(seen.profiles >= 40 && seen.longest > 100, JSON.stringify(seen))
  })
