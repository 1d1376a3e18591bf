/** Commands of an open sandbox whose output is collected: they come in through one gate, and are kept apart. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers } from '../support/user.js'
import { here as ends, told } from './earlyEnds.js'

for (const caller of callers) {
  describe(`the gate of an open sandbox, by ${caller.name}`, () => {
    test('many at a time: each has its own output and status, and Node.js starts one process for all', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { readFileSync } = await import('node:fs')
          const children = () =>
            readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').length
          const box = await sandbox({ preset: 'system' }).open()
          const before = children()
          const script = 'read word; echo out $word; echo err $word >&2; exit $word'
          const runs = Array.from({ length: 30 }, (_, word) => box.run('sh', ['-c', script], { input: `${word}\n` }))
          const more = children()
          const ended = await Promise.all(runs)
          await box.close()
          return [more - before, ended.map(({ stdout, stderr, exitCode }) => [stdout, stderr, exitCode])]
        },
        undefined,
      )
      const expected = Array.from({ length: 30 }, (_, word) => [`out ${word}\n`, `err ${word}\n`, word])
      assert.deepEqual(seen, [1, expected])
    })

    test('more at a time than it takes, and more input and words than it takes, are started as any other', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const many = await Promise.all(Array.from({ length: 40 }, (_, word) => box.run('echo', [`${word}`])))
          const long = await box.run('wc', ['-c'], { input: 'a'.repeat(100_000) })
          const wide = await box.run('sh', ['-c', 'echo $#', 'sh', ...Array<string>(5000).fill('a')])
          await box.close()
          return [many.map(({ stdout }) => Number(stdout)), Number(long.stdout), Number(wide.stdout)]
        },
        undefined,
      )
      assert.deepEqual(seen, [Array.from({ length: 40 }, (_, word) => word), 100_000, 5000])
    })

    test('a command sees no process and no descriptor of the gate, nor what another one writes', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ proc: '/proc' }] }).open()
          const other = box.run('sleep', ['600'])
          const script =
            'for fd in /proc/$$/fd/*; do readlink $fd; done; cut -d" " -f4 /proc/$$/stat; ls /proc | grep -c "^[0-9]"'
          const { stdout } = await box.run('sh', ['-c', script])
          await box.close()
          await other
          return stdout.replaceAll(/\[\d+\]/g, '').split('\n')
        },
        undefined,
      )
      // Of the shell: standard streams, then its parent, then pid 1, the sleeper, itself, and the pipeline's two.
      assert.deepEqual(seen, ['/dev/null', 'pipe:', 'pipe:', '0', '5', ''])
    })

    test('much output of both streams is whole and in order', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const { stdout, stderr } = await box.run('sh', ['-c', 'seq 300000 >&2 & seq 300000; wait'])
          const whole = Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join('')
          await box.close()
          return [stdout === whole, stderr === whole]
        },
        undefined,
      )
      assert.deepEqual(seen, [true, true])
    })

    test('what a command leaves in the background lives on, and holds up neither it nor others', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }] }).open()
          // It ends when what it has left has written.
          const writes = 'mkfifo /tmp/first; setsid sh -c "yes | tee -p /tmp/first" & read line < /tmp/first'
          const left = await box.run('sh', ['-c', writes])
          const quiet = await box.run('sh', ['-c', 'setsid sleep 600 & echo $!'])
          const lives = await box.run('sh', ['-c', `kill -0 ${quiet.stdout.trim()}`])
          await box.close()
          return [left.verdict, left.stdout.startsWith('y\ny\n'), lives.verdict]
        },
        undefined,
      )
      assert.deepEqual(seen, [{ kind: 'ok' }, true, { kind: 'ok' }])
    })

    test('a command that stops all that it can reach holds up no other', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const stopping = box.run('sh', ['-c', 'while :; do kill -STOP -1; done'])
          const others = []
          for (let round = 0; round < 30; round++) others.push(box.run('true', [], { timeout: 500 }))
          const ended = await Promise.all(others)
          const after = await box.run('true', [], { timeout: 500 })
          await box.close()
          const kinds = [...ended, after].map(({ verdict }) => verdict.kind)
          return [kinds.every((kind) => kind === 'ok' || kind === 'killed'), (await stopping).signal]
        },
        undefined,
      )
      assert.deepEqual(seen, [true, 'SIGKILL'])
    })

    test('timeout, abort, too much output and limits of it end a command with its process group, and are told', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, ends) => {
          const { earlyEnds, policy } = (await import(ends)) as typeof import('./earlyEnds.js')
          const box = await sandbox(policy).open()
          const told = await earlyEnds(box.run)
          await box.close()
          return told
        },
        ends,
      )
      assert.deepEqual(seen, told)
    })

    test('where the gate is killed, so is what it runs, and the next command has a new one', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { readFileSync } = await import('node:fs')
          const children = (pid: number) =>
            readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
          const box = await sandbox({ preset: 'system', filesystem: [{ proc: '/proc' }] }).open()
          const left = async () =>
            (await box.run('sh', ['-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n" | grep -c "^60[0-9]$"'])).stdout
          const seen = []
          for (const whose of ['monitor', 'gate'] as const) {
            await box.run('true')
            const monitor = children(process.pid).find((pid) => pid !== box.pid)!
            const running = [600, 601, 602].map((time) => box.run('sleep', [`${time}`]))
            while ((await left()) !== '3\n');
            process.kill(whose === 'monitor' ? monitor : children(monitor)[0]!, 'SIGKILL')
            const ended = await Promise.all(running)
            seen.push([ended.map(({ verdict }) => verdict.kind), await left()])
          }
          await box.close()
          return seen
        },
        undefined,
      )
      const killed = [['killed', 'killed', 'killed'], '0\n']
      assert.deepEqual(seen, [killed, killed])
    })
  })
}
