/** The suite inside a vial: it ends where no sandbox can be made, and says why. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { callers, vial } from '../support/user.js'

const repository = fileURLToPath(new URL('../../../', import.meta.url))

for (const caller of callers)
  test(`inside a vial of ${caller.name} the suite ends, and names what the outer one needs`, () => {
    const words = ['run', '--ro', repository, '--', 'sh', '-c', 'cd "$0" && node test/run.js', repository]
    const { status, stdout, stderr } = vial(caller, words, { cwd: join(repository, 'test') })
    assert.deepEqual([status, stdout], [1, ''], stderr)
    assert.match(
      stderr,
      /^the tests make sandboxes, and none can be made here:\nvial: cannot make .*Operation not permitted/,
    )
    assert.match(stderr, /\ninside a vial: the outer one needs "--seccomp nested"\n/)
  })
