/**
 * Temporaries of a step are used again by the next, and so hold what an earlier one left: code that reads one before it writes it
 * would find zero in a test and something else in another plan. Each program makes the same system calls when none is used
 * twice, and when each begins with nonsense.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { launch } from '../../src/launcher/launch.js'
import { Builder } from '../../src/machine/builder.js'
import type { Program, Slot } from '../../src/machine/instruction.js'
import { type Case, cases, entrants, runCase } from './golden.js'
import { callText } from './text.js'

const nonsense = 0x5bad_5bad

/** The program of a plan none of whose temporaries is used twice, and these. */
function apart({ plan }: Case): { program: Program; temporaries: Slot[] } {
  const { temporary } = Builder.prototype
  const temporaries: Slot[] = []
  Builder.prototype.temporary = function () {
    const slot = this.variable()
    temporaries.push(slot)
    return slot
  }
  try {
    return { program: launch(plan, 'x64', { entrants }).program, temporaries }
  } finally {
    Builder.prototype.temporary = temporary
  }
}

/** The same program, which begins with nonsense in each of these slots that it uses. */
function poisoned(program: Program, slots: readonly Slot[]): Program {
  const used = slots.filter(({ index }) => index < program.slots)
  const poison = used.map((to) => ({ op: 'move', to, from: nonsense }) as const)
  const [entry, ...rest] = program.instructions
  assert.equal(entry!.op, 'entry')
  return { ...program, instructions: [entry!, ...poison, ...rest] }
}

const callsOf = (one: Case, program: Program) =>
  runCase({ ...one, launch: { ...one.launch, program } }).calls.map(callText)

describe('no step reads what another has left in a temporary', () => {
  for (const one of cases)
    test(one.name, () => {
      const { program, temporaries } = apart(one)
      const calls = runCase(one).calls.map(callText)
      assert.deepEqual(callsOf(one, program), calls)
      assert.deepEqual(callsOf(one, poisoned(program, temporaries)), calls)
    })

  test('which is seen: a variable that a step of another process relies on may not begin with nonsense', () => {
    const { variable } = Builder.prototype
    const variables: Slot[] = []
    Builder.prototype.variable = function () {
      const slot = variable.call(this)
      variables.push(slot)
      return slot
    }
    const one = cases.find(({ name }) => name === 'bwrap: what is told')!
    try {
      const { program } = launch(one.plan, 'x64', { entrants })
      assert.throws(() => callsOf(one, poisoned(program, variables)), /bad access/)
    } finally {
      Builder.prototype.variable = variable
    }
  })
})
