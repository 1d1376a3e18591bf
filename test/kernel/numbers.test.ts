import assert from 'node:assert/strict'
import test from 'node:test'
import { capabilities } from '../../src/kernel/capabilities.js'
import { type ErrnoName, errno, errnoMessage, errnoName } from '../../src/kernel/errno.js'
import { rlimits } from '../../src/kernel/rlimits.js'
import { type SignalName, signalName, signalNumber, signals } from '../../src/kernel/signals.js'
import { syscallNumber, syscallNumbers, x64OnlySyscalls } from '../../src/kernel/syscalls.js'
import { ask, differences, toolchains } from './compiler.js'

const newestCommonSyscall = 450
/** Newer, and in a gap of x64's own numbers. */
const newInGap = ['uprobe', 'uretprobe']

interface Numbers {
  readonly what: string
  readonly includes: readonly string[]
  readonly table: Readonly<Record<string, number>>
  readonly macro: (name: string) => string
}

for (const tools of toolchains) {
  const { architecture, skip } = tools
  const options = skip === undefined ? {} : { skip }
  const tables: readonly Numbers[] = [
    {
      what: 'system calls',
      includes: ['asm/unistd.h'],
      table: { ...syscallNumbers[architecture], ...(architecture === 'x64' ? x64OnlySyscalls : {}) },
      macro: (name) => `__NR_${name}`,
    },
    { what: 'error numbers', includes: ['errno.h'], table: errno, macro: (name) => name },
    { what: 'signals', includes: ['asm/signal.h'], table: signals, macro: (name) => name },
    { what: 'capabilities', includes: ['linux/capability.h'], table: capabilities, macro: (name) => name },
    {
      what: 'resource limits',
      includes: ['linux/resource.h'],
      table: rlimits,
      macro: (name) => `RLIMIT_${name.toUpperCase()}`,
    },
  ]
  for (const { what, includes, table, macro } of tables) {
    test(`${what} are those of the ${architecture} headers`, options, () => {
      const macros = new Map(Object.keys(table).map((name) => [name, macro(name)]))
      const found = ask(tools, { includes, expressions: macros, guards: macros })
      const { wrong, unknown } = differences(new Map(Object.entries(table)), found)
      assert.deepEqual(wrong, [])
      const newer =
        what === 'system calls'
          ? unknown.filter((name) => (table[name] ?? 0) > newestCommonSyscall || newInGap.includes(name))
          : []
      assert.deepEqual(unknown, newer, 'only system calls newer than the headers may be unknown to them')
    })
  }

  test(`error messages are those of strerror on ${architecture}`, options, () => {
    const names = Object.keys(errno) as ErrnoName[]
    const found = ask(tools, {
      includes: ['errno.h', 'string.h'],
      kind: 'string',
      expressions: new Map(names.map((name) => [name, `strerror(${name})`])),
    })
    const { wrong, unknown } = differences(new Map(names.map((name) => [name, errnoMessage(errno[name])])), found)
    assert.deepEqual([...wrong, ...unknown], [])
  })
}

test('no two system calls of an architecture share a number', () => {
  for (const numbers of [{ ...syscallNumbers.x64, ...x64OnlySyscalls }, syscallNumbers.arm64]) {
    const all = Object.values(numbers)
    assert.equal(new Set(all).size, all.length)
  }
})

test('system calls are found by architecture and name', () => {
  assert.equal(syscallNumber('x64', 'execve'), 59)
  assert.equal(syscallNumber('arm64', 'execve'), 221)
  assert.equal(syscallNumber('arm64', 'openat2'), syscallNumber('x64', 'openat2'))
})

test('an error number has its first name, and an unknown one still a message', () => {
  assert.equal(errnoName(errno.EWOULDBLOCK), 'EAGAIN')
  assert.equal(errnoName(errno.ENOTSUP), 'EOPNOTSUPP')
  assert.equal(errnoName(0), undefined)
  assert.equal(errnoMessage(4095), 'Unknown error 4095')
})

test('every signal is named by its number', () => {
  for (const name of Object.keys(signals) as SignalName[]) assert.equal(signalName(signals[name]), name)
  for (let number = 1; number <= 64; number++) assert.equal(signalNumber(signalName(number)), number)
  assert.deepEqual([32, 34, 64].map(signalName), ['SIG32', 'SIGRTMIN', 'SIGRTMIN+30'])
})
