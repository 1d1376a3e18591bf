/** Every program of the table does its task: in what `fill` finds of it, or in the preset `system`; in both by `npm run stress`. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { isTried } from '../support/share.js'
import { user } from '../support/user.js'
import { absent, families, type Program, policyOf } from './table.js'

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly ended: number | string | null
}

/** In one Node process, whose start costs more than most sandboxes do. */
const runAll = (preset: Policy['preset'], programs: readonly Program[]): Promise<Outcome[]> =>
  evaluate(
    user,
    async ({ sandbox }, runs) => {
      const outcomes: Outcome[] = []
      for (const { policy, command } of runs) {
        try {
          const { stdout, stderr, exitCode, signal } = await sandbox(policy).run(command[0]!, command.slice(1))
          outcomes.push({ stdout, stderr, ended: signal ?? exitCode })
        } catch (error) {
          outcomes.push({ stdout: '', stderr: (error as Error).message, ended: 'not started' })
        }
      }
      return outcomes
    },
    programs.map((one) => ({ policy: policyOf(one, preset), command: one.command })),
  )

for (const [way, preset] of ([undefined, 'system'] as const).entries()) {
  describe(preset === undefined ? 'in what fill finds' : 'in the preset system', () => {
    for (const [family, all] of Object.entries(families)) {
      const programs = all.filter((_, index) => isTried(index, way))
      describe(family, () => {
        const present = programs.filter((one) => !absent(one))
        let outcomes: readonly Outcome[] = []
        before(async () => {
          outcomes = await runAll(preset, present)
        })
        for (const one of programs) {
          test(`${one.program}: ${one.task}`, { skip: absent(one) }, () => {
            const { stdout, stderr, ended } = outcomes[present.indexOf(one)]!
            assert.deepEqual([stdout, ended], [one.prints, 0], stderr)
          })
        }
      })
    }
  })
}
