/** Every skipped test is counted with its reason, and one without a reason fails the run: reporter.js. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

const reporter = pathToFileURL(resolve(fileURLToPath(import.meta.url), '../../../../test/reporter.js')).href

/** What the tests of a file are, what is expected to be skipped, and what is said. */
const runs: Readonly<Record<string, { tests: string; expected?: string; fails: boolean; says: RegExp }>> = {
  'skips with a reason are counted': {
    tests: `for (const name of ['one', 'two']) test(name, { skip: 'no moon' }, () => {})`,
    fails: false,
    says: /^# skipped:\n# {3}2 × no moon: one; two$/m,
  },
  'so are those that a test says itself, and whole suites': {
    tests: `test('one', (t) => t.skip('no moon')); describe('two', { skip: 'no sun' }, () => {})`,
    fails: false,
    says: /1 × no moon: one\n# {3}1 × no sun: two$/m,
  },
  'a skip without a reason fails the run': {
    tests: `test('one', { skip: true }, () => {})`,
    fails: true,
    says: /^# skipped, and not expected to be \(without a reason\):\n# {3}no reason is given: one$/m,
  },
  'so does one without a reason where all are expected': {
    tests: `test('one', (t) => t.skip())`,
    expected: '',
    fails: true,
    says: /no reason is given: one$/m,
  },
  'a skip that is not expected fails it': {
    tests: `test('one', { skip: 'no moon' }, () => {})`,
    expected: '^no sun: ',
    fails: true,
    says: /not expected to be .*\n# {3}no moon: one$/m,
  },
  'one that is does not': {
    tests: `test('one', { skip: 'no moon' }, () => {})`,
    expected: '# A comment.\n^no moon: one$',
    fails: false,
    says: /1 × no moon: one$/m,
  },
}

for (const [name, { tests, expected, fails, says }] of Object.entries(runs))
  test(name, () => {
    const at = mkdtempSync(join(tmpdir(), 'vial-reporter-'))
    try {
      const [file, patterns] = [join(at, 'one.test.mjs'), join(at, 'skips')]
      writeFileSync(file, `import test, { describe } from 'node:test'\n${tests}`)
      if (expected !== undefined) writeFileSync(patterns, expected)
      const env = { PATH: process.env.PATH, ...(expected === undefined ? {} : { VIAL_EXPECTED_SKIPS: patterns }) }
      const args = ['--test', `--test-reporter=${reporter}`, '--test-reporter-destination=stdout', file]
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
      assert.match(stdout, says, stderr)
      assert.equal(status !== 0, fails, stdout)
    } finally {
      rmSync(at, { recursive: true })
    }
  })
