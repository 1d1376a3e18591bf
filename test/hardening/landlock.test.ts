import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { compile, type Policy } from '../../src/index.js'
import { landlockRules } from '../../src/plan/landlockRules.js'
import { evaluate } from '../support/evaluate.js'
import { noScopes, notInstalled } from '../support/needs.js'
import { runAs, workDirectory } from '../support/user.js'
import { attempts, modes, sharing } from './attempts.js'

test('one rule for each writable mount, and none beneath another', () => {
  const rules = (policy: Policy) => landlockRules(compile(policy).plan.world.init)
  const paths = (policy: Policy) => rules(policy).map(({ path, grants }) => `${path} ${grants.join()}`)
  assert.deepEqual(paths({}), ['/ read'])
  assert.deepEqual(paths({ root: { writable: true }, filesystem: [{ tmpfs: '/tmp' }] }), ['/ read,write'])
  assert.deepEqual(
    paths({
      filesystem: [
        { proc: '/proc' },
        { dev: '/dev' },
        { tmpfs: '/tmp' },
        { bind: '/tmp/in', from: '/tmp', writable: true },
        { bind: '/usr' },
        { bind: '/data', from: '/tmp', writable: true },
        { readonly: '/data' },
      ],
    }),
    ['/ read', '/proc modify', '/dev write,device', '/tmp write'],
  )
  assert.deepEqual(paths({ filesystem: [{ bind: '/', from: '/', writable: true }] }), ['/ read,write'])
  // What is above it gives nothing to mq_open(3).
  const queues: Policy = { filesystem: [{ dev: '/dev' }, { mqueue: '/dev/mqueue' }] }
  assert.deepEqual(paths(queues), ['/ read', '/dev write,device', '/dev/mqueue write,queue'])
})

