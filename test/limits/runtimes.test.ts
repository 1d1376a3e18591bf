/** What runtimes make of a limit of memory: docs/limits.md has what is shown here. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { build, input, languages, PATH } from '../support/languages.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { ordinary, vial, workDirectory } from '../support/user.js'

const memory = '256M'
const withoutCgroup: Policy = { limits: { memory, required: false } }

describe('without a cgroup', { skip: notRoot }, () => {
  const run = (name: string, limits: Policy, ...flags: string[]) => {
    const language = languages.find((one) => one.name === name)!
    const directory = workDirectory(ordinary, `runtime-${name}`)
    build(language, directory)
    const [program, ...args] = language.command
    const policy: Policy = {
      preset: 'system',
      env: { set: { PATH } },
      filesystem: [{ bind: '/p', from: directory }, ...(language.filesystem ?? [])],
      ...limits,
    }
    const file = join(directory, 'policy.json')
    writeFileSync(file, JSON.stringify(policy))
    return vial(ordinary, ['run', '--policy', file, '--', program, ...flags, ...args], { input })
  }

  // Java takes a quarter of the machine's memory for its heap where it sees no cgroup: of which it commits a part at once.
  for (const [name, ...flags] of [
    ['Go'],
    ['JavaScript (Node)'],
    ['Java', '-XX:MaxRAM=256M'],
    ['C# (Mono)'],
    ['Python'],
    ['Ruby'],
    ['Rust'],
  ] as const) {
    const { needs, prints } = languages.find((one) => one.name === name)!
    test(`${name} runs in ${memory}`, { skip: notInstalled(...needs) }, () => {
      const { stdout, stderr, status } = run(name, withoutCgroup, ...flags)
      assert.deepEqual([stdout, stderr, status], [prints, '', 0])
      // What reserves more than it uses does not start within this much of RLIMIT_AS.
      if (['Go', 'JavaScript (Node)', 'Java'].includes(name))
        assert.notEqual(run(name, { rlimits: { as: memory } }, ...flags).status, 0)
    })
  }

  test('a signal behind which a limit may be is told in one line', () => {
    const last = (...args: readonly string[]) =>
      vial(ordinary, ['run', ...args])
        .stderr.split('\n')
        .at(-2)
    // Less than the program's own data: execve(2) ends it.
    const said = 'vial: ended by SIGSEGV: it may have met a limit: memory, which RLIMIT_DATA stands in for here'
    assert.equal(last('--memory', '1K', '--limits-optional', '--', 'true'), said)
    // Nothing is told of signals that no limit sends, nor where none was given.
    for (const args of [
      ['--memory', '64M', '--limits-optional', '--', 'sh', '-c', 'kill -TERM $$'],
      ['--', 'sh', '-c', 'kill -SEGV $$'],
    ])
      assert.equal(last(...args), undefined)
  })

  test('and more is refused', { skip: notInstalled('python3') }, () => {
    const words = (policy: Policy) => {
      const file = join(workDirectory(ordinary, 'large'), 'policy.json')
      writeFileSync(file, JSON.stringify({ preset: 'system', env: { set: { PATH } }, ...policy }))
      return vial(ordinary, ['run', '--policy', file, '--', 'python3', '-c', 'x = [0] * 10**8'])
    }
    assert.match(words(withoutCgroup).stderr, /^MemoryError$/m)
    assert.equal(words({ limits: { memory: '2G', required: false } }).status, 0)
    // The lower one counts.
    assert.match(
      words({ limits: { memory: '2G', required: false }, rlimits: { data: memory } }).stderr,
      /^MemoryError$/m,
    )
  })
})
