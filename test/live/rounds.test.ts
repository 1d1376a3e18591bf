/**
 * Nothing is left of named sandboxes: after many were started, entered and stopped, after kills at random moments, and after two commands at
 * once on one name. And of open ones, after kills in the midst of each operation. More of them: VIAL_ROUNDS=1000, of each.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { delegate } from '../support/groups.js'
import { noGroups, notRoot } from '../support/needs.js'
import { callers, workDirectory } from '../support/user.js'
import { groupsVariable } from './ownPids.js'

const scriptOf = (name: string) => fileURLToPath(new URL(`${name}.js`, import.meta.url))

for (const caller of callers)
  describe(`nothing is left of sandboxes of ${caller.name}`, () => {
    for (const [what, few, limited] of [
      ['cycles', 12, false],
      ['kills', 10, false],
      ['kills', 6, true],
      ['races', 8, false],
      ['operations', 5, false],
      ['operations', 2, true],
    ] as const) {
      const count = process.env.VIAL_ROUNDS ?? few
      const skip = limited && (notRoot || noGroups('pids'))
      test(`${count} ${what}${limited ? ' of sandboxes in a cgroup' : ''}`, { skip }, (t) => {
        const isRoot = process.getuid?.() === 0
        const { uid, gid } = caller
        const own = isRoot ? [] : ['--user', '--map-current-user']
        const become = isRoot && uid !== 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : []
        const home = workDirectory(caller, 'rounds')
        const delegation = limited ? delegate(caller) : undefined
        t.after(() => delegation?.remove())
        const wrapped = delegation?.wrapper ?? become
        const script = what === 'operations' ? [scriptOf('boxRounds')] : [scriptOf('rounds'), what]
        const words = [...own, '-pf', '--mount-proc', ...wrapped, process.execPath, ...script, String(count)]
        const { status, stdout, stderr } = spawnSync('unshare', words, {
          encoding: 'utf8',
          cwd: home,
          env: {
            PATH: process.env.PATH,
            HOME: home,
            TMPDIR: home,
            [groupsVariable]: delegation?.directories.join(':'),
          },
        })

        t.diagnostic(stdout.trim())
        assert.equal(status, 0, stderr)
      })
    }
  })
