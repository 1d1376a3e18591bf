import assert from 'node:assert/strict'
import { chownSync, mkdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { callers, vial } from '../support/user.js'
import { entries, everything, fromCache, front, newDirectory } from './tools.js'

/** Seconds. */
const anHourAgo = Date.now() / 1000 - 3600

for (const caller of callers) {
  test(`${caller.name}: vial cache lists what is there and clears it`, () => {
    const cache = newDirectory(caller)
    const env = { VIAL_CACHE: cache }
    assert.match(vial(caller, ['cache'], { env }).stdout, /: 0 vials, 0\.0 KB\n$/)
    front(caller, [...everything, '--setenv', 'A', 'two words \x1b[31m', '/bin/true'], { cache })
    vial(caller, ['run', '--', 'true'], { env })
    const { stdout } = vial(caller, ['cache', 'list'], { env })
    assert.match(stdout, /: 2 vials, [\d.]+ KB\n/)
    assert.match(
      stdout,
      new RegExp(`^bwrap .* uid ${caller.uid}: --bind / / --setenv A "two words \\\\u001b\\[31m"$`, 'm'),
    )
    assert.match(stdout, /^sandbox .* ([0-9a-f]{16}|[0-9a-f]{40})$/m)
    const listed = JSON.parse(vial(caller, ['cache', 'list', '--json'], { env }).stdout)
    assert.deepEqual(listed.map(({ kind }: { kind: string }) => kind).sort(), ['bwrap', 'sandbox'])
    // What another user put there is not ours.
    writeFileSync(join(cache, 'bwrap/notes.txt'), '')
    assert.match(vial(caller, ['cache', 'clear'], { env }).stdout, /: removed 2 vials, /)
    assert.deepEqual(entries(cache), ['notes.txt'])
    assert.match(vial(caller, ['cache', 'list'], { env }).stdout, /: 0 vials/)
    assert.equal(front(caller, [...everything, '/bin/echo', 'ok'], { cache }).stdout, 'ok\n')
  })

  test(`${caller.name}: the cache is bounded, and the oldest go first`, () => {
    const cache = newDirectory(caller)
    const args = [...everything, '/bin/echo', 'ok']
    front(caller, args, { cache })
    const first = entries(cache)[0]!
    const old = Array.from({ length: 600 }, (_, index) => index.toString(16).padStart(16, '0'))
    for (const [index, name] of [...old, 'a'.repeat(16)].entries()) {
      const path = join(cache, 'bwrap', name)
      writeFileSync(path, '')
      utimesSync(path, anHourAgo + index, anHourAgo + index)
    }
    front(caller, [...everything, '--setenv', 'A', 'b', '/bin/true'], { cache })
    const left = entries(cache)
    assert.equal(left.length, 512)
    assert.ok(left.includes(first))
    assert.ok(!left.includes(old[0]!) && left.includes(old.at(-1)!))
    assert.equal(fromCache(caller, args, { cache }).stdout, 'ok\n')
  })

  test(`${caller.name}: the cache is bounded in bytes, too`, () => {
    const cache = newDirectory(caller)
    front(caller, [...everything, '/bin/true'], { cache })
    rmSync(join(cache, 'bwrap', entries(cache)[0]!))
    // Twenty MiB each, of which the disk holds nothing.
    for (const [index, letter] of ['a', 'b', 'c', 'd', 'e'].entries()) {
      const path = join(cache, 'bwrap', letter.repeat(16))
      writeFileSync(path, '')
      truncateSync(path, 20 * 2 ** 20)
      utimesSync(path, anHourAgo + index, anHourAgo + index)
    }
    const args = [...everything, '/bin/echo', 'ok']
    front(caller, args, { cache })
    const left = entries(cache)
    assert.deepEqual(
      left.filter((name) => /^([a-e])\1+$/.test(name)).map((name) => name[0]),
      ['c', 'd', 'e'],
    )
    assert.equal(left.length, 4)
    assert.equal(fromCache(caller, args, { cache }).stdout, 'ok\n')
  })

  test(`${caller.name}: what bwrap warns about is not stored: each run warns`, () => {
    const cache = newDirectory(caller)
    const args = [...everything, '--chdir', '/usr', '--chdir', '/', '/bin/pwd']
    for (let time = 0; time < 2; time++) {
      const { status, stdout, stderr } = front(caller, args, { cache })
      assert.deepEqual(
        [status, stdout, stderr],
        [0, '/\n', 'bwrap: Only the last --chdir option will take effect\n'],
        `time ${time}`,
      )
    }
    assert.deepEqual(entries(cache), [])
  })

  test(`${caller.name}: what a writer that was killed left behind is removed, but not what one writes now`, () => {
    const cache = newDirectory(caller)
    mkdirSync(join(cache, 'bwrap'), { mode: 0o700 })
    if (process.getuid?.() === 0) chownSync(join(cache, 'bwrap'), caller.uid, caller.gid)
    for (const [name, time] of [
      ['0000000000000000.1.aaaaaaaa', new Date(0)],
      ['0000000000000000.1.bbbbbbbb', new Date()],
    ] as const) {
      writeFileSync(join(cache, 'bwrap', name), '')
      utimesSync(join(cache, 'bwrap', name), time, time)
    }
    front(caller, [...everything, '/bin/true'], { cache })
    const left = entries(cache)
    assert.equal(left.length, 2)
    assert.ok(left.includes('0000000000000000.1.bbbbbbbb'))
  })
}
