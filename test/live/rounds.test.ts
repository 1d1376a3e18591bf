/**
 * Nothing is left of named sandboxes: after many were started, entered and stopped, after kills at random moments, and after two commands at
 * once on one name. More of them: VIAL_ROUNDS=1000, of each.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { callers, workDirectory } from '../support/user.js'

const script = fileURLToPath(new URL('rounds.js', import.meta.url))

for (const caller of callers)
  describe(`nothing is left of named sandboxes of ${caller.name}`, () => {
    for (const [what, few] of [
      ['cycles', 12],
      ['kills', 10],
      ['races', 8],
    ] as const) {
      const count = process.env.VIAL_ROUNDS ?? few
      test(`${count} ${what}`, (t) => {
        const isRoot = process.getuid?.() === 0
        const { uid, gid } = caller
        const own = isRoot ? [] : ['--user', '--map-current-user']
        const become = isRoot && uid !== 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : []
        const home = workDirectory(caller, 'rounds')
        const words = [...own, '-pf', '--mount-proc', ...become, process.execPath, script, what, String(count)]
        const { status, stdout, stderr } = spawnSync('unshare', words, {
          encoding: 'utf8',
          cwd: home,
          env: { PATH: process.env.PATH, HOME: home, TMPDIR: home },
        })
        t.diagnostic(stdout.trim())
        assert.equal(status, 0, stderr)
      })
    }
  })
