/** Commands of an open sandbox that are spawned: their streams go through the gate, and are those of any pipe. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers } from '../support/user.js'

for (const caller of callers) {
  describe(`spawned in an open sandbox, by ${caller.name}`, () => {
    test('each has its own streams, input comes when it comes, and Node.js starts one process for all', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { readFileSync } = await import('node:fs')
          const { text } = await import('node:stream/consumers')
          const { default: events } = await import('node:events')
          const children = () =>
            readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').length
          const box = await sandbox({ preset: 'system' }).open()
          const before = children()
          const script = 'read a; echo out $a; read b; echo err $b >&2; cat; exit $a'
          const spawned = Array.from({ length: 30 }, () => box.spawn('sh', ['-c', script]))
          const more = children()
          const ended = spawned.map(async ({ pid, stdin, stdout, stderr, result }, word) => {
            stdin!.write(`${word}\n`)
            const [piece] = await events.once(stdout!, 'data')
            stdin!.write(`${word + 1}\n`)
            const [told] = await events.once(stderr!, 'data')
            stdin!.end(`rest ${word}`)
            const rest = await text(stdout!)
            return [pid, `${piece}${told}${rest}`, (await result).exitCode]
          })
          const all = await Promise.all(ended)
          await box.close()
          return [more - before, all]
        },
        undefined,
      )
      const expected = Array.from({ length: 30 }, (_, word) => [
        null,
        `out ${word}\nerr ${word + 1}\nrest ${word}`,
        word,
      ])
      assert.deepEqual(seen, [1, expected])
    })

    test('a stream that is not read is not read of the command either, and holds up no other', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { buffer } = await import('node:stream/consumers')
          const box = await sandbox({ preset: 'system' }).open()
          const size = 30_000_000
          const unread = box.spawn('head', ['-c', `${size}`, '/dev/zero'])
          let others = 0
          for (let round = 0; round < 50; round++) others += (await box.run('echo', ['1'])).stdout.length
          const kept = unread.stdout!.readableLength
          const read = (await buffer(unread.stdout!)).length
          const { verdict } = await unread.result
          await box.close()
          return [others, kept > 0 && kept < 2_000_000, read === size, verdict]
        },
        undefined,
      )
      assert.deepEqual(seen, [100, true, true, { kind: 'ok' }])
    })

    test('input that is not read waits, and comes whole; what no process reads is told', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { text } = await import('node:stream/consumers')
          const { default: events } = await import('node:events')
          const box = await sandbox({ preset: 'system' }).open()
          const bytes = Buffer.alloc(3_000_000, '0123456789')
          const slow = box.spawn('sh', ['-c', 'read go < /dev/null; sleep 0.2; cksum'])
          const room = slow.stdin!.write(bytes)
          slow.stdin!.end()
          const fast = box.spawn('cksum')
          for (let at = 0; at < bytes.length; at += 1000) fast.stdin!.write(bytes.subarray(at, at + 1000))
          fast.stdin!.end()
          const sums = [await text(slow.stdout!), await text(fast.stdout!)]
          const deaf = box.spawn('sh', ['-c', 'exec <&-; echo closed; exec sleep 600'])
          await events.once(deaf.stdout!, 'data')
          const [{ code }] = await Promise.all([events.once(deaf.stdin!, 'error'), deaf.stdin!.write('x')]).then(
            ([all]) => all,
          )
          deaf.kill('SIGKILL')
          const ended = box.spawn('true')
          await ended.result
          await box.close()
          return [
            room,
            sums[0] === sums[1],
            sums[0]!.trim().split(' ')[1],
            code,
            ended.stdin!.destroyed,
            (await deaf.result).verdict,
          ]
        },
        undefined,
      )
      assert.deepEqual(seen, [false, true, '3000000', 'EPIPE', true, { kind: 'killed', by: 'caller' }])
    })

    test('an output that the caller closes is closed for the command', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { default: events } = await import('node:events')
          const box = await sandbox({ preset: 'system' }).open()
          const endless = box.spawn('yes')
          await events.once(endless.stdout!, 'data')
          endless.stdout!.destroy()
          const { verdict } = await endless.result
          await box.close()
          return verdict
        },
        undefined,
      )
      assert.deepEqual(seen, { kind: 'signal', signal: 'SIGPIPE' })
    })

    test('signals reach it, those of the keyboard its group, and what it has left in the background lives on', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { default: events } = await import('node:events')
          const box = await sandbox({ preset: 'system', filesystem: [{ proc: '/proc' }] }).open()
          const ready = async (script: string) => {
            const one = box.spawn('sh', ['-c', script])
            const [piece] = await events.once(one.stdout!, 'data')
            return { one, said: String(piece).trim() }
          }
          const asked = await ready('trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done')
          const told = asked.one.kill()
          const first = (await asked.one.result).verdict
          const over = asked.one.kill()
          // It waits for its child, which only the group's signal ends.
          const group = await ready('trap "exit 4" INT; sh -c "echo ready; exec sleep 600"; exit 5')
          group.one.kill('SIGINT')
          const second = (await group.one.result).verdict
          // One that makes no processes: what waits in vfork(2) for a child that is stopped is not stopped itself.
          const stopped = await ready('trap "exit 6" USR1; echo $$; while :; do read wait; done')
          stopped.one.kill('SIGSTOP')
          await box.run('sh', ['-c', `until grep -q "^State:.T" /proc/${stopped.said}/status; do :; done`])
          stopped.one.kill('SIGUSR1')
          stopped.one.kill('SIGCONT')
          const third = (await stopped.one.result).verdict
          const left = await ready("setsid sh -c 'echo $$; exec sleep 600' & exec sleep 600")
          left.one.kill('SIGKILL')
          await left.one.result
          const lives = (await box.run('sh', ['-c', `kill -0 ${left.said}`])).verdict
          let unknown = ''
          try {
            box.spawn('sleep', ['600']).kill('SIGNONE' as 'SIGTERM')
          } catch (error) {
            unknown = (error as Error).name
          }
          await box.close()
          return [told, first, over, second, third, lives, unknown]
        },
        undefined,
      )
      const [told, first, over, second, third, lives, unknown] = seen
      assert.deepEqual([told, first, over], [true, { kind: 'exit', code: 3 }, false])
      assert.deepEqual(second, { kind: 'exit', code: 4 })
      assert.deepEqual([third, lives, unknown], [{ kind: 'exit', code: 6 }, { kind: 'ok' }, 'OptionError'])
    })

    test('timeout, abort, limits and what cannot be run are told as of any other', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { text } = await import('node:stream/consumers')
          const box = await sandbox({ preset: 'system', limits: { stdout: 10, required: false } }).open()
          const timed = (await box.spawn('sleep', ['600'], { timeout: 100 }).result).verdict
          const aborter = new AbortController()
          const aborted = box.spawn('sleep', ['600'], { signal: aborter.signal })
          aborter.abort()
          const name = await aborted.result.catch((error) => error.name)
          const limited = box.spawn('sh', ['-c', 'echo 123456789012; sleep 600'])
          const said = await text(limited.stdout!)
          const absent = box.spawn('absent-program')
          const nothing = await text(absent.stdout!)
          const why = await absent.result.catch((error) => error.name)
          await box.close()
          return [timed, name, said, (await limited.result).verdict, nothing, why]
        },
        undefined,
      )
      assert.deepEqual(seen, [
        { kind: 'killed', by: 'timeout' },
        'AbortError',
        '1234567890',
        { kind: 'output-limit', stream: 'stdout', limit: 10 },
        '',
        'CommandError',
      ])
    })

    test('what writes in the background when it ends does not keep it; when the gate is killed, its streams end', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { text } = await import('node:stream/consumers')
          const { readFileSync } = await import('node:fs')
          const { default: events } = await import('node:events')
          const children = (pid: number) =>
            readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
          const box = await sandbox({ preset: 'system' }).open()
          // It ends when its input does: by then what it has left writes.
          const leaving = box.spawn('sh', ['-c', 'setsid yes & exec cat'])
          let said = ''
          leaving.stdout!.on('data', (bytes: Buffer) => {
            said += bytes
            leaving.stdin!.end()
          })
          await events.once(leaving.stdout!, 'end')
          const left = (await leaving.result).verdict
          const running = box.spawn('sh', ['-c', 'echo begun; exec sleep 600'])
          await events.once(running.stdout!, 'data')
          const monitor = children(process.pid).find((pid) => pid !== box.pid)!
          process.kill(children(monitor)[0]!, 'SIGKILL')
          const rest = await text(running.stdout!)
          const ended = [rest, running.stdin!.destroyed, (await running.result).verdict.kind]
          const again = (await box.spawn('true').result).verdict
          await box.close()
          return [left, said.startsWith('y\ny\n'), ended, again]
        },
        undefined,
      )
      assert.deepEqual(seen, [{ kind: 'ok' }, true, ['', true, 'killed'], { kind: 'ok' }])
    })
  })
}
