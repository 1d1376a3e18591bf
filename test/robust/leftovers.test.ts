import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { assertGone, uniqueSeconds } from '../support/processes.js'
import { shareOf } from '../support/share.js'
import { callers, workDirectory } from '../support/user.js'

for (const caller of callers) {
  describe(`nothing is left behind by ${caller.name}`, () => {
    const tenth = shareOf(100)
    test(`after ${10 * tenth} runs, four at a time, of every ending`, async () => {
      const cache = workDirectory(caller, 'thousand')
      const word = uniqueSeconds()
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { word, runs }) => {
          const { readdirSync, readFileSync } = await import('node:fs')
          const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8')
          const mountsBefore = mounts()
          // A descriptor, not a path, lists itself.
          const descriptors = () => readdirSync('/proc/self/fd').length
          const good = sandbox({ preset: 'system' })
          const bad = sandbox({ preset: 'system', filesystem: [{ bind: '/x', from: '/no/such/source' }] })
          const counts: Record<string, number> = {}
          const count = (what: string) => {
            counts[what] = (counts[what] ?? 0) + 1
          }
          const sentence = (error: Error) => count(error.message.split('\n')[0]!)
          const one = async (index: number) => {
            const kind = index % 10
            if (kind === 6) await bad.run('true').then(() => count('?'), sentence)
            else if (kind === 7) await good.run('no-such-command').then(() => count('?'), sentence)
            else if (kind === 8) {
              const { timedOut, signal } = await good.run('sleep', [word], { timeout: index % 20 })
              count(`timed out: ${timedOut} ${signal}`)
            } else if (kind === 9) {
              const controller = new AbortController()
              setTimeout(() => controller.abort(new Error('aborted')), index % 20)
              await good.run('sleep', [word], { signal: controller.signal }).then(() => count('?'), sentence)
            } else {
              const { exitCode, stdout, usage } = await good.run('sh', ['-c', `echo ${index}; exit ${kind}`])
              count(`${exitCode === kind && stdout === `${index}\n` && usage.maxRss > 0}`)
            }
          }
          for (let index = 0; index < 40; index++) await one(index)
          const before = descriptors()
          for (const key of Object.keys(counts)) delete counts[key]
          let next = 0
          const worker = async () => {
            while (next < runs) await one(next++)
          }
          await Promise.all([worker(), worker(), worker(), worker()])
          return {
            counts,
            before,
            after: descriptors(),
            cached: readdirSync(process.env.VIAL_CACHE!),
            mounted: mounts() !== mountsBefore,
          }
        },
        { word, runs: 10 * tenth },
        // In a namespace of its own no one else mounts; only root could leave a mount behind.
        { env: { VIAL_CACHE: cache }, ...(caller.uid === 0 ? { wrapper: ['unshare', '-m'] } : {}) },
      )
      assert.deepEqual(seen.counts, {
        true: 6 * tenth,
        'cannot bind /no/such/source on /x: No such file or directory': tenth,
        'cannot run no-such-command: No such file or directory': tenth,
        'timed out: true SIGKILL': tenth,
        'the command was aborted: aborted': tenth,
      })
      // Four runs at a time keep up to four status files ready, one of which was there before.
      assert.ok(seen.after - seen.before <= 3, `${seen.before} descriptors before, ${seen.after} after`)
      assert.deepEqual(
        seen.cached.map((name) => name.length),
        [40, 40],
      )
      await assertGone(word)
      assert.ok(caller.uid !== 0 || !seen.mounted)
    })

    test('when a run cannot even start', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { closeSync, openSync, readdirSync } = await import('node:fs')
          const descriptors = () => readdirSync('/proc/self/fd').length
          const one = sandbox({ preset: 'system' })
          // So long that its output is read as it comes: libuv keeps a descriptor from its first stream on.
          await one.run('sleep', ['0.05'])
          const before = descriptors()
          const told: string[] = []
          const tell = (error: Error) => told.push(`${error.name}: ${error.message.split('\n')[0]}`)
          await one.run('true', ['x'.repeat(200_000)]).catch(tell)
          await one.run('true', ['nul\0']).catch(tell)
          await one.run('true', [], { timeout: Number.NaN }).catch(tell)
          await one.run('true', [], { signal: AbortSignal.abort(new Error('aborted before')) }).catch(tell)
          // No descriptor is left for the pipes.
          const held: number[] = []
          try {
            for (;;) held.push(openSync('/dev/null', 'r'))
          } catch {}
          await one.run('true').catch(tell)
          for (const fd of held) closeSync(fd)
          const { exitCode } = await one.run('true')
          return { told, exitCode, before, after: descriptors() }
        },
        {},
      )
      // Which file was the first that could not be opened depends on what this process keeps open.
      assert.match(seen.told.pop()!, /^HostError: cannot (?:start the vial|open \S+): Too many open files$/)
      assert.deepEqual(seen.told, [
        'HostError: cannot start the vial: Argument list too long',
        'OptionError: args[0]: has a NUL byte',
        'OptionError: timeout: must be a number of milliseconds',
        'AbortError: the command was aborted: aborted before',
      ])
      assert.deepEqual([seen.exitCode, seen.after], [0, seen.before])
    })
  })
}
