/** A user may have 200 keys, and each sandbox has a keyring: more sandboxes than that need the filter to stand in. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { compileSeccomp } from '../../src/seccomp/compileProfile.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { user } from '../support/user.js'

const caller = user
const owner = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
const quota = () => {
  try {
    return Number(readFileSync('/proc/sys/kernel/keys/maxkeys', 'utf8'))
  } catch {
    return 0
  }
}
const skip =
  caller.uid === 0
    ? "root's quota is large"
    : notInstalled('python3') || (quota() === 0 || quota() > 300 ? `a quota of ${quota()} keys` : false)

const compile = (policy: Policy) => evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), policy)
const program: Policy = { preset: 'system' }

const keyctl = process.arch === 'x64' ? 250 : 219
/** In a session of one's own, as a login gives: only to replace one is counted, install_session_keyring_to_cred(). */
const inSession = (...words: string[]) => {
  const join = `import ctypes, os, sys; ctypes.CDLL(None).syscall(${keyctl}, 1, 0, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])`
  return ['-c', join, ...words]
}

test('more sandboxes at once than the user may have keys', { skip }, async () => {
  const [usual, unfiltered] = [await compile(program), await compile({ ...program, seccomp: 'none' })]
  const running: ChildProcess[] = []
  try {
    // Some at a time: all wait in a read of what we never write.
    for (let made = 0; made < quota() + 100; made += 25) {
      const some = Array.from({ length: 25 }, () =>
        spawn('python3', inSession(usual, 'sh', '-c', 'echo up; read line'), {
          ...owner,
          stdio: ['pipe', 'pipe', 'inherit'],
        }),
      )
      running.push(...some)
      const said = await Promise.all(some.map(async (one) => String((await once(one.stdout!, 'data'))[0])))
      assert.deepEqual(new Set(said), new Set(['up\n']))
    }
    assert.ok(running.every(({ exitCode, signalCode }) => exitCode === null && signalCode === null))
    // The keyring is the caller's there, and out of reach.
    const call = `import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall(${keyctl}, 0, -3, 0), ctypes.get_errno())`
    const { stdout } = spawnSync('python3', inSession(usual, 'python3', '-c', call), { ...owner, encoding: 'utf8' })
    assert.equal(stdout, '-1 1\n')
    // Nothing else stands between, where no filter does.
    const { status, stderr } = spawnSync('python3', inSession(unfiltered, 'true'), { ...owner, encoding: 'utf8' })
    assert.equal(status, 125)
    assert.match(stderr, /cannot join a session keyring of its own: Disk quota exceeded\n.*kernel\.keys\.maxkeys/)
  } finally {
    for (const one of running) one.kill('SIGKILL')
  }
})

test('which profiles keep the payload from every key', () => {
  const refuses = (seccomp: NonNullable<Policy['seccomp']>) =>
    compileSeccomp(seccomp as never, { architecture: 'x64', kernel: '6.18' })?.refusesKeys
  assert.deepEqual(
    [refuses('default'), refuses('strict'), refuses('nested'), refuses('none')],
    [true, true, true, undefined],
  )
  const read = { calls: ['keyctl'], when: [{ arg: 0, eq: 11 }], do: 'allow' } as const
  const some = { default: { errno: 'EPERM' }, rules: [read] } as const
  assert.equal(refuses(some as never), false)
  assert.equal(refuses({ default: 'allow', rules: [] }), false)
  assert.equal(refuses({ default: { trace: 1 }, rules: [] }), false)
})
