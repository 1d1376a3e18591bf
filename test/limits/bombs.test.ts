/**
 * Every bomb gets its verdict in every run, and leaves nothing behind. VIAL_BOMB_RUNS is how often each goes off; the
 * script `stress` sets it to 200.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { askWay } from '../../src/cgroup/findWay.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { noGroups, notInstalled } from '../support/needs.js'
import { assertGone } from '../support/processes.js'
import { callers } from '../support/user.js'
import { bombPolicy, bombs, compileBomb } from './bombs.js'

const way = askWay(['memory'])
const isV2 = 'version' in way && way.version === 2
const runs = Number(process.env.VIAL_BOMB_RUNS ?? 3)

for (const caller of callers) {
  describe(`bombs of ${caller.name}`, { skip: notInstalled('gcc') || noGroups('memory', 'pids', 'cpu') }, () => {
    const delegation = delegate(caller)
    const wrapper = delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }
    const program = compileBomb(caller)
    after(() => delegation.remove())

    for (const [name, bomb] of Object.entries(bombs)) {
      test(`${name}, ${runs} times`, async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, { policy, args, runs }) => {
            const { readdirSync } = await import('node:fs')
            const one = sandbox(policy)
            // So long that its output is read as it comes: libuv keeps a descriptor from its first stream on.
            await one.run('/bin/sleep', ['0.05'])
            const before = readdirSync('/proc/self/fd').length
            const verdicts: Record<string, number> = {}
            const bytes = new Set<number>()
            let left = runs
            const worker = async () => {
              while (left-- > 0) {
                const { verdict, stdout, exitCode } = await one.run('/bomb', args)
                const key = JSON.stringify(verdict)
                if (exitCode === 77 || exitCode === 78) throw new Error(`the bomb says ${exitCode}`)
                verdicts[key] = (verdicts[key] ?? 0) + 1
                bytes.add(stdout.length)
              }
            }
            await Promise.all([worker(), worker()])
            return { verdicts, bytes: [...bytes], leaked: readdirSync('/proc/self/fd').length - before }
          },
          { policy: { ...bombPolicy(program), limits: bomb.limits }, args: bomb.args.map(String), runs },
          wrapper,
        )
        const verdict = (isV2 ? bomb.verdictV2 : undefined) ?? bomb.verdict
        assert.deepEqual(seen.verdicts, { [JSON.stringify(verdict)]: runs })
        if (bomb.bytes !== undefined) assert.deepEqual(seen.bytes, [bomb.bytes])
        // Of the two runs at a time, the second has a status file of its own that is kept.
        assert.ok(seen.leaked <= 1, `${seen.leaked} descriptors more`)
        assert.deepEqual(delegation.left(), [])
        await assertGone(program)
      })
    }
  })
}
