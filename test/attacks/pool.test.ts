/** Payloads of a pool against those that come after them: each has a sandbox of its own, whatever the one before has left behind. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { assertGone, uniqueSeconds } from '../support/processes.js'
import { callers } from '../support/user.js'

const policy: Policy = { preset: 'system', filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp' }] }

/** Leaves what it can: a file, shared memory of both kinds, a message queue, an abstract socket, a name of the host, and processes. */
const leaves = `
import ctypes, os, socket, subprocess, sys
open('/tmp/left', 'w').write('left')
open('/dev/shm/left', 'w').write('left')
libc = ctypes.CDLL(None)
libc.shmget(0x1234, 4096, 0o1666)
libc.msgget(0x1234, 0o1666)
listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listening.bind('\\0left')
listening.listen()
if os.fork() == 0:
    os.setsid()
    os.execvp('sleep', ['sleep', sys.argv[1]])
os.set_inheritable(listening.fileno(), True)
subprocess.Popen(['sleep', sys.argv[1]], start_new_session=True, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print('left')`

const looks = `
import ctypes, os, socket
found = [path for path in ['/tmp/left', '/dev/shm/left'] if os.path.exists(path)]
libc = ctypes.CDLL(None)
if libc.shmget(0x1234, 4096, 0) >= 0: found.append('shm')
if libc.msgget(0x1234, 0) >= 0: found.append('msg')
try:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect('\\0left')
    found.append('socket')
except OSError: pass
for pid in os.listdir('/proc'):
    if pid.isdigit() and open('/proc/' + pid + '/cmdline', 'rb').read().startswith(b'sleep'): found.append('process')
for fd in os.listdir('/proc/self/fd'):
    try: link = os.readlink('/proc/self/fd/' + fd)
    except OSError: continue
    if int(fd) > 2 and not link.endswith('/fd'): found.append(link)
if sorted(pid for pid in os.listdir('/proc') if pid.isdigit()) != sorted(['1', str(os.getpid())]): found.append('others')
print(found)`

for (const caller of callers)
  describe(`payloads of a pool, by ${caller.name}`, { skip: notInstalled('python3') }, () => {
    test('nothing of one is there for the next, and what it has left running is killed behind its result', async () => {
      const seconds = uniqueSeconds()
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { policy, leaves, looks, seconds }) => {
          const python = (script: string) => [['python3', ['-I', '-c', script, seconds]]] as const
          const pool = await sandbox(policy).pool({ size: 1, max: 2 })
          const seen: unknown[] = []
          for (const script of [leaves, looks, leaves, looks])
            for (const [command, args] of python(script)) {
              const { stdout, stderr, durationMs } = await pool.run(command, [...args])
              seen.push(stdout + stderr, durationMs < 60_000)
            }
          // The same in one sandbox, where it is all there.
          const box = await sandbox(policy).open()
          for (const script of [leaves, looks])
            for (const [command, args] of python(script)) seen.push((await box.run(command, [...args])).stdout)
          await pool.close()
          await box.close()
          return seen
        },
        { policy, leaves, looks, seconds },
      )
      await assertGone(seconds)
      const pooled = ['left\n', true, '[]\n', true]
      assert.deepEqual(seen.slice(0, 8), [...pooled, ...pooled])
      assert.equal(seen[8], 'left\n')
      for (const what of ['/tmp/left', '/dev/shm/left', 'shm', 'msg', 'socket', 'process'])
        assert.ok(String(seen[9]).includes(`'${what}'`), `in one sandbox: ${what}`)
    })

    test('a payload that never reads, floods, stops all or kills all holds up no other', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, policy) => {
          const pool = await sandbox(policy).pool({ size: 2, max: 8 })
          const sh = (script: string, options = {}) => pool.run('sh', ['-c', script], options)
          const aborter = new AbortController()
          const { signal } = aborter
          const hostile = [
            sh('sleep 600', { input: 'a'.repeat(2_000_000), signal }),
            sh('yes', { maxBuffer: 2 ** 22 }),
            sh('while :; do kill -STOP -1; done', { signal }),
            sh('kill -KILL -1; sleep 600', { signal }),
          ].map((one) => one.then(({ verdict }) => verdict.kind).catch((error) => error.name))
          const others = []
          for (let round = 0; round < 5; round++) others.push((await sh('echo on')).stdout)
          aborter.abort()
          const ended = await Promise.all(hostile)
          await pool.close()
          return [others.join(''), ended]
        },
        policy,
      )
      assert.deepEqual(seen, ['on\n'.repeat(5), ['AbortError', 'killed', 'AbortError', 'AbortError']])
    })
  })
