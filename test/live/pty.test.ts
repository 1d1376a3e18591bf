/** A command in a terminal of its own, which the library holds the other end of: in a sandbox of its own, and in one that is open. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'

const policy: Policy = { preset: 'system', filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp' }] }

for (const caller of callers)
  for (const door of ['of its own', 'that is open'] as const)
    describe(`a terminal in a sandbox ${door}, by ${caller.name}`, () => {
      test('has a name, modes and a size, and its foreground hears of another size', async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, { policy, open }) => {
            const own = sandbox(policy)
            const box = open ? await own.open() : undefined
            const script = `trap 'stty size; exit 5' WINCH
              tty; stty size; echo $TERM; stty -a | grep -o ' iutf8'; [ -t 2 ] && ls -l /proc/self/fd/2 | grep -o '/dev.*'
              echo ready; while :; do sleep 0.05; done`
            const terminal = (box ?? own).pty({ command: 'sh', args: ['-c', script], cols: 101, rows: 31 })
            let shown = ''
            terminal.stdout.on('data', (bytes) => {
              const wasReady = shown.includes('ready')
              shown += bytes
              if (!wasReady && shown.includes('ready')) terminal.resize(132, 43)
            })
            const { exitCode, verdict } = await terminal.result
            await box?.close()
            return { shown, exitCode, verdict, late: terminal.resize(1, 1) }
          },
          { policy, open: door === 'that is open' },
        )
        const lines = ['/dev/pts/0', '31 101', 'xterm-256color', ' iutf8', '/dev/pts/0', 'ready', '43 132', '']
        const verdict = { kind: 'exit', code: 5 }
        assert.deepEqual(seen, { shown: lines.join('\r\n'), exitCode: 5, verdict, late: false })
      })

      test('has keys: ^C, ^\\ and ^Z reach the foreground job, and a shell controls jobs', {
        skip: notInstalled('bash'),
      }, async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, { policy, open }) => {
            const own = sandbox(policy)
            const box = open ? await own.open() : undefined
            const options = { command: 'bash', args: ['--norc', '--noprofile'], env: { PS1: '<$?>', TERM: 'dumb' } }
            const terminal = (box ?? own).pty(options)
            let shown = ''
            terminal.stdout.on('data', (bytes) => {
              shown += bytes
            })
            const until = async (text: string) => {
              for (let look = 0; !shown.includes(text); look++) {
                if (look > 2000) throw new Error(`no ${text} in ${shown}`)
                await new Promise((resolve) => setTimeout(resolve, 10))
              }
              const [, ...rest] = shown.split(text)
              shown = rest.join(text)
            }
            // A job's own word tells that it has the foreground.
            const job = (word: string) => `sh -c 'echo $0ning; exec sleep 600' ${word}\r`
            await until('<0>')
            const statuses: string[] = []
            for (const [word, key, told] of [
              ['begin', '\x03', '<130>'],
              ['run', '\x1c', '<131>'],
              ['spin', '\x1a', '<148>'],
            ] as const) {
              terminal.stdin.write(job(word))
              await until(`${word}ning`)
              terminal.stdin.write(key)
              await until(told)
              statuses.push(told)
            }
            terminal.stdin.write('kill -9 %1; while jobs %1; do sleep 0.01; done; exit 37\r')
            const { exitCode } = await terminal.result
            await box?.close()
            return { statuses, exitCode }
          },
          { policy, open: door === 'that is open' },
        )
        assert.deepEqual(seen, { statuses: ['<130>', '<131>', '<148>'], exitCode: 37 })
      })

      test('loses nothing of a large output, nor of the last words', async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, { policy, open }) => {
            const own = sandbox(policy)
            const box = open ? await own.open() : undefined
            const lengths: number[] = []
            const commands = [
              'stty raw; head -c 3000000 /dev/zero',
              ...Array<string>(20).fill('stty raw; printf 1234567'),
            ]
            for (const command of commands) {
              const terminal = (box ?? own).pty({ args: ['-c', command] })
              let length = 0
              terminal.stdout.on('data', (bytes: Buffer) => {
                length += bytes.length
              })
              await terminal.result
              lengths.push(length)
            }
            await box?.close()
            return lengths
          },
          { policy, open: door === 'that is open' },
        )
        assert.deepEqual(seen, [3_000_000, ...Array<number>(20).fill(7)])
      })

      test('that is closed is SIGHUP for its foreground; one that is not read is ended all the same', async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, { policy, open }) => {
            const own = sandbox(policy)
            const box = open ? await own.open() : undefined
            const closed = (box ?? own).pty({
              args: ['-c', "trap 'exit 9' HUP; while echo line; do sleep 0.01; done; sleep 60"],
            })
            closed.stdout.once('data', () => closed.stdout.destroy())
            const unread = (box ?? own).pty({ args: ['-c', 'cat /dev/zero'] })
            const typed = (box ?? own).pty({ args: ['-c', 'stty raw -echo; echo ready; exec sleep 600'] })
            typed.stdin.on('error', () => {})
            typed.stdout.once('data', () => typed.stdin.write(Buffer.alloc(2 ** 20, 'x')))
            await new Promise((resolve) => setTimeout(resolve, 300))
            for (const one of [unread, typed]) one.kill('SIGKILL')
            const verdicts = await Promise.all(
              [closed, unread, typed].map(async ({ result }) => (await result).verdict),
            )
            await box?.close()
            return verdicts
          },
          { policy, open: door === 'that is open' },
        )
        const killed = { kind: 'killed', by: 'caller' }
        assert.deepEqual(seen, [{ kind: 'exit', code: 9 }, killed, killed])
      })
    })
