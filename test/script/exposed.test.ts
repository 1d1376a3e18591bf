/** What a payload could reach of vial's own by a link that it planted, or by /proc where it sees the process: nothing, at any moment. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PR } from '../../src/kernel/flags.js'
import { ownPids, type Plan } from '../../src/plan/plan.js'
import { cases, runCase, runnable } from './golden.js'
import type { Call } from './kernel.js'

/** None of these is a directory, or can be executed. */
const harmless = /^(stream|pipe|pidfd_open|eventfd2|socket)\b|memory\.max_usage_in_bytes$/

/** What the payload gets anyway, and the status file, which is no directory. */
const given = ({ start, entrant }: Plan) => [
  ...(start.statusFd === undefined ? [] : [start.statusFd]),
  ...entrant.each.flatMap((step) => (step.do === 'landlock' ? (step.files?.passed ?? []) : [])),
]

/** The last directory that is entered, and the command. */
const followed = (calls: readonly Call[]): Call[] =>
  (['chdir', 'execve'] as const).flatMap((name) => calls.findLast((call) => call.name === name && call.open) ?? [])

describe('a link of /proc to a descriptor leads to no directory and no program of vial’s', () => {
  for (const one of runnable.filter(({ plan }) => plan.start.manner.monitor === 'relays')) {
    const { enters } = one.plan.start
    test(one.name, () => {
      const found = followed(runCase(one).calls)
      assert.ok(found.length > 0)
      for (const { by, name, open } of found)
        for (const [fd, file] of Object.entries(open!)) {
          if (given(one.plan).includes(Number(fd))) continue
          const fine = enters === undefined ? harmless : /^(stream|pipe)\b/
          assert.match(file, fine, `${by} has ${fd} open at ${name}`)
        }
    })
  }
})

describe('a process that others see is not dumpable again when it has changed its ids', () => {
  const seen = cases.filter(
    ({ plan }) =>
      plan.start.manner.monitor === 'relays' &&
      !ownPids(plan) &&
      plan.entrant.once.some((step) => step.do === 'identity'),
  )
  for (const one of seen)
    test(one.name, () => {
      const { calls } = runCase(one)
      const at = calls.findLastIndex(({ name }) => name === 'setresuid')
      const { by, name, args } = calls[at + 1]!
      assert.deepEqual([by, name, args[0], args[1]], [calls[at]!.by, 'prctl', String(PR.SET_DUMPABLE), '0'])
    })
  test('there are such', () => assert.ok(seen.length > 1))
})
