/** Where a slot of a house takes its command: behind all that hardens it, so that nothing but its words is left to do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { stepsOf } from '../../src/plan/plan.js'
import { makePlan } from '../../src/plan/planPolicy.js'
import { parsePolicy } from '../../src/policy/check.js'

const host = { architecture: 'x64', base: '/', kernel: '6.12' } as const
const descriptors = { payload: 3, status: 1, control: 1 }

function order(policy: Policy) {
  const plan = makePlan(parsePolicy(policy), host, { houses: true, perRun: true, descriptors })
  const { monitor, payload } = stepsOf(plan)
  return { monitor: monitor.map((step) => step.do), payload: payload.map((step) => step.do) }
}

test('the house begins before all that is made for a slot', () => {
  assert.deepEqual(order({}).monitor.slice(0, 2), ['closeFds', 'house'])
})

test('the filter is loaded before, where it lets the slot take its command', () => {
  assert.deepEqual(order({}).payload.slice(-4), ['filter', 'takeCommand', 'chdirNamed', 'execute'])
})

test('it is loaded last where it does not', () => {
  const denies = (rule: object) => ({ seccomp: { default: 'allow', rules: [rule] } }) as Policy
  for (const call of ['recvfrom', 'chdir', 'mkdirat', 'fchmod'])
    assert.deepEqual(
      order(denies({ calls: [call], do: { errno: 'EPERM' } })).payload.slice(-4),
      ['takeCommand', 'chdirNamed', 'filter', 'execute'],
      call,
    )
})
