/** What the vial of a policy of forty mounts weighs. bench/compile.ts shows the same figures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fortyMounts } from '../../bench/compile.js'
import { compile } from '../../src/compile/compile.js'
import { architectures } from '../../src/kernel/architecture.js'

const limit = 16 * 1024

for (const architecture of architectures) {
  for (const [face, options] of [
    ['stands alone', {}],
    ['is run by the library', { descriptors: { status: 1 } }],
  ] as const) {
    test(`forty mounts on ${architecture}, in a vial that ${face}`, () => {
      const { bytes } = compile(fortyMounts, { architecture, ...options })
      assert.ok(bytes.length <= limit, `${bytes.length} bytes`)
      assert.deepEqual(compile(fortyMounts, { architecture, ...options }).bytes, bytes, 'the same each time')
    })
  }
}
