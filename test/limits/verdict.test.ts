import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutputMeter } from '../../src/run/limitedRun.js'
import { type Evidence, verdictOf } from '../../src/run/verdict.js'

const noUsage = { userMs: 0, systemMs: 0, maxRss: 0, minorFaults: 0, majorFaults: 0 }
const limits = { memory: 100, pids: 5, cpuTime: 1000, wallTime: 2000, output: 10, required: true }
const of = (evidence: Partial<Evidence>) => {
  const { kind, ...rest } = verdictOf({
    exitCode: null,
    signal: null,
    payloadEnded: true,
    usage: noUsage,
    limits,
    ...evidence,
  })
  return [kind, ...Object.values(rest)].join(' ')
}
const killed = { signal: 'SIGKILL', payloadEnded: false } as const

test('endings without a limit', () => {
  assert.equal(of({ exitCode: 0 }), 'ok')
  assert.equal(of({ exitCode: 3 }), 'exit 3')
  assert.equal(of({ signal: 'SIGSEGV' }), 'signal SIGSEGV')
  // It killed itself: the sandbox was still there to see it.
  assert.equal(of({ signal: 'SIGKILL' }), 'signal SIGKILL')
  assert.equal(of({ ...killed, endedBy: 'timeout' }), 'killed timeout')
  assert.equal(of(killed).trim(), 'killed')
})

test('each limit has its evidence', () => {
  assert.equal(of({ ...killed, reached: 'memory' }), 'memory-limit 100')
  assert.equal(of({ ...killed, usage: { ...noUsage, oomKills: 1, memoryLimitHits: 1 } }), 'memory-limit 100')
  // The host had no memory left; the group was within its limit.
  assert.equal(of({ ...killed, usage: { ...noUsage, oomKills: 1, memoryLimitHits: 0 } }).trim(), 'killed')
  assert.equal(of({ ...killed, reached: 'wallTime' }), 'time-limit wall 2000')
  assert.equal(of({ ...killed, reached: 'cpuTime' }), 'time-limit cpu 1000')
  assert.equal(of({ ...killed, output: { stream: 'both', limit: 10 } }), 'output-limit both 10')
  assert.equal(of({ exitCode: 1, usage: { ...noUsage, pidsLimitHits: 1 } }), 'pids-limit 5')
})

test('when limits race', () => {
  // It ended just before the timer's kill.
  assert.equal(of({ exitCode: 0, reached: 'wallTime' }), 'ok')
  assert.equal(of({ signal: 'SIGKILL', payloadEnded: true, reached: 'wallTime' }), 'signal SIGKILL')
  // It used more than it may, and ended before the next look.
  assert.equal(of({ exitCode: 0, usage: { ...noUsage, cpuMs: 1000.1 } }), 'time-limit cpu 1000')
  assert.equal(of({ exitCode: 0, usage: { ...noUsage, cpuMs: 1000 } }), 'ok')
  assert.equal(
    of({ exitCode: 0, limits: { cpuTime: 5, required: false }, usage: { ...noUsage, userMs: 6 } }),
    'time-limit cpu 5',
  )
  const all: Partial<Evidence> = {
    ...killed,
    reached: 'wallTime',
    output: { stream: 'stdout', limit: 1 },
    usage: { ...noUsage, cpuMs: 2000, oomKills: 1, memoryLimitHits: 1, pidsLimitHits: 9 },
  }
  assert.equal(of(all), 'memory-limit 100')
  assert.equal(of({ ...all, usage: noUsage }), 'output-limit stdout 1')
  // Refused forks did no harm, or it was killed for another reason.
  assert.equal(of({ exitCode: 0, usage: { ...noUsage, pidsLimitHits: 9 } }), 'ok')
  assert.equal(of({ ...killed, reached: 'wallTime', usage: { ...noUsage, pidsLimitHits: 9 } }), 'time-limit wall 2000')
})

test('output is admitted to the byte, and what is beyond is told once', () => {
  const meter = (limits: object) => {
    let told = 0
    const one = new OutputMeter({ required: true, ...limits }, () => told++)
    const write = (stream: 'stdout' | 'stderr', text: string) => one.admit(stream, Buffer.from(text)).toString()
    return { write, exceeded: () => one.exceeded, told: () => told }
  }
  const both = meter({ output: 5 })
  assert.deepEqual([both.write('stdout', 'abc'), both.write('stderr', 'de'), both.told()], ['abc', 'de', 0])
  assert.deepEqual([both.write('stdout', 'f'), both.write('stderr', 'g'), both.told()], ['', '', 1])
  assert.deepEqual(both.exceeded(), { stream: 'both', limit: 5 })
  const one = meter({ stdout: 3, output: 100 })
  assert.deepEqual([one.write('stderr', 'xxxx'), one.write('stdout', 'abcd')], ['xxxx', 'abc'])
  assert.deepEqual(one.exceeded(), { stream: 'stdout', limit: 3 })
  assert.equal(one.write('stderr', 'late'), '')
  const none = meter({ stderr: 0 })
  assert.deepEqual(
    [none.write('stdout', 'free'), none.told(), none.write('stderr', 'x'), none.told()],
    ['free', 0, '', 1],
  )
})
