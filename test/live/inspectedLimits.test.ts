/** What the files of a cgroup of version 2 hold, as the kernel writes it, beside what was written there. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { inspectLimits } from '../../src/live/inspectedLimits.js'
import { parseLimits } from '../../src/policy/limits.js'
import { root, workDirectory } from '../support/user.js'

const directory = workDirectory(root, 'group')
const asWritten = {
  'memory.max': '67108864',
  'memory.oom.group': '1',
  'memory.swap.max': '0',
  'memory.high': '33554432',
  'pids.max': '8',
  'cpu.max': '50000 100000',
  'cpu.weight': '50',
  'cpuset.cpus': '0-1',
}
const limits = parseLimits({ memory: '64M', memoryHigh: '32M', pids: 7, cpu: 0.5, cpuWeight: 50, cpuset: '0,1' })
const holds = ['memory', 'memoryHigh', 'pids', 'cpu', 'cpuWeight', 'cpuset'] as const

/** Those that are not as asked, when some files hold something else. */
function marked(files: Readonly<Partial<Record<keyof typeof asWritten, string>>>): Record<string, string> {
  for (const [name, text] of Object.entries({ ...asWritten, ...files }))
    writeFileSync(join(directory, name), `${text}\n`)
  const facts = inspectLimits({ version: 2, paths: [directory] }, limits, holds, true)
  assert.equal(facts.length, Object.keys(asWritten).length)
  return Object.fromEntries(
    facts.filter(({ agreement }) => agreement !== 'asked').map(({ name, agreement }) => [name, agreement]),
  )
}

test('what was written is as asked, also as the kernel writes it', () => {
  assert.deepEqual(marked({}), {})
})

test('more than was written differs', () => {
  const files = {
    'memory.max': 'max',
    'memory.oom.group': '0',
    'memory.swap.max': '4096',
    'memory.high': '33558528',
    'pids.max': '9',
    'cpu.max': 'max 100000',
    'cpu.weight': '10000',
    'cpuset.cpus': '0-2',
  }
  assert.deepEqual(
    Object.values(marked(files)),
    Object.keys(files).map(() => 'differs'),
  )
  assert.deepEqual(marked({ 'cpu.max': '50000 50000' }), { 'cpu: cpu.max': 'differs' })
})

test('less than was written is stricter', () => {
  const files = { 'memory.max': '4096', 'pids.max': '1', 'cpuset.cpus': '0' }
  assert.deepEqual(Object.values(marked(files)), ['stricter', 'stricter', 'stricter'])
})
