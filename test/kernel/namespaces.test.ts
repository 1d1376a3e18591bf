/** The names in the table of namespaces are this kernel's; that the flags are, `flags.test.ts` says. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { CLONE } from '../../src/kernel/flags.js'
import { limitFileOf, limitOf, madeByClone, namespaceNames, namespaces } from '../../src/kernel/namespaces.js'

test('each namespace of /proc/self/ns and each limit of /proc/sys/user has a row', () => {
  const files = readdirSync('/proc/self/ns').filter((name) => !name.endsWith('_for_children'))
  assert.deepEqual(namespaceNames.map((name) => namespaces[name].file).sort(), files.sort())
  const limits = readdirSync('/proc/sys/user').filter((name) => /^max_.*_namespaces$/.test(name))
  assert.deepEqual(namespaceNames.map((name) => limitFileOf(name).replace('/proc/sys/user/', '')).sort(), limits.sort())
  assert.equal(limitOf('mount'), 'user.max_mnt_namespaces')
})

test('each flag is another, and CLONE has no further one', () => {
  const flags = namespaceNames.map((name): number => namespaces[name].flag).sort()
  const all = Object.entries(CLONE).flatMap(([name, value]): number[] =>
    name.startsWith('NEW') ? [Number(value)] : [],
  )
  assert.deepEqual(flags, all.sort())
  assert.deepEqual(
    namespaceNames.filter((name) => !madeByClone.includes(name)),
    ['time'],
  )
})
