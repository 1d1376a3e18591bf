/** What a payload sees and may do is the same, line by line, whether init made it, it joined later, or a pool had its sandbox ready. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { notRoot } from '../support/needs.js'
import { isTried } from '../support/share.js'
import { callers, root } from '../support/user.js'
import { expected, seenBy } from './compared.js'
import { differences, unnumbered } from './lines.js'
import { policies } from './policies.js'

/** In a sandbox of one command Landlock, where it knows signals, keeps them from pid 1. Commands of one that is entered may send them: docs/how-it-works.md. */
const [scoped, ofScopes] = ['signal pid 1', ['0', '-1']] as const

for (const caller of callers) {
  describe(`the doors of a sandbox, by ${caller.name}`, () => {
    for (const [index, [name, { policy, byRoot, skip = () => false }]] of Object.entries(policies).entries()) {
      // One caller compares those that the other leaves out.
      if (!byRoot && !isTried(index, caller === root ? 1 : 0)) continue
      if (byRoot && caller !== root && callers.includes(root)) continue
      test(name, { skip: (byRoot && notRoot) || skip() }, async () => {
        const { init, joined, others, callers, housed } = await seenBy(caller, name, policy)
        for (const [door, lines] of Object.entries(joined)) assert.deepEqual(differences(init, lines), expected, door)
        // Another sandbox of the policy, which is the same but for its numbers.
        const [own, run, opened, pooled] = [init, others.run!, others.opened!, others.pooled!].map((lines) =>
          unnumbered(lines, callers),
        )
        assert.deepEqual(differences(own!, opened!), expected)
        const { [scoped]: signals = ofScopes, ...rest } = differences(own!, run!)
        assert.deepEqual([signals, rest], [ofScopes, {}])
        // The command of a pool has a sandbox of its own, in the place of a run's; or it joined one that was opened for it alone.
        assert.deepEqual(differences(housed ? run! : opened!, pooled!), {})
      })
    }
  })
}
