/**
 * Sandboxes are entered where Yama holds ptrace(2) in, for no way in needs more than to read what /proc tells: kernel.org,
 * admin-guide/LSM/Yama. Only in a guest, and the last of its jobs: from 3 there is no way back.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { evaluate } from '../../test/support/evaluate.js'
import { type Caller, callers, root, vial, workDirectory } from '../../test/support/user.js'

const file = '/proc/sys/kernel/yama/ptrace_scope'

/** PTRACE_ATTACH, 16, to a process that is no child of the tracer's: what errno it gives, or 0. */
const attach = `import ctypes, os, signal, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
other = subprocess.Popen(["sleep", "600"])
tracer = os.fork()
if tracer == 0:
    failed = libc.ptrace(16, other.pid, 0, 0) != 0
    os._exit(ctypes.get_errno() if failed else 0)
_, status = os.waitpid(tracer, 0)
other.kill()
print(os.waitstatus_to_exitcode(status))`

const errnoOfAttach = (caller: Caller) =>
  Number(
    spawnSync('python3', ['-c', attach], {
      encoding: 'utf8',
      ...(caller === root ? {} : { uid: caller.uid, gid: caller.gid }),
    }).stdout,
  )
const EPERM = 1

// Root has CAP_SYS_PTRACE, which 1 and 2 let through.
const scopes = [
  { scope: '1', held: { user: EPERM, root: 0 } },
  { scope: '2', held: { user: EPERM, root: 0 } },
  { scope: '3', held: { user: EPERM, root: EPERM } },
] as const

for (const { scope, held } of scopes)
  describe(`kernel.yama.ptrace_scope=${scope}`, { skip: existsSync(file) ? false : 'this kernel has no Yama' }, () => {
    test('it is in force', () => {
      writeFileSync(file, scope)
      assert.equal(readFileSync(file, 'utf8').trim(), scope)
      for (const caller of callers)
        assert.equal(errnoOfAttach(caller), caller === root ? held.root : held.user, caller.name)
    })

    for (const caller of callers) {
      test(`a named sandbox is started, entered, looked at and stopped, by ${caller.name}`, () => {
        const runtime = workDirectory(caller, `yama-${scope}`)
        const does = (...args: readonly string[]) => {
          const { status, stdout, stderr } = vial(caller, args, { env: { XDG_RUNTIME_DIR: runtime } })
          assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
          return stdout
        }
        does('start', '--name', 'box', '--', 'sh', '-c', 'echo begun; exec sleep 600')
        assert.equal(does('exec', 'box', 'sh', '-c', 'grep ^Seccomp: /proc/self/status'), 'Seccomp:\t2\n')
        assert.match(does('inspect', 'box'), /^box: as its policy asks$/m)
        assert.match(does('ps'), /^box +running /m)
        assert.equal(does('logs', 'box'), 'begun\n')
        does('stop', '--rm', 'box')
      })

      test(`an open one is entered, and takes a mount, by ${caller.name}`, async () => {
        const told = await evaluate(
          caller,
          async ({ sandbox }) => {
            const box = await sandbox({ preset: 'system' }).open()
            await box.mount('/etc/hostname', '/tmp/seen')
            const { stdout, stderr } = await box.run('sh', ['-c', 'cat /tmp/seen; echo in'])
            await box.close()
            return { stdout, stderr }
          },
          undefined,
        )
        assert.deepEqual(told, { stdout: 'vial-lab\nin\n', stderr: '' })
      })
    }
  })
