/** The first things that a user does, in a guest. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { callers, vial, workDirectory } from '../../test/support/user.js'

for (const caller of callers) {
  describe(`smoke by ${caller.name}`, () => {
    test('vial run', () => {
      const { status, stdout, stderr } = vial(caller, ['run', '--', 'sh', '-c', 'id -u; ls /proc/self/task | wc -l'])
      assert.deepEqual([status, stdout, stderr], [0, '1000\n1\n', ''])
    })

    test('vial compile, and the vial by itself', () => {
      const path = join(workDirectory(caller, 'home'), 'a-vial')
      const made = vial(caller, ['compile', '--preset', 'system', '-o', path])
      assert.equal(made.status, 0, made.stderr)
      const { stdout, stderr } = spawnSync(path, ['echo', 'up'], {
        encoding: 'utf8',
        ...(caller.uid === 0 ? {} : caller),
      })
      assert.deepEqual([stdout, stderr], ['up\n', ''])
    })

    test('vial doctor finds that all works that it needs', () => {
      const { status, stdout } = vial(caller, ['doctor'])
      assert.equal(status, 0, stdout)
      assert.match(stdout, /^yes {2}vial run$/m)
      assert.match(stdout, /^yes {2}time namespace$/m)
      assert.match(stdout, /^yes {2}overlay$/m)
      assert.match(stdout, /^yes {2}Landlock +ABI ([6-9]|\d\d|[1-5]; before Linux 6\.12 .*)$/m)
    })
  })
}
