import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPolicy, PolicyError } from '../../src/index.js'

const faultsOf = (policy: unknown): readonly string[] => {
  try {
    checkPolicy(policy)
    return []
  } catch (error) {
    assert.ok(error instanceof PolicyError)
    return error.faults.map(String)
  }
}

test('every fault is named with its path', () => {
  const faults = faultsOf({
    filesystem: [{ bind: 'relative' }, { tmpfs: '/t', size: 'big' }, {}, { bind: '/a', tmpfs: '/b' }],
    colour: 1,
    network: 'some',
  })
  const starts = [
    'filesystem[0].bind: ',
    'filesystem[1].size: ',
    'filesystem[2]: needs one of the keys bind, ',
    'filesystem[3]: has "bind" and "tmpfs": ',
    'colour: is not a known key',
    'network: must be',
  ]
  for (const start of starts)
    assert.ok(
      faults.some((fault) => fault.startsWith(start)),
      `${start}\n${faults.join('\n')}`,
    )
})

test('contradictions are faults', () => {
  assert.match(faultsOf({ namespaces: { uts: 'host' }, hostname: 'x' })[0]!, /^hostname: /)
  assert.match(faultsOf({ filesystem: [{ tmpfs: '/tmp' }, { bind: '/' }] })[0]!, /^filesystem\[1\]\.bind: /)
})

test('a good policy has no fault', () => {
  assert.deepEqual(
    faultsOf({
      preset: 'system',
      rlimits: { nofile: 64, core: '0', as: { soft: '1G', hard: 'unlimited' } },
      namespaces: { time: { boottime: 5 } },
    }),
    [],
  )
})
