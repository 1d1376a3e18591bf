/** What a run has used is told however it ended, and on a full disk too. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { callers, workDirectory } from '../support/user.js'

for (const caller of callers) {
  describe(`the usage of a run that is killed, by ${caller.name}`, () => {
    test('by the caller, a timeout, and too much output', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const one = sandbox({ preset: 'system' })
          // A slow machine has written nothing when the first time is over.
          let timeout = await one.run('sh', ['-c', 'echo up; sleep 600'], { timeout: 200 })
          for (let ms = 1000; timeout.stdout === ''; ms *= 4)
            timeout = await one.run('sh', ['-c', 'echo up; sleep 600'], { timeout: ms })
          const output = await one.run('sh', ['-c', 'yes'], { maxBuffer: 1000 })
          const limited = await sandbox({ preset: 'system', limits: { output: 1000 } }).run('yes')
          const child = one.spawn('sh', ['-c', 'echo up; sleep 600'])
          await new Promise((resolve) => child.stdout!.once('data', resolve))
          child.kill('SIGKILL')
          const killed = await child.result
          return [timeout, output, limited, killed].map(({ verdict, usage }) => ({ verdict, maxRss: usage.maxRss }))
        },
        {},
      )
      assert.deepEqual(
        seen.map(({ verdict }) => verdict),
        [
          { kind: 'killed', by: 'timeout' },
          { kind: 'killed', by: 'maxBuffer' },
          { kind: 'output-limit', stream: 'both', limit: 1000 },
          { kind: 'killed', by: 'caller' },
        ],
      )
      for (const { verdict, maxRss } of seen) assert.ok(maxRss > 100_000, `${JSON.stringify(verdict)}: ${maxRss}`)
    })

    test('a stopped monitor is killed all the same', async () => {
      const kind = await evaluate(
        caller,
        async ({ sandbox }) => {
          const child = sandbox({ preset: 'system' }).spawn('sh', ['-c', 'echo up; sleep 600'])
          await new Promise((resolve) => child.stdout!.once('data', resolve))
          process.kill(child.pid, 'SIGSTOP')
          child.kill('SIGKILL')
          return (await child.result).verdict.kind
        },
        {},
      )
      assert.equal(kind, 'killed')
    })

    test('a payload that fills the disk of the cache takes nothing away', {
      skip: notRoot || notInstalled('setpriv'),
    }, async () => {
      const cache = workDirectory(caller, 'full')
      const become = `setpriv --reuid ${caller.uid} --regid ${caller.gid} --clear-groups`
      const mount = `mount -t tmpfs -o size=1M,uid=${caller.uid},mode=700 none ${cache} && exec ${caller.uid === 0 ? '' : become} "$@"`
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { cache }) => {
          const { writeFileSync } = await import('node:fs')
          const one = sandbox({ preset: 'system', limits: { wallTime: '100ms' } })
          await one.run('true')
          let full = ''
          try {
            writeFileSync(`${cache}/big`, Buffer.alloc(2 ** 20))
          } catch (error) {
            full = (error as NodeJS.ErrnoException).code!
          }
          // More than the rest of a page of the file has room for.
          const kinds = new Set<string>()
          let maxRss = Number.POSITIVE_INFINITY
          for (let run = 0; run < 10; run++) {
            const { verdict, usage } = await one.run('sleep', ['600'])
            kinds.add(verdict.kind)
            maxRss = Math.min(maxRss, usage.maxRss)
          }
          return { full, kinds: [...kinds], maxRss }
        },
        { cache },
        { env: { VIAL_CACHE: cache }, wrapper: ['unshare', '-m', 'sh', '-c', mount, 'sh'] },
      )
      assert.equal(seen.full, 'ENOSPC')
      assert.deepEqual(seen.kinds, ['time-limit'])
      assert.ok(seen.maxRss > 0)
    })
  })
}
