/** What a payload has as its streams, and how their end is seen on both sides. */
import assert from 'node:assert/strict'
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { spawnVial } from '../../src/run/spawn.js'
import { evaluate } from '../support/evaluate.js'
import { callers } from '../support/user.js'

/** What each descriptor is, and what an ioctl for sockets of the network says: SIOCGIFCONF, SIOCGSKNS. */
const look = `import fcntl, os, stat
def ask(fd, request):
    try:
        fcntl.ioctl(fd, request, bytes(16))
        return "done"
    except OSError as error:
        return os.strerror(error.errno)
seen = []
for fd in range(5):
    fifo = stat.S_ISFIFO(os.fstat(fd).st_mode)
    seen.append(f"{fd} {'pipe' if fifo else 'other'} {ask(fd, 0x8912)} {ask(fd, 0x894c)}")
os.write(3, "\\n".join(seen).encode())`

const noTty = 'Inappropriate ioctl for device'

for (const caller of callers) {
  describe(`the streams of a payload by ${caller.name}`, () => {
    test('are pipes, no sockets, and know no ioctl of the network', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, look) => {
          const child = sandbox({ preset: 'system', seccomp: 'none' }).spawn('python3', ['-c', look], {
            stdio: ['pipe', 'pipe', 'pipe', 'output', 'input'],
          })
          let text = ''
          child.stdio[3]!.on('data', (data) => {
            text += data
          })
          await child.result
          return text
        },
        look,
      )
      assert.equal(seen, [0, 1, 2, 3, 4].map((fd) => `${fd} pipe ${noTty} ${noTty}`).join('\n'))
    })

    const policies: Record<string, Policy> = {
      'the default': {},
      'pids of the host': { namespaces: { pid: 'host' } },
      'the payload as pid 1': { init: 'payload' },
      'a life of its own': { dieWithParent: false },
      'no Landlock': { landlock: 'off' },
      ...(caller.uid === 0 ? { 'another user of the host': { namespaces: { user: 'host' } } } : {}),
    }
    for (const [what, policy] of Object.entries(policies)) {
      test(`with ${what}: open again by name, begin and end`, async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, policy) => {
            const one = sandbox({ preset: 'system', ...policy })
            const again = 'cat /dev/stdin >/dev/stdout; echo error >/dev/stderr; cat; echo end; exit 3'
            const { stdout, stderr, exitCode } = await one.run('sh', ['-c', again], { input: 'input\n' })
            const waits = one.spawn('sh', ['-c', 'read line; cat; echo "$line"'])
            waits.stdin!.write('first\n')
            waits.stdin!.end('second\n')
            let text = ''
            waits.stdout!.on('data', (data) => {
              text += data
            })
            await waits.result
            // There is no reader any more: SIGPIPE.
            const unread = one.spawn('cat', ['/dev/zero'])
            unread.stdout!.once('data', () => unread.stdout!.destroy())
            const { signal, exitCode: failed } = await unread.result
            return { stdout, stderr, exitCode, text, unread: signal ?? failed }
          },
          policy,
        )
        assert.deepEqual(seen, {
          stdout: 'input\nend\n',
          stderr: 'error\n',
          exitCode: 3,
          text: 'second\nfirst\n',
          // Pid 1 is spared what it does not catch, and sees EPIPE: pid_namespaces(7).
          unread: policy.init === 'payload' ? 1 : 'SIGPIPE',
        })
      })
    }

    test('do not keep a run from its end when a process in the background has them', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const one = sandbox({ preset: 'system', namespaces: { pid: 'host' } })
          const { execFileSync } = await import('node:child_process')
          const marker = `6${process.pid}`
          const script = `sleep ${marker} & echo here; head -c 50000 /dev/zero | tr '\\0' x`
          const { stdout } = await one.run('sh', ['-c', script])
          const child = one.spawn('sh', ['-c', script])
          let length = 0
          child.stdout!.on('data', (data: Buffer) => {
            length += data.length
          })
          await child.result
          const left = execFileSync('pgrep', ['-fc', `^sleep ${marker}$`], { encoding: 'utf8' }).trim()
          execFileSync('pkill', ['-f', `^sleep ${marker}$`])
          return { run: stdout.length, spawn: length, ended: child.stdout!.readableEnded, left }
        },
        {},
      )
      assert.deepEqual(seen, { run: 50005, spawn: 50005, ended: true, left: '2' })
    })

    test('may be written byte by byte, in a small heap', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          // Each byte only when the one before it was read.
          const script = `import array, fcntl, os
left = array.array("i", [0])
for _ in range(300000):
    os.write(1, b"x")
    while not fcntl.ioctl(1, 0x541b, left) and left[0]: pass`
          const { stdout } = await sandbox({ preset: 'system' }).run('python3', ['-c', script])
          return stdout.length
        },
        {},
        { env: { NODE_OPTIONS: '--max-old-space-size=32' } },
      )
      assert.equal(seen, 300000)
    })

    test('can be obtained as bytes', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const one = sandbox({ preset: 'system' })
          const script = 'printf "\\377\\000a"; printf "\\376" >&2; head -c 3000000 /dev/zero'
          const { stdout, stderr } = await one.run('sh', ['-c', script], { encoding: 'buffer' })
          const cut = await one.run('sh', ['-c', script], { encoding: 'buffer', maxBuffer: 5 })
          return [stdout.length, stdout.toString('hex', 0, 4), stderr.toString('hex'), cut.stdout.length, cut.truncated]
        },
        {},
      )
      assert.deepEqual(seen, [3000003, 'ff006100', 'fe', 5, true])
    })
  })
}

test('the streams of a vial that cannot be started have ended', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vial-streams-'))
  process.env.VIAL_CACHE = directory
  try {
    const path = join(directory, 'vial')
    writeFileSync(path, 'no program', { mode: 0o400 })
    const vial = {
      ownPids: true,
      limiter: undefined,
      ignored: 0n,
      steps: () => [],
      open: () => ({ fd: openSync(path, 'r'), path }),
    }
    const child = spawnVial(vial, 'true', [], {})
    assert.deepEqual(await child.stdout!.toArray(), [])
    assert.equal(child.stdin!.writable, false)
    await assert.rejects(child.result, /^HostError: cannot start the vial: Permission denied/)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
