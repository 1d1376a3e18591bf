/** The order of --ro, --rw and --tmpfs is the order in which they lie over one another. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { checkPolicy, compile, PolicyError } from '../../src/index.js'
import { callers, vial, workDirectory } from '../support/user.js'

for (const caller of callers) {
  describe(`the order of flags, by ${caller.name}`, () => {
    const cwd = workDirectory(caller, 'order')
    workDirectory(caller, 'order/.git')
    const run = (...words: string[]) => vial(caller, ['run', ...words], { cwd })

    test('a read-only part of a writable directory is read-only', () => {
      // Twice: the second time the vial of the first is found again.
      for (const turn of [1, 2]) {
        const { status, stderr } = run('--rw', '.', '--ro', './.git', '--', 'touch', '.git/x')
        assert.equal(status, 1, `turn ${turn}`)
        assert.match(stderr, /Read-only file system/)
      }
      assert.ok(!existsSync(join(cwd, '.git/x')))
      assert.equal(run('--rw', '.', '--ro', './.git', '--', 'touch', 'y').status, 0)
    })

    test('and is refused in the order that would hide it', () => {
      const { status, stderr } = run('--ro', './.git', '--rw', '.', '--', 'touch', '.git/x')
      assert.equal(status, 125)
      assert.equal(stderr, `vial: --ro ./.git: is hidden whole by --rw . (${cwd}), which comes later\n`)
      assert.ok(!existsSync(join(cwd, '.git/x')))
    })

    test('a read-only part by another name than that of the writable directory is refused, since it would stay writable', () => {
      const link = join(workDirectory(caller, 'order-names'), 'link')
      symlinkSync(cwd, link)
      const refused = (seen: string, ...flags: string[]) => {
        const { status, stderr } = run(...flags, '--', 'touch', `${seen}/.git/by-another-name`)
        assert.ok(!existsSync(join(cwd, '.git/by-another-name')), flags.join(' '))
        assert.equal(status, 125)
        assert.ok(stderr.includes(`leaves it writable at ${seen}/.git: write --ro ${cwd}/.git`), stderr)
      }
      refused(cwd, '--rw', '.', '--ro', `${link}/.git`)
      refused(cwd, '--ro', `${link}/.git`, '--rw', '.')
      refused(link, '--rw', link, '--ro', '.git')
      refused('/w', '--rw', '.:/w', '--ro', '.git')
      // What the message says to write.
      const same = run('--rw', '.:/w', '--ro', `${cwd}/.git:/w/.git`, '--', 'touch', '/w/.git/x')
      assert.match(same.stderr, /Read-only file system/)
      const meant = run('--rw', '.', '--ro', './.git:/other', '--', 'touch', '.git/allowed')
      assert.equal(meant.status, 0, meant.stderr)
      // A link that is made later is seen also when the vial is found again.
      const later = join(link, '../later')
      mkdirSync(join(later, '.git'), { recursive: true })
      const flags = ['--rw', '.', '--ro', `${later}/.git`]
      assert.equal(run(...flags, '--', 'true').status, 0)
      rmSync(later, { recursive: true })
      symlinkSync(cwd, later)
      refused(cwd, ...flags)
    })

    test('so is one of a flag that a policy file leaves writable, and one of the policy itself', () => {
      const directory = workDirectory(caller, 'order-policy')
      const [link, policy] = [join(directory, 'link'), join(directory, 'policy.json')]
      const allowed = ['--', 'touch', join(cwd, '.git/by-a-policy')]
      const write = (...filesystem: object[]) => writeFileSync(policy, JSON.stringify({ preset: 'system', filesystem }))
      const refused = (message: string, ...flags: string[]) => {
        const { status, stderr } = run('--policy', policy, ...flags, ...allowed)
        assert.deepEqual([status, existsSync(join(cwd, '.git/by-a-policy'))], [125, false], stderr)
        assert.ok(stderr.includes(`leaves it writable at ${cwd}/.git: ${message}`), stderr)
      }
      write({ bind: cwd, writable: true })
      // The vial is remembered while the link is a directory.
      mkdirSync(join(link, '.git'), { recursive: true })
      assert.equal(run('--policy', policy, '--ro', `${link}/.git`, '--', 'true').status, 0)
      rmSync(link, { recursive: true })
      symlinkSync(cwd, link)
      refused(`write --ro ${cwd}/.git behind that`, '--ro', `${link}/.git`)
      write({ bind: cwd, writable: true }, { bind: `${link}/.git` })
      refused(`write {"bind":"${cwd}/.git"} behind that`)
      write({ bind: `${link}/.git` })
      refused(`write --ro ${cwd}/.git behind that`, '--rw', cwd)
      // By the library, and for the upper layer of an overlay.
      const layers = { lower: ['/srv'], upper: { upper: cwd, work: directory } }
      for (const writable of [
        { bind: cwd, writable: true },
        { overlay: cwd, ...layers },
      ] as const)
        assert.throws(
          () => compile({ filesystem: [writable, { bind: `${link}/.git` }] }),
          (error) =>
            error instanceof PolicyError &&
            error.message ===
              `filesystem[1].bind: filesystem[0] leaves it writable at ${cwd}/.git: write {"bind":"${cwd}/.git"} behind that, or {"bind":"${link}/.git","from":"${link}/.git"} if only this place is meant`,
        )
      // What the messages say to write.
      compile({
        filesystem: [
          { bind: cwd, writable: true },
          { bind: `${link}/.git`, from: `${link}/.git` },
        ],
      })
      write({ bind: cwd, writable: true }, { bind: `${cwd}/.git` })
      assert.match(run('--policy', policy, ...allowed).stderr, /Read-only file system/)
    })

    test('a file in a directory in memory', () => {
      const { stdout, stderr } = run('--tmpfs', '/data', '--ro', '/etc/services:/data/f', '--', 'ls', '/data')
      assert.equal(stdout, 'f\n', stderr)
      const hidden = run('--ro', '/etc/services:/data/f', '--tmpfs', '/data', '--', 'ls', '/data')
      assert.match(hidden.stderr, /^vial: --ro \/etc\/services:\/data\/f: is hidden whole by --tmpfs \/data \(\/data\)/)
    })

    test('those of a policy file come before them', () => {
      const policy = join(workDirectory(caller, 'policies'), 'policy.json')
      mkdirSync(join(cwd, 'part'), { recursive: true })
      writeFileSync(policy, JSON.stringify({ preset: 'system', filesystem: [{ bind: join(cwd, 'part') }] }))
      const { stderr } = run('--policy', policy, '--rw', '.', '--', 'true')
      assert.equal(
        stderr,
        `vial: ${policy}: filesystem[0].bind: is hidden whole by --rw . (${cwd}), which comes later\n`,
      )
    })
  })
}

test('in a policy, what a later entry hides whole is a fault that names both', () => {
  const faults = (filesystem: unknown) => {
    try {
      checkPolicy({ filesystem })
      return []
    } catch (error) {
      return (error as PolicyError).faults.map(String)
    }
  }
  const hidden = 'filesystem[0].bind: is hidden whole by filesystem[1].tmpfs (/a), which comes later'
  assert.deepEqual(faults([{ bind: '/a/b' }, { tmpfs: '/a' }]), [hidden])
  assert.deepEqual(faults([{ readonly: '/a' }, { bind: '/a', writable: true }]), [
    'filesystem[0].readonly: is hidden whole by filesystem[1].bind (/a), which comes later',
  ])
  for (const fine of [
    [{ tmpfs: '/a' }, { bind: '/a/b' }],
    [{ directory: '/a' }, { tmpfs: '/a' }],
    [{ bind: '/a' }, { bind: '/a', from: '/b', optional: true }],
    [{ bind: '/ab' }, { tmpfs: '/a' }],
    [{ bind: '/' }, { tmpfs: '/tmp' }],
  ])
    assert.deepEqual(faults(fine), [])
})
