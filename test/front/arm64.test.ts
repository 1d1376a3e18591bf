/** The front for arm64, in qemu's user emulation: it executes what the machine itself can run, its own vials among it. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { compileFront, frontPath } from '../../src/bwrap/frontFile.js'
import { callers } from '../support/user.js'
import { entries, everything, newDirectory, notCached, runAs } from './tools.js'

const qemu = '/usr/bin/qemu-aarch64-static'
const skip = process.arch === 'arm64' ? 'it is native here' : !existsSync(qemu) && `not installed: ${qemu}`

for (const caller of callers)
  test(`${caller.name}: an arm64 front compiles, stores, and runs from the cache`, { skip }, () => {
    const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
    chmodSync(directory, 0o755)
    const write = (name: string, node?: string) => {
      const path = join(directory, name)
      // As if it lay beside its compiler: it is found by its full path, for /proc/self/exe is qemu's.
      writeFileSync(path, compileFront(node, 'arm64'), { mode: 0o755 })
      return path
    }
    const [cold, warm] = [write('cold'), write('warm', '/no/programs/node')]
    const run = (path: string, args: readonly string[], input = '') =>
      runAs(caller, qemu, [path, ...args], { cache, input, env: path === warm ? { PATH: '/no/programs' } : {} })
    const args = [...everything, '--setenv', 'A', 'b', '/bin/sh', '-c', '/bin/cat; echo "$A|$0|$1"; exit 7', 'x', 'y z']
    assert.equal(run(warm, args).status, notCached)
    for (const path of [cold, warm]) {
      const { status, stdout, stderr } = run(path, args, 'in\n')
      assert.deepEqual([status, stdout, stderr], [7, 'in\nb|x|y z\n', ''])
    }
    assert.equal(entries(cache).length, 1)
    // The machine's own front does not take it for its own.
    assert.equal(runAs(caller, frontPath, args, { cache }).status, 7)
    assert.equal(entries(cache).length, 2)
    const wrong = run(cold, ['--bogus'])
    assert.deepEqual([wrong.status, wrong.stderr], [1, 'bwrap: Unknown option --bogus\n'])
    chmodSync(join(cache, 'bwrap'), 0o777)
    assert.equal(run(warm, args).status, notCached)
  })
