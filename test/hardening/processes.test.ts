import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { assertGone, killAll, uniqueSeconds } from '../support/processes.js'
import { runAs } from '../support/user.js'
import { attempts, modes, sharing } from './attempts.js'

/** Against the process whose pid is `pid`. */
const against = (pid: string) => ({
  root: `os.listdir(f'/proc/{${pid}}/root')`,
  cwd: `os.listdir(f'/proc/{${pid}}/cwd')`,
  memory: `writable(f'/proc/{${pid}}/mem')`,
  memoryRead: `read(f'/proc/{${pid}}/mem')`,
  environment: `read(f'/proc/{${pid}}/environ')`,
  executable: `writable(f'/proc/{${pid}}/exe')`,
  executableName: `os.readlink(f'/proc/{${pid}}/exe')`,
  descriptor: `[os.readlink(f'/proc/{${pid}}/fd/{fd}') for fd in range(64) if os.path.lexists(f'/proc/{${pid}}/fd/{fd}')] or 'none'`,
  namespace: `read(f'/proc/{${pid}}/ns/mnt')`,
  trace: `call('ptrace', 16, ${pid}, 0, 0)`,
})
const refused = ['EACCES', 'EPERM', 'EROFS', 'none']

for (const mode of modes) {
  const { caller, policy } = mode
  describe(`processes, by ${mode.name}`, { skip: notInstalled('python3') }, () => {
    test('pid 1 is closed to the payload', () => {
      const answers = attempts(caller, policy, against('1'))
      for (const [name, answer] of Object.entries(answers))
        assert.ok(refused.includes(String(answer)), `${name}: ${answer}`)
    })

    test('so it is with capabilities over the user namespace', {
      skip: policy.namespaces?.user === 'host' && 'there is no user namespace in root mode',
    }, () => {
      const answers = attempts(
        caller,
        { ...policy, capabilities: ['CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH'], landlock: 'off' },
        against('1'),
      )
      for (const [name, answer] of Object.entries(answers))
        assert.ok(refused.includes(String(answer)), `${name}: ${answer}`)
    })

    test('pid 1 outlives what the payload sends it', () => {
      for (const landlock of ['on', 'off'] as const)
        assert.deepEqual(
          attempts(
            caller,
            { ...policy, landlock },
            { stop: 'os.kill(1, signal.SIGSTOP)', kill: 'os.kill(1, signal.SIGKILL)', alive: 'os.getppid()' },
          ).alive,
          1,
        )
    })

    test('a payload that is pid 1 dies with the monitor, tied or not', async () => {
      const word = uniqueSeconds()
      const untie = `import ctypes, os; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); print('up', flush=True); os.execvp('sh', ['sh', '-c', 'sleep ${word}; :'])`
      const vial = await evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), {
        ...policy,
        init: 'payload',
      } as Policy)
      const monitor = spawn(vial, ['python3', '-c', untie], {
        stdio: ['ignore', 'pipe', 'inherit'],
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      })
      try {
        await once(monitor.stdout, 'data')
        monitor.kill('SIGKILL')
        await assertGone(word)
      } finally {
        // Should it have outlived the monitor, it would do so for years, and hold our pipe.
        killAll(word)
      }
      const ends = runAs(caller, { ...policy, init: 'payload' }, 'sh', ['-c', 'echo $$; exit 5'])
      assert.deepEqual([ends.stdout, ends.exitCode], ['1\n', 5])
    })

    test('in the pid namespace of the host, monitor and init are closed', () => {
      for (const capabilities of policy.namespaces?.user === 'host' ? [[]] : [[], ['CAP_SYS_PTRACE' as const]]) {
        const shared = sharing({ ...policy, capabilities, landlock: 'off' }, { pid: 'host' })
        for (const pid of ['os.getppid()', 'parent(os.getppid())'])
          for (const [name, answer] of Object.entries(attempts(caller, shared, against(pid))))
            assert.ok(refused.includes(String(answer)), `${pid} ${name}: ${answer}`)
      }
    })

    test('the monitor does not leave that to the kernel', {
      skip: spawnSync('strace', ['--version']).status === 0 ? false : 'strace is not installed',
    }, async () => {
      // A change of privileges does the same, unless fs.suid_dumpable is 1, which is for all of the machine: proc_sys_fs(5).
      const vial = await evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), {
        ...sharing(policy, { pid: 'host' }),
        seccomp: 'none',
      } as Policy)
      const { stderr } = spawnSync('strace', ['-f', '-e', 'trace=prctl,clone', vial, 'true'], {
        encoding: 'utf8',
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      })
      const monitor = stderr.slice(0, stderr.indexOf('clone('))
      assert.match(monitor, /prctl\(PR_SET_DUMPABLE, SUID_DUMP_DISABLE/, stderr)
    })

    test('nor can one of its user be changed through /proc', () => {
      const decoy = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {})
      try {
        const files = ['oom_score_adj', 'autogroup', 'coredump_filter', 'comm', 'sched']
        const lines = Object.fromEntries(files.map((file) => [file, `writable('/proc/${decoy.pid}/${file}')`]))
        const shared = sharing(policy, { pid: 'host' })
        const answers = (one: Policy) => new Set(Object.values(attempts(caller, one, lines)))
        const bare: Policy = { ...shared, landlock: 'off', filesystem: [{ proc: '/proc', masked: false }] }
        // In root mode it is another's.
        const stranger = policy.namespaces?.user === 'host' && policy.identity?.uid !== 0
        assert.deepEqual(answers(shared), new Set([stranger ? 'EACCES' : 'EROFS']))
        assert.deepEqual(answers(bare), new Set([stranger ? 'EACCES' : 'done']))
      } finally {
        decoy.kill('SIGKILL')
      }
    })

    test('and no process of the host can be signalled from there', () => {
      const decoy = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {})
      try {
        const lines = { decoy: `os.kill(${decoy.pid}, 0)`, init: 'os.kill(os.getppid(), 0)' }
        const shared = sharing(policy, { pid: 'host' })
        assert.deepEqual(attempts(caller, shared, lines), { decoy: 'EPERM', init: 'EPERM' })
        // Without the second wall they are the same user's.
        if (policy.namespaces?.user !== 'host')
          assert.deepEqual(attempts(caller, { ...shared, landlock: 'off' }, lines), { decoy: 'done', init: 'done' })
      } finally {
        decoy.kill('SIGKILL')
      }
    })
  })
}
