/** A gate loads the filter of its commands once for all of them where it can live with it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gateCalls } from '../../src/plan/gateCalls.js'
import { makeEntrantPlan } from '../../src/plan/planPolicy.js'
import { parsePolicy } from '../../src/policy/check.js'
import type { Policy } from '../../src/index.js'
import { cases, runCase } from '../script/golden.js'

const host = { architecture: 'x64', base: '/', kernel: '6.12' } as const
const descriptors = { payload: 3, status: 1, control: 1 }

/** Whether each command has to load it. */
function loadsEach(seccomp: Policy['seccomp']): boolean {
  const { world, entrant } = makeEntrantPlan(parsePolicy({ seccomp }), host, { serves: true, descriptors })
  const [once, each] = [world.init, entrant.each].map((steps) => steps.some((step) => step.do === 'filter'))
  assert.notEqual(once, each)
  return each!
}

test('what it calls with the filter is what it is asked for', () => {
  // Of these the steps of the command say which.
  const known = new Set<string>([...gateCalls.map(([name]) => name), 'prlimit64'])
  const { calls } = runCase(cases.find(({ name }) => name === 'policy: a gate')!)
  const loaded = calls.findIndex(({ by, name }) => by === 'init' && name === 'seccomp')
  assert.ok(loaded > 0)
  const made = calls.slice(loaded + 1).filter(({ by }) => by !== 'monitor')
  assert.ok(made.length > 30)
  assert.deepEqual([...new Set(made.map(({ name }) => name).filter((name) => !known.has(name)))], [])
})

describe('a filter', () => {
  test('of most commands is loaded once', () => assert.equal(loadsEach('default'), false))

  const denies = (rule: object) => ({ default: 'allow', rules: [rule] }) as Policy['seccomp']
  const each: Record<string, Policy['seccomp']> = {
    'of commands that may make no process': 'strict',
    'that refuses what only the gate calls': denies({ calls: ['signalfd4'], do: { errno: 'EPERM' } }),
    'that refuses what a command calls before it is executed': denies({ calls: ['setsid'], do: 'kill' }),
    'that refuses some words of it': denies({ calls: ['kill'], when: [{ arg: 1, eq: 0 }], do: { errno: 'EPERM' } }),
    'that logs it': denies({ calls: ['recvfrom'], do: 'log' }),
  }
  for (const [what, seccomp] of Object.entries(each))
    test(`${what} is loaded by each command`, () => assert.equal(loadsEach(seccomp), true))

  test('that refuses words that it never says is loaded once', () => {
    assert.equal(
      loadsEach(denies({ calls: ['clone'], when: [{ arg: 0, eq: 0x1000_0000 }], do: { errno: 'EPERM' } })),
      false,
    )
  })
})
