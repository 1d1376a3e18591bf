/** Overlays made by an ordinary user: Linux 5.11 allows it in a user namespace. */
import assert from 'node:assert/strict'
import { chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { ordinary, runAs, workDirectory } from '../../test/support/user.js'

test('an overlay on memory: changed inside, the same outside', () => {
  const lower = workDirectory(ordinary, 'lower')
  writeFileSync(join(lower, 'file'), 'below')
  chownSync(join(lower, 'file'), ordinary.uid, ordinary.gid)
  const policy: Policy = { preset: 'system', filesystem: [{ overlay: '/o', lower: [lower], upper: 'tmpfs' }] }
  const { stdout, stderr } = runAs(ordinary, policy, 'sh', ['-c', 'cat /o/file; echo new > /o/file; rm /o/file; ls /o'])
  assert.deepEqual([stdout, stderr], ['below', ''])
  assert.equal(readFileSync(join(lower, 'file'), 'utf8'), 'below')
})
