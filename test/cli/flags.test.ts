/** Flags as people write them: their values, and those that other tools have. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { commands } from '../../src/cli/commands.js'
import { bubblewrap, containers } from '../../src/cli/unknown.js'
import { checkPolicy, PolicyError } from '../../src/index.js'
import { user, vial } from '../support/user.js'

const caller = user

describe('what advice for flags of other tools names is there', () => {
  const run = commands.find(({ name }) => name === 'run')!
  for (const [flag, words] of Object.entries({ ...containers, ...bubblewrap }))
    test(flag, () => {
      for (const [, name] of words.matchAll(/--([a-z][\w-]*)/g))
        assert.ok(
          commands.some(({ options }) => options.some((one) => one.name === name)),
          `--${name}`,
        )
      for (const [, path] of words.matchAll(/"([\w.]+)" of a policy/g)) assert.ok(isKey(path!), path)
      for (const [, entry] of words.matchAll(/an entry (\{.*?\})/g))
        checkPolicy({ filesystem: [JSON.parse(entry!.replaceAll(/"(DEST|SRC)"/g, '"/x"'))] })
      assert.ok(
        run.options.every((one) => `--${one.name}` !== flag && `-${one.short}` !== flag),
        'it is a flag of vial run itself',
      )
    })
})

/** Whether a policy has such a key: `mode` is one of entries. */
function isKey(path: string): boolean {
  const value = path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), Symbol('of no type'))
  try {
    checkPolicy(path === 'mode' ? { filesystem: [{ directory: '/x', ...(value as object) }] } : value)
  } catch (error) {
    return error instanceof PolicyError && error.faults.every((fault) => !/is not a known key/.test(fault.message))
  }
  return true
}

describe('times and sizes', () => {
  test('a time has its unit, or is in seconds', () => {
    for (const time of ['300ms', '0.3s', '0.3']) {
      const { stderr, status } = vial(caller, ['run', '--timeout', time, '--', 'sleep', '100'])
      assert.deepEqual([stderr, status], ['vial: killed after 0.3 s\n', 137])
    }
  })

  test('a few bytes are surely another unit', () => {
    const warned = (...flags: string[]) => vial(caller, ['run', ...flags, '--', 'true']).stderr
    assert.match(
      warned('--memory', '256', '--limits-optional'),
      /^vial: --memory 256: that is 256 bytes; for mebibytes write 256M\n/,
    )
    assert.match(warned('--tmpfs', '/x:64'), /^vial: --tmpfs \/x:64: that is 64 bytes; for mebibytes write 64M\n$/)
    assert.match(warned('--disk', '1'), /^vial: --disk 1: that is 1 byte; for mebibytes write 1M\n$/)
    for (const flags of [
      ['--tmpfs', '/x:4096'],
      ['--tmpfs', '/x:64K'],
      ['--tmpfs', '/x'],
      ['--file-size', '256'],
    ])
      assert.equal(warned(...flags), '')
  })
})