for (const mode of modes) {
  const { caller, policy } = mode
  const off: Policy = { ...policy, landlock: 'off' }

  describe(`Landlock, by ${mode.name}`, () => {
    test('message queues are where the policy has them', { skip: notInstalled('python3') }, () => {
      const script = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
queue = libc.mq_open(b'/queue', os.O_CREAT | os.O_RDWR, 0o600, None)
if queue < 0: exit(errno.errorcode[ctypes.get_errno()])
text = ctypes.create_string_buffer(8192)
print(libc.mq_send(queue, b'sent', 4, 1), libc.mq_receive(queue, text, 8192, None), text.value, libc.mq_unlink(b'/queue'))`
      const open = (more: Policy) => {
        const { stdout, stderr } = runAs(caller, { ...policy, landlock: 'required', ...more }, 'python3', [
          '-c',
          script,
        ])
        return stdout + stderr
      }
      // Beneath a writable directory, and beneath none.
      for (const mqueue of ['/dev/mqueue', '/queues'])
        assert.equal(open({ filesystem: [{ mqueue }] }), "0 4 b'sent' 0\n")
      assert.equal(open({}), 'EACCES\n')
      assert.equal(open({ filesystem: [{ mqueue: '/queues' }, { readonly: '/queues' }] }), 'EACCES\n')
    })

    test('programs do not notice it', { skip: notInstalled('python3') }, () => {
      const directory = workDirectory(caller, 'writable')
      const shown: Policy = {
        ...policy,
        identity: { uid: policy.namespaces?.user === 'host' ? caller.uid : 1000 },
        landlock: 'required',
        filesystem: [
          { bind: '/data', from: directory, writable: true },
          { bind: '/absent', from: '/absent', optional: true, writable: true },
        ],
      }
      const script = [
        'set -e',
        'for d in /data /tmp /dev/shm $HOME /var/tmp; do cd $d; mkdir a b; echo x > a/f; mv a/f b/; ln b/f a/g; ln -s f b/l; mkfifo p; : > b/f; rm -r a b p; done',
        '(echo out > /dev/stdout) | cat; (echo err > /dev/stderr) 2>&1 | cat >&2; echo x > /dev/null; echo x | cat /dev/stdin > /dev/null; cat < /dev/zero | head -c 3 > /tmp/z; cat <(echo) > /dev/null',
        `python3 -c 'import pty, os, tempfile, threading, multiprocessing; a, b = pty.openpty(); os.ttyname(b); tempfile.TemporaryFile(); multiprocessing.Lock(); open("/proc/self/comm", "w").write("n")'`,
      ].join('\n')
      const answer = runAs(caller, shown, 'bash', ['-c', script])
      assert.deepEqual([answer.error, answer.exitCode, answer.stdout, answer.stderr], [undefined, 0, 'out\n', 'err\n'])
    })

    test('what is open for reading cannot be opened again for writing', async () => {
      for (const [landlock, expected] of [
        ['on', 'before'],
        ['off', 'after'],
      ] as const) {
        const file = join(workDirectory(caller, 'stdin'), 'file')
        writeFileSync(file, 'before')
        const error = join(workDirectory(caller, 'stdin'), `error-${mode.name}-${landlock}`)
        const fd = openSync(file, 'r')
        try {
          const seen = await evaluate(
            caller,
            async ({ sandbox }, { policy, path }) => {
              const { openSync } = await import('node:fs')
              const error = openSync(path, 'w')
              const child = sandbox(policy).spawn(
                'sh',
                ['-c', 'cat /dev/stdin; printf after > /proc/self/fd/0; echo written > /dev/stderr'],
                {
                  stdio: ['inherit', 'pipe', error],
                },
              )
              return new Promise<string>((resolve) =>
                child.stdout!.once('data', (data) => child.result.then(() => resolve(String(data)))),
              )
            },
            {
              policy: {
                ...policy,
                landlock,
                identity: { uid: policy.namespaces?.user === 'host' ? caller.uid : 1000 },
              } as Policy,
              path: error,
            },
            { stdin: fd },
          )
          assert.equal(seen, 'before')
        } finally {
          closeSync(fd)
        }
        // The maker of the file here is root, and the ordinary user may not write it in the first place.
        if (caller.uid === 0) assert.equal(readFileSync(file, 'utf8'), expected)
        assert.match(readFileSync(error, 'utf8'), /written\n/)
      }
    })

    test('a privileged payload cannot mount, whose user namespace would let it', {
      skip: notInstalled('python3'),
    }, () => {
      const lines = {
        mount: "inChild(lambda: (unshare(NEWUSER | NEWNS), call('mount', b'x', b'/tmp', b'tmpfs', 0, 0)))",
      }
      assert.equal(attempts(caller, policy, lines).mount, 'EPERM')
      assert.equal(attempts(caller, off, lines).mount, 'done')
    })

    test('an abstract socket of the host is out of reach, its network or not', {
      skip: notInstalled('python3') || noScopes(),
    }, async () => {
      const name = `vial-test-${process.pid}`
      const listener = spawn('python3', [
        '-c',
        `import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind("\\0${name}"); s.listen(); print("up", flush=True); sys.stdin.read()`,
      ])
      await once(listener.stdout, 'data')
      try {
        const lines = { connect: `socket.socket(socket.AF_UNIX).connect('\\0${name}')` }
        assert.equal(attempts(caller, { ...policy, network: 'host' }, lines).connect, 'EPERM')
        assert.equal(attempts(caller, { ...off, network: 'host' }, lines).connect, 'done')
        assert.equal(attempts(caller, off, lines).connect, 'ECONNREFUSED')
      } finally {
        listener.kill('SIGKILL')
      }
    })

    test('a write is refused even where a mount would let it', { skip: notInstalled('python3') }, () => {
      // Nothing of ours makes such a place: a directory that is passed as a descriptor is what comes nearest.
      const lines = {
        file: "os.open('/etc/passwd', os.O_WRONLY)",
        root: "os.mkdir('/new')",
        dev: "os.mkdir('/usr/new')",
      }
      for (const answer of Object.values(attempts(caller, policy, lines)))
        assert.ok(['EROFS', 'EACCES'].includes(String(answer)), String(answer))
    })

    test('without a view of its own, signals and abstract sockets are still held in', {
      skip: notInstalled('python3') || noScopes(),
    }, () => {
      const bare = sharing({ network: 'host', namespaces: policy.namespaces ?? {} }, { mount: 'host', pid: 'host' })
      const decoy = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {})
      try {
        const lines = { decoy: `os.kill(${decoy.pid}, 0)`, list: "len(os.listdir('/etc')) > 0 and 'shown'" }
        assert.deepEqual(attempts(caller, bare, lines), { decoy: 'EPERM', list: 'shown' })
      } finally {
        decoy.kill('SIGKILL')
      }
    })
  })
}
