/**
 * Directories that an earlier payload could write, under each operation of a later sandbox. No case may reach the host through
 * a door of ours, and each has to where one wall is taken away, or in another program's sandbox: so each is known to be able to.
 */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { notInstalled } from '../support/needs.js'
import { root, workFolder } from '../support/user.js'
import { cases, type Kind, races } from './cases.js'
import { attempt, doors, follows, ours } from './doors.js'
import { race } from './race.js'

const asRoot = process.getuid?.() === 0
const top = workFolder(asRoot ? root : { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }, 'setup')
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

describe('nor what is exchanged meanwhile', { skip: notInstalled('python3') }, () => {
  for (const door of ours)
    test(door.name, async () => {
      const outcomes = await race(door, races, top, 10)
      outcomes.forEach((outcome, index) => {
        assert.equal(outcome?.reached, undefined, `${races[index]!.operation.name}: ${outcome?.said}`)
      })
    })
  test('which does lead there without the wall', async () => {
    const [weak] = reachable
    const outcomes = await race(weak!, races, top, 300)
    outcomes.forEach((outcome, index) => {
      assert.notEqual(outcome?.reached, undefined, races[index]!.operation.name)
    })
  })
})
