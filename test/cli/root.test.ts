/** The host's whole root, or another, shown by a flag: over it lies what a sandbox has of its own. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { checkPolicy } from '../../src/index.js'
import { callers, vial, workDirectory } from '../support/user.js'

for (const caller of callers) {
  describe(`vial run --ro /, by ${caller.name}`, () => {
    const cwd = workDirectory(caller, 'whole')
    writeFileSync(join(cwd, 'here'), '')
    const run = (...words: string[]) => vial(caller, ['run', ...words], { cwd })

    test('shows the host, read-only, and nothing of its services and processes', () => {
      // Twice: the second time the vial of the first is found again.
      for (const turn of [1, 2]) {
        const script =
          'test -d /root && test -d /boot && ls -d /proc/[0-9]* | wc -l && ls -A /run /tmp /var/tmp && ! touch /usr/x && pwd && touch ~/x /tmp/y'
        const { stdout, stderr, status } = run('--ro', '/', '--', 'sh', '-c', script)
        assert.equal(status, 0, `turn ${turn}: ${stderr}`)
        assert.match(stderr, /^touch: .*: Read-only file system\n$/)
        // What NixOS has in /run is there, too.
        assert.match(stdout, /^[1-9]\n\/run:\n[\s\S]*\/tmp:\nhome\n\n\/var\/tmp:\n\/tmp\/home\n$/)
        assert.doesNotMatch(stdout, /dbus|docker|systemd\/private/)
      }
    })

    test('with a part of it writable, in which the command works', () => {
      const { stdout, stderr } = run('--ro', '/', '--rw', '.', '--', 'sh', '-c', 'touch new && pwd && ls')
      assert.equal(stdout, `${cwd}\nhere\nnew\n`, stderr)
    })

    test('another root, whose /run is hidden once it has one', () => {
      const root = join(workDirectory(caller, 'other'), 'root')
      for (const name of ['proc', 'dev', 'tmp', 'usr', 'bin', 'lib', 'lib64'])
        mkdirSync(join(root, name), { recursive: true })
      const words = ['usr', 'bin', 'lib', 'lib64'].flatMap((name) => ['--ro', `/${name}`])
      const list = () => run('--ro', `${root}:/`, ...words, '--', 'ls', '/', '/run')
      assert.match(list().stdout, /^\/:\nbin\ndev\nlib\nlib64\nproc\ntmp\nusr\n$/)
      mkdirSync(join(root, 'run'))
      writeFileSync(join(root, 'run/socket'), '')
      assert.match(list().stdout, /run\n[\s\S]*\/run:\n$/)
      rmSync(root, { recursive: true })
    })

    test('must come before all that it would hide', () => {
      const { stderr, status } = run('--rw', '.', '--ro', '/', '--', 'true')
      assert.equal(stderr, 'vial: --ro /: "/" hides all entries before it: it must be the first of all\n')
      assert.equal(status, 125)
      assert.match(
        run('--fill', 'sh', '--ro', '/', '--', 'true').stderr,
        /^vial: --ro \/: "\/" shows everything, and --fill only/,
      )
    })
  })
}

test('in a policy, too', () => {
  assert.doesNotThrow(() => checkPolicy({ preset: 'system', filesystem: [{ bind: '/' }, { tmpfs: '/srv' }] }))
  assert.throws(() => checkPolicy({ preset: 'system', filesystem: [{ tmpfs: '/srv' }, { bind: '/' }] }), /first of all/)
})
