/** What a payload sees and may do is the same, line by line, whether init made it or it joined later. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { notRoot } from '../support/needs.js'
import { callers, root } from '../support/user.js'
import { expected, seenBy } from './compared.js'
import { differences } from './lines.js'
import { policies } from './policies.js'

for (const caller of callers) {
  describe(`both doors of a living sandbox, by ${caller.name}`, () => {
    for (const [name, { policy, byRoot, skip = () => false }] of Object.entries(policies)) {
      if (byRoot && caller !== root && callers.includes(root)) continue
      test(name, { skip: (byRoot && notRoot) || skip() }, async () => {
        const { init, joined } = await seenBy(caller, name, policy)
        for (const [door, lines] of Object.entries(joined)) assert.deepEqual(differences(init, lines), expected, door)
      })
    }
  })
}
