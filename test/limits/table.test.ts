/** The table of limits: what follows from a row of it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { groupLimits, parseLimits } from '../../src/policy/limits.js'
import type { LimitsPolicy } from '../../src/policy/limitsSchema.js'
import { Limiter } from '../../src/run/limiter.js'

test('limits that need a group come in the order of what they are for', () => {
  assert.deepEqual(groupLimits.slice(0, 4), ['memory', 'pids', 'cpuTime', 'cpu'])
})

test('a limit is parsed as its row says, and what is not given is not there', () => {
  const limits = parseLimits({
    memory: '1M',
    cpuTime: '2s',
    cpu: 0.5,
    cpuset: '0-1',
    disk: '4K',
    io: { read: '1M', readOps: 5 },
    hugepages: { '2M': '4M' },
    stack: undefined,
  })
  assert.deepEqual(limits, {
    memory: 2 ** 20,
    cpuTime: 2000,
    cpu: 0.5,
    cpuset: '0-1',
    disk: { size: 4096 },
    io: { read: 2 ** 20, readOps: 5 },
    hugepages: { '2M': 2 ** 22 },
    required: true,
  })
})

test('where no group can be made, an rlimit stands in or nothing does', () => {
  const given: LimitsPolicy = {
    required: false,
    memory: '1G',
    pids: 9,
    cpuTime: 1,
    cpu: 1,
    stack: '1M',
    wallTime: 1,
    output: 1,
    disk: 1,
  }
  const limiter = new Limiter({ limits: parseLimits(given) }, { way: undefined, held: [] })
  assert.deepEqual(limiter.enforcement(), {
    memory: 'rlimit of each process',
    pids: 'rlimit of each process',
    cpuTime: 'rlimit of each process',
    cpu: 'none',
    stack: 'rlimit of each process',
    wallTime: 'timer',
    output: 'reader',
    disk: 'tmpfs',
  })
})
