/** `vial mount` and `vial umount`: each by a process of its own, into a sandbox that another one started. */
import assert from 'node:assert/strict'
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { callers, vial, workDirectory } from '../support/user.js'

for (const caller of callers)
  describe(`vial mount by ${caller.name}`, () => {
    const runtime = workDirectory(caller, 'runtime')
    const cwd = workDirectory(caller, 'mounted')
    const call = (...args: string[]) => {
      const { status, stdout, stderr } = vial(caller, args, { env: { XDG_RUNTIME_DIR: runtime }, cwd })
      return [status, stdout, stderr]
    }
    mkdirSync(join(cwd, 'tree'))
    writeFileSync(join(cwd, 'tree/word'), 'from the host\n')
    if (process.getuid?.() === 0)
      for (const path of ['tree', 'tree/word']) chownSync(join(cwd, path), caller.uid, caller.gid)
    after(() => void call('rm', '-f', 'box'))

    test('what is mounted is there for all that enter, until it is taken away', () => {
      assert.equal(call('start', '--name', 'box')[0], 0)
      assert.deepEqual(call('mount', 'box', 'tree', '/srv/data'), [0, '', ''])
      assert.deepEqual(call('exec', 'box', 'cat', '/srv/data/word'), [0, 'from the host\n', ''])
      assert.equal(call('exec', 'box', 'touch', '/srv/data/new')[0], 1)
      assert.deepEqual(call('mount', '--rw', 'box', 'tree', '/tmp/there'), [0, '', ''])
      assert.deepEqual(call('exec', 'box', 'touch', '/tmp/there/new'), [0, '', ''])
      assert.ok(existsSync(join(cwd, 'tree/new')))
      for (const place of ['/srv/data', '/tmp/there']) {
        assert.deepEqual(call('umount', 'box', place), [0, '', ''])
        assert.deepEqual(call('exec', 'box', 'ls', place), [0, '', ''])
      }
    })

    test('what is not mounted says why', () => {
      const refused = (...args: string[]) => {
        const [status, out, err] = call(...args)
        assert.deepEqual([status, out], [125, ''])
        return String(err).split('\n')[0]
      }
      assert.deepEqual(
        [
          refused('mount', 'box', 'tree'),
          refused('mount', 'nobox', 'tree', '/srv'),
          refused('mount', 'box', 'nowhere', '/srv'),
          refused('mount', 'box', 'tree', '/'),
          refused('mount', 'box', 'tree', 'srv'),
          refused('umount', 'box'),
          refused('umount', 'box', '/usr'),
        ],
        [
          'vial: a name, a path and a place inside are needed: vial mount [--rw] NAME PATH INSIDE',
          'vial: there is no sandbox "nobox": there are box',
          `vial: cannot mount ${cwd}/nowhere on /srv: ${cwd}/nowhere: No such file or directory`,
          'vial: nothing is mounted on "/": it would hide the whole sandbox',
          'vial: inside: must be an absolute path inside the sandbox',
          'vial: a name and a place inside are needed: vial umount NAME INSIDE',
          'vial: nothing was mounted on /usr while the sandbox ran',
        ],
      )
    })
  })
