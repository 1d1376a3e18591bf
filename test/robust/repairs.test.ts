/** What doctor and errors tell people to type is typed here. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ordinary, workFolder } from '../support/user.js'

const isRoot = process.getuid!() === 0
const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
const { uid, gid } = ordinary
const drop = `setpriv --reuid ${uid} --regid ${gid} --clear-groups`

describe('a cache that is of no use', { skip: !isRoot && 'only root can mount one' }, () => {
  const home = workFolder(ordinary, 'home-of-no-use')
  /** As the ordinary user, whose home is a filesystem of these options. */
  const there = (options: string, script: string) =>
    spawnSync(
      'unshare',
      [
        ...['-m', 'bash', '-c'],
        `mount -t tmpfs -o uid=${uid},gid=${gid},${options} none ${home} && exec ${drop} bash -c '${script}'`,
      ],
      { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: home } },
    )
  const vial = `"${process.execPath}" "${main}"`
  const full = `dd if=/dev/zero of=${home}/fill bs=1k 2> /dev/null;`
  for (const [name, options, before, words] of [
    ['mounted noexec', 'noexec', '', /cannot be executed: EACCES: Permission denied\n/],
    ['full', 'size=64k', full, /cannot be stored in .*: ENOSPC/],
  ] as const)
    test(`${name}: doctor says so, and its repair repairs it`, () => {
      const { stdout, stderr, status } = there(options, `${before} ${vial} doctor`)
      assert.equal(stderr, '')
      assert.match(stdout, words)
      assert.equal(status, 1)
      const [, repair] = /repair: (mkdir .*?) {2}\(/.exec(stdout)!
      const folder = /VIAL_CACHE=(\S+)$/.exec(repair!)![1]
      const after = there(options, `${before} ${repair} && ${vial} run -- echo works; rm -rf ${folder}`)
      assert.deepEqual([after.stdout, after.stderr], ['works\n', ''])
    })
})

describe('no cgroup of version 1', () => {
  const own = ownGroup()
  const skip = !isRoot
    ? 'only root can grant one'
    : own === undefined && 'the memory controller is not one of version 1'
  test('the repair is for one shell, and its line for ~/.profile for each', { skip }, () => {
    const group = join(own!, `vial-test-${process.pid}`)
    mkdirSync(group)
    try {
      const home = workFolder(ordinary, 'home')
      const run = `${drop} env HOME=${home} VIAL_CACHE=${home}/cache "${process.execPath}" "${main}" run --memory 64M -- echo works`
      const shell = (script: string) =>
        spawnSync('bash', ['-c', `echo $$ > ${group}/cgroup.procs; sudo() { "$@"; }\n${script}`], {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, VIAL_CGROUP: 'v1' },
        })
      const refused = shell(run)
      assert.equal(refused.status, 125)
      const [, once] = /repair: (for g in .*; done)\n/.exec(refused.stderr)!
      const [, each] = /~\/\.profile .*: (for g in .*; done)\n/.exec(refused.stderr)!
      assert.equal(shell(`${once}\n${run}`).stdout, 'works\n')
      assert.equal(shell(run).status, 125, 'another shell')
      // By the user alone.
      assert.equal(shell(`exec ${drop} bash -c '${each}; ${run.replace(`${drop} `, '')}'`).stdout, 'works\n')
    } finally {
      for (const path of [join(group, `user-${uid}`), group]) if (existsSync(path)) rmdirSync(path)
    }
  })
})

/** This process's group of the memory controller of version 1. */
function ownGroup(): string | undefined {
  const path = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
  const group = path === undefined ? undefined : join('/sys/fs/cgroup/memory', path)
  return group !== undefined && existsSync(group) ? group : undefined
}
