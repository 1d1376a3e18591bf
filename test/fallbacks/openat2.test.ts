/** Without openat2(2), every wall that it is a part of stands: the tests of these walls, where it is taken away. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { without } from './without.js'

const suites = ['hardening/links', 'sandbox/rows']

for (const answer of ['ENOSYS', 'EPERM'] as const) {
  for (const suite of suites) {
    test(`${suite}, where openat2 is answered ${answer}`, () => {
      const file = fileURLToPath(new URL(`../${suite}.test.js`, import.meta.url))
      // Else node takes it for a part of this test.
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      const args = ['--test', '--test-reporter=tap', file]
      const { status, stdout } = spawnSync(without(['openat2'], answer), [process.execPath, ...args], {
        env,
        encoding: 'utf8',
      })
      assert.equal(status, 0, stdout)
      assert.match(stdout, /^# pass [1-9]/m)
    })
  }
}
