/** A sandbox that is open: what enters it shares its files and processes, each has its own end, and its end is the end of all. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers } from '../support/user.js'

for (const caller of callers) {
  describe(`an open sandbox of ${caller.name}`, () => {
    test('commands share files and processes, and each has its own input, output, status, directory and environment', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp' }] }).open()
          const sh = (script: string, options = {}) => box.run('sh', ['-c', script], options)
          const first = await sh('cat > /tmp/kept; (sleep 600 >/dev/null 2>&1 &); exit 3', { input: 'hello' })
          const second = await sh('cat /tmp/kept; pwd; echo $OWN >&2', { cwd: '/tmp', env: { OWN: 'own' } })
          const both = await Promise.all(['a', 'b'].map((word) => sh(`echo ${word}; kill -TERM $$`)))
          const background = await sh('cat /proc/[0-9]*/cmdline | tr "\\0" "\\n" | grep -xc "[6]00"')
          await box.close()
          return {
            first: [first.exitCode, first.verdict],
            second: [second.stdout, second.stderr, second.verdict],
            both: both.map(({ stdout, verdict }) => [stdout, verdict]),
            background: background.stdout,
          }
        },
        undefined,
      )
      assert.deepEqual(seen, {
        first: [3, { kind: 'exit', code: 3 }],
        second: ['hello/tmp\n', 'own\n', { kind: 'ok' }],
        both: ['a\n', 'b\n'].map((word) => [word, { kind: 'signal', signal: 'SIGTERM' }]),
        background: '1\n',
      })
    })

    test('a timeout ends the command with its process group, and nothing else', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ proc: '/proc' }] }).open()
          const other = box.spawn('sh', ['-c', 'echo up; exec sleep 600'])
          await new Promise((resolve) => other.stdout!.once('data', resolve))
          // Where it had not begun by then, the machine is slow.
          let ended: Awaited<ReturnType<typeof box.run>>
          let timeout = 250
          do {
            timeout *= 2
            ended = await box.run('sh', ['-c', 'echo begun; sleep 601; :'], { timeout })
          } while (ended.stdout !== 'begun\n' && timeout < 60_000)
          const left = await box.run('sh', ['-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n" | grep -x "60[01]"'])
          other.kill('SIGKILL')
          const { verdict } = await other.result
          await box.close()
          return [ended.stdout, ended.verdict, ended.timedOut, left.stdout, verdict]
        },
        undefined,
      )
      assert.deepEqual(seen, [
        'begun\n',
        { kind: 'killed', by: 'timeout' },
        true,
        '600\n',
        { kind: 'killed', by: 'caller' },
      ])
    })

    test('its end is the end of what runs in it; then nothing enters, and it says so', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const told: string[] = []
          box.on('exit', ({ verdict }) => told.push(verdict.kind))
          const running = box.spawn('sh', ['-c', 'echo up; exec sleep 600'])
          await new Promise((resolve) => running.stdout!.once('data', resolve))
          await box.close()
          const late = await box.run('true').catch((error) => [error.name, error.message.split('\n')[0]])
          return [told, (await running.result).verdict, (await box.wait()).verdict, box.signal('SIGTERM'), late]
        },
        undefined,
      )
      assert.deepEqual(seen, [
        ['killed'],
        { kind: 'signal', signal: 'SIGKILL' },
        { kind: 'killed', by: 'caller' },
        false,
        ['SandboxError', 'cannot find the sandbox: No such file or directory'],
      ])
    })

    test('what would enter as it ends is told so: fork(2) into a sandbox whose pid 1 is gone has no memory', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { readFileSync } = await import('node:fs')
          const box = await sandbox({ preset: 'system' }).open()
          await box.run('true')
          // Its monitor would be gone at once.
          process.kill(box.pid, 'SIGSTOP')
          for (const child of readFileSync(`/proc/${box.pid}/task/${box.pid}/children`, 'latin1').trim().split(' '))
            process.kill(Number(child), 'SIGKILL')
          const states = () =>
            readFileSync(`/proc/${box.pid}/task/${box.pid}/children`, 'latin1')
              .trim()
              .split(' ')
              .map((child) => readFileSync(`/proc/${child}/stat`, 'latin1').replace(/.*\) (.).*/s, '$1'))
          // A signal is acted upon later.
          while (states().some((state) => state !== 'Z')) await new Promise((resolve) => setTimeout(resolve, 5))
          const told = []
          const ignore = { stdio: ['ignore'] } as const
          for (const run of [() => box.run('true'), () => box.spawn('true', [], ignore).result])
            told.push(await run().catch(({ name, message, code }) => [name, message, code]))
          process.kill(box.pid, 'SIGCONT')
          return [told, (await box.wait()).verdict]
        },
        undefined,
      )
      assert.deepEqual(seen, [
        ['start a command', 'start the command, and wait for it outside'].map((what) => [
          'SandboxError',
          `cannot ${what}: Cannot allocate memory\n      the sandbox has ended, or no memory is left`,
          'ENOMEM',
        ]),
        { kind: 'killed' },
      ])
    })

    test('SIGTERM asks all in it to end, and it ends when they have', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const polite = box.spawn('sh', [
            '-c',
            'trap "echo asked; exit 0" TERM; echo ready; while :; do sleep 0.05; done',
          ])
          let said = ''
          await new Promise<void>((resolve) =>
            polite.stdout!.on('data', (bytes) => {
              said += bytes
              resolve()
            }),
          )
          box.signal('SIGTERM')
          const { exitCode } = await box.wait()
          return [said, (await polite.result).exitCode, exitCode]
        },
        undefined,
      )
      assert.deepEqual(seen, ['ready\nasked\n', 0, 0])
    })

    test('what is inside tells pid 1 nothing that only vial may: real-time signals to it are for nothing', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const running = box.spawn('sh', ['-c', 'echo ready; read line; echo $line'])
          await new Promise((resolve) => running.stdout!.once('data', resolve))
          const sent = []
          for (let signal = 32; signal <= 64; signal++)
            sent.push((await box.run('sh', ['-c', `kill -${signal} 1`])).exitCode)
          running.stdin!.end('heard\n')
          let said = ''
          running.stdout!.on('data', (bytes) => {
            said += bytes
          })
          const { verdict } = await running.result
          await box.run('sh', ['-c', 'kill -TERM 1'])
          return [[...new Set(sent)], said, verdict, (await box.wait()).verdict]
        },
        undefined,
      )
      assert.deepEqual(seen, [[0], 'heard\n', { kind: 'ok' }, { kind: 'ok' }])
    })

    test('what cannot be started is told as by a run', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const told = (run: Promise<unknown>) => run.catch((error) => [error.name, error.message.split('\n')[0]])
          const seen = [
            await told(box.run('nowhere')),
            await told(box.run('true', [], { cwd: '/nowhere' })),
            await told(sandbox({ namespaces: { pid: 'host' } }).open()),
            await told(sandbox({ init: 'payload' }).open()),
            await told(sandbox({ filesystem: [{ bind: '/nowhere' }] }).open()),
          ]
          await box.close()
          return seen
        },
        undefined,
      )
      assert.deepEqual(seen, [
        ['CommandError', 'cannot run nowhere: No such file or directory'],
        ['SandboxError', 'cannot enter the working directory /nowhere: No such file or directory'],
        ['PolicyError', 'namespaces.pid: a sandbox that others enter has its own: namespaces.pid: "new"'],
        ['PolicyError', 'init: what others enter has a pid 1 that stays beside its command: init: "reaper"'],
        ['SandboxError', 'cannot bind /nowhere: No such file or directory'],
      ])
    })
  })
}
