/** What becomes of a sandbox on kernels that lack a newer system call: it is made another way, or the error says why not. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { SyscallName } from '../../src/kernel/syscalls.js'
import { type Caller, callers, workDirectory } from '../support/user.js'
import { without } from './without.js'

const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')

function vialWithout(caller: Caller, calls: readonly SyscallName[], args: readonly string[]) {
  const home = workDirectory(caller, 'home')
  return spawnSync(without(calls), [process.execPath, main, ...args], {
    encoding: 'utf8',
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

interface Lack {
  readonly calls: readonly SyscallName[]
  readonly since: string
  /** The error's first line; without one the sandbox is made all the same. */
  readonly error?: string
  /** What doctor says of it, where it says more than that `vial run` does not work. */
  readonly doctor?: RegExp
}

const lacks: readonly Lack[] = [
  {
    calls: ['seccomp'],
    since: '3.17',
    error: 'cannot load the seccomp filter',
    doctor: /^no {3}seccomp filter +ENOSYS/m,
  },
  { calls: ['statx'], since: '4.11', error: 'cannot bind' },
  { calls: ['pidfd_send_signal'], since: '5.1' },
  { calls: ['open_tree'], since: '5.2', error: 'cannot bind', doctor: /^no {3}mount API +ENOSYS/m },
  { calls: ['move_mount'], since: '5.2', error: 'cannot make an empty root' },
  {
    calls: ['fsopen', 'fsconfig', 'fsmount'],
    since: '5.2',
    error: 'cannot make an empty root',
    doctor: /^no {3}mount API +ENOSYS/m,
  },
  { calls: ['clone3'], since: '5.3' },
  { calls: ['pidfd_open'], since: '5.3', error: 'cannot tie the sandbox to the life of its parent' },
  { calls: ['openat2'], since: '5.6' },
  { calls: ['faccessat2', 'epoll_pwait2'], since: '5.8' },
  { calls: ['close_range'], since: '5.9', error: 'cannot close inherited file descriptors' },
  {
    calls: ['mount_setattr'],
    since: '5.12',
    error: "cannot cut the mounts off from the host's",
    doctor: /^no {3}mount API +ENOSYS/m,
  },
  {
    calls: ['landlock_create_ruleset', 'landlock_add_rule', 'landlock_restrict_self'],
    since: '5.13',
    doctor: /^no {3}Landlock +ENOSYS/m,
  },
]

for (const caller of callers) {
  describe(`without a newer system call, ${caller.name}`, () => {
    for (const { calls, since, error, doctor } of lacks) {
      test(`${calls.join(', ')} (Linux ${since}): ${error ?? 'not needed'}`, () => {
        const { status, stdout, stderr } = vialWithout(caller, calls, ['run', '--', 'echo', 'made'])
        if (error === undefined) assert.deepEqual([status, stdout, stderr], [0, 'made\n', ''])
        else {
          assert.equal(status, 125)
          assert.equal(stdout, '')
          assert.ok(stderr.startsWith(`vial: ${error}`), stderr)
          assert.match(
            stderr,
            /: Function not implemented\n {6}refused here: .*\(ENOSYS\).*; by a kernel older than 5\.12, /,
          )
        }
        if (doctor === undefined && error === undefined) return
        const told = vialWithout(caller, calls, ['doctor'])
        assert.equal(told.status, error === undefined ? 0 : 1)
        if (error !== undefined) assert.match(told.stdout, /^no {3}vial run +cannot .*: Function not implemented$/m)
        if (doctor !== undefined) assert.match(told.stdout, doctor)
      })
    }

    test('Landlock that the policy requires', () => {
      const policy = JSON.stringify({ preset: 'system', landlock: 'required' })
      const file = join(workDirectory(caller, 'home'), 'required.json')
      writeFileSync(file, policy)
      const { status, stderr } = vialWithout(caller, ['landlock_create_ruleset'], ['run', '--policy', file, 'true'])
      assert.equal(status, 125)
      assert.match(
        stderr,
        /^vial: .*: Function not implemented\n.*landlock_create_ruleset \(ENOSYS\); by .* without Landlock/,
      )
    })
  })
}
