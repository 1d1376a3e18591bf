/**
 * Directories that an earlier payload could write, under each operation of a later sandbox. No case may reach the host through
 * a door of ours, and each has to where one wall is taken away, or in another program's sandbox: so each is known to be able to.
 */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { notInstalled } from '../support/needs.js'
import { root, workDirectory } from '../support/user.js'
import { cases, type Kind, races } from './cases.js'
import { attempt, doors, follows, ours } from './doors.js'
import { sweep } from './moments.js'

const asRoot = process.getuid?.() === 0
const top = workDirectory(asRoot ? root : { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }, 'setup')
chmodSync(top, 0o755)
chmodSync(dirname(top), 0o755)
/** What a policy says to each: so it is refused for what it is, and not by accident. */
const refusals: Record<Kind, RegExp> = {
  host: /Too many levels of symbolic links\n.*name the place that it leads to/,
  'other bind': /Too many levels of symbolic links\n.*name the place that it leads to/,
  protection: /Too many levels of symbolic links\n.*name the place that it leads to/,
  file: /File exists\n.*something else is at this place already/,
  'other name': /(Too many links|error 31)\n.*the file has another name/,
  source: /cross-device link\n.*a link on the way leads out of a directory/,
}
// Ours come last: their root mode is led by what is closed to an ordinary caller.
const reachable = [...doors.filter(({ weak }) => weak).toReversed(), ...doors.filter(({ whose }) => whose === 'theirs')]

describe('what an earlier payload left does not lead to the host', () => {
  for (const one of cases)
    test(`${one.plant}: ${one.operation.name}`, {
      skip: one.needsRoot && !asRoot ? 'only root can leave it there' : false,
    }, () => {
      for (const door of ours) {
        const outcome = attempt(door, one, top)
        if (outcome?.reached !== undefined && !follows(door, one))
          assert.fail(`${door.name}: ${outcome.reached}; ${outcome.said}`)
        if (door.name.startsWith('policy')) assert.match(outcome!.said, refusals[one.kind], door.name)
      }
      const known = reachable.some((door) => attempt(door, one, top)?.reached !== undefined)
      assert.ok(known, 'it reaches nothing, whatever the wall')
    })
})

describe('nor what is exchanged at any moment of the building', { skip: notInstalled('gcc') }, () => {
  for (const door of ours)
    test(door.name, () => {
      for (const one of races) {
        const { starts = 1, last } = sweep(door, one, top) ?? {}
        assert.ok(starts > 0, `${one.operation.name}: the place was never looked for`)
        assert.equal(last?.reached, undefined, `${one.operation.name}, before call ${starts - 1}: ${last?.said}`)
      }
    })
  test('which does lead there without the wall', () => {
    for (const one of races)
      assert.notEqual(sweep(reachable[0]!, one, top)?.last?.reached, undefined, one.operation.name)
  })
})
