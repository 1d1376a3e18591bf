/** Whatever describes sandboxes is a lowering, an order and words: what plans and launches them knows of no such face. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lowerRequest } from '../../src/bwrap/lowerRequest.js'
import { parse } from '../../src/bwrap/parseRequest.js'
import { bwrapFace } from '../../src/bwrap/planRequest.js'
import { launch } from '../../src/launcher/launch.js'
import type { Face } from '../../src/plan/face.js'
import { lowerPolicy } from '../../src/plan/lowerPolicy.js'
import { phaseNames } from '../../src/plan/phases.js'
import { planOf, stepsOf } from '../../src/plan/plan.js'
import { entrantFace, gateFace, houseFace, vialFace } from '../../src/plan/planPolicy.js'
import { run } from '../script/kernel.js'

const host = { architecture: 'x64', base: '/here', kernel: '6.12' } as const
const ofPolicy = lowerPolicy({ filesystem: [{ bind: '/usr' }] }, host, {})

/** Sets up the network before the mounts, has no session or Landlock to speak of, and says all in its own words. */
const third: Face = {
  order: {
    ...vialFace.order,
    init: ['loopback', 'names', 'mounts'],
    each: ['umask', 'rlimits', 'filter'],
  },
  reword: (step) => ({ ...step, hints: {}, complaint: `bundle: ${step.do}` }),
}
const { hardening, start } = ofPolicy
const ofThird = {
  ...ofPolicy,
  hardening: { ...hardening, landlock: undefined, session: 'callers' as const },
  lateNetwork: false,
  start: { ...start, manner: { ...start.manner, prefix: 'third: ' } },
}
const script = { argv: ['vial', '/usr/bin/tool.x'], env: [] }

test('a third face is data: its plan is made, in its order, and runs', () => {
  const plan = planOf(ofThird, third)
  const kinds = plan.world.init.map((step) => step.do)
  assert.ok(kinds.indexOf('loopback') < kinds.indexOf('pivot'))
  const { executed, left } = run(launch(plan, 'x64').program, script)
  assert.deepEqual([executed?.argv, left], [['/usr/bin/tool.x'], []])
})

test('it fails in its own words', () => {
  const { program } = launch(planOf(ofThird, third), 'x64')
  const at = run(program, script).calls.findIndex(({ name }) => name === 'pivot_root')
  const { said, status } = run(program, { ...script, fail: { at, with: 'EPERM' } })
  assert.deepEqual([said, status], ['third: bundle: pivot: Operation not permitted\n', 125])
})

test('what a face has no place for is refused, not left out', () => {
  assert.throws(() => planOf(ofPolicy, third), /no place for the phase session/)
  const noMounts = { ...third, order: { ...third.order, init: ['loopback', 'names'] as const } }
  assert.throws(() => planOf(ofThird, noMounts), /no place for the phase mounts/)
  const parsed = parse(['--seccomp', '8', 'true'])
  assert.ok(parsed.kind === 'run')
  assert.throws(
    () => planOf(lowerRequest(parsed.request, { uid: 1000, gid: 1000 }), vialFace),
    /no place for the phase/,
  )
})

test('every phase has a place in a face, and none has two', () => {
  const placed = [vialFace, bwrapFace, entrantFace, gateFace, houseFace].map(({ order }) => Object.values(order).flat())
  for (const phases of placed) assert.equal(new Set(phases).size, phases.length)
  assert.deepEqual(
    phaseNames.filter((name) => !placed.flat().includes(name)),
    [],
  )
})

test('all that hardens is of the entrant: the world and the start are the same without it', () => {
  const { entrant, ...rest } = planOf(ofPolicy, vialFace)
  const hardening = Object.values(entrant)
    .flat()
    .map(({ do: kind }) => kind)
  for (const kind of [
    'newKeyring',
    'secureBits',
    'noNewPrivs',
    'capabilities',
    'session',
    'landlock',
    'rlimit',
    'filter',
  ] as const) {
    assert.ok(hardening.includes(kind), kind)
    const others = stepsOf({ ...rest, entrant: { once: [], shared: [], each: [] } })
    assert.ok(
      Object.values(others)
        .flat()
        .every((step) => step.do !== kind),
      kind,
    )
  }
})

test('neither the planner nor the launcher knows of bwrap, but for what it cites', () => {
  const source = fileURLToPath(new URL('../../../src/', import.meta.url))
  for (const room of ['plan', 'launcher'])
    for (const name of readdirSync(join(source, room))) {
      const code = readFileSync(join(source, room, name), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
      assert.doesNotMatch(code, /bwrap/i, `${room}/${name}`)
    }
})
