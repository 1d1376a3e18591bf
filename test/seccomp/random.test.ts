import assert from 'node:assert/strict'
import test from 'node:test'
import { agree, type Coverage } from './agree.js'

const runs = 40
/** Each profile is compiled for both architectures, and checked or found too long: that holds for every draw. */
const checked = ({ profiles, tooLong, calls }: Coverage) => {
  assert.equal(profiles + tooLong, 2 * runs)
  assert.ok(profiles === 0 || calls > 0)
}

for (const kind of ['typed', 'oci'] as const) {
  test(`random ${kind} profiles decide as they read`, () => checked(agree(kind, { runs })))

  // What a draw happens to hold is asserted only of this one, which is the same each time.
  test(`a fixed sample of ${kind} profiles has short and long filters, and they decide as they read`, () => {
    const sample = agree(kind, { runs, seed: 1 })
    checked(sample)
    // A jump on a condition reaches 255 instructions: a longer filter has jumps over jumps. Where the tables of calls grow,
    // this may ask for another seed.
    assert.ok(sample.longest > 256, JSON.stringify(sample))
  })
}
