/** A pool: sandboxes that are ready, each for one command. Its order is tested in poolQueue.test.ts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate, start } from '../support/evaluate.js'
import { assertGone, childrenOf, eventually, processesWith, uniqueSeconds } from '../support/processes.js'
import { callers } from '../support/user.js'
import { here as ends, told } from './earlyEnds.js'

for (const caller of callers) {
  describe(`a pool, by ${caller.name}`, () => {
    test('what needs a cgroup, and so has sandboxes that Node.js opens, is the same; so are other users, and a filter that allows little', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { caller, modules: [slots, pools, check] }) => {
          const run = { input: 'input\n', files: { '/data/a': 'content\n' }, cwd: '/data' }
          const seen: Record<string, unknown> = {}
          const filesystem = [{ tmpfs: '/data' as const }]
          const boxes = async () => {
            const { boxSlots } = await import(slots!)
            const { Pool } = await import(pools!)
            const { acceptPolicy } = await import(check!)
            const maker = boxSlots(acceptPolicy({ preset: 'system', filesystem }), '/')
            return new Pool(maker, { size: 1, max: 1 }).opened() as ReturnType<ReturnType<typeof sandbox>['pool']>
          }
          const identity = { uid: 1234, gid: 1235 }
          const own = caller === 0 ? { namespaces: { user: 'host' as const } } : {}
          const makers = {
            boxes,
            other: () => sandbox({ preset: 'system', filesystem, identity, ...own }).pool({ size: 1 }),
            strict: () => sandbox({ preset: 'system', filesystem, seccomp: 'strict' }).pool({ size: 1 }),
          }
          for (const [name, make] of Object.entries(makers)) {
            const pool = await make()
            const { stdout, exitCode } = await pool.run('cat', ['a', '-', 'b'], run)
            const again = await pool.run('cat', ['/data/a'])
            await pool.close()
            seen[name] = [stdout, exitCode, again.stdout, again.exitCode]
          }
          return seen
        },
        {
          caller: caller.uid,
          modules: ['live/boxSlots', 'live/pool', 'policy/check'].map(
            (name) => new URL(`../../src/${name}.js`, import.meta.url).href,
          ),
        },
      )
      const expected = ['content\ninput\n', 1, '', 1]
      assert.deepEqual(seen, { boxes: expected, other: expected, strict: expected })
    })

    test('a wall time begins with the command, however long its sandbox has waited', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const limits = { wallTime: '400ms' } as const
          const pool = await sandbox({ preset: 'system', limits }).pool({ size: 1, max: 1 })
          await new Promise((resolve) => setTimeout(resolve, 500))
          const waited = await pool.run('true')
          const late = await pool.run('sleep', ['600'])
          await pool.close()
          return [waited.verdict, late.verdict, pool.metrics().lost]
        },
        undefined,
      )
      assert.deepEqual(seen, [{ kind: 'ok' }, { kind: 'time-limit', clock: 'wall', limit: 400 }, 0])
    })

    test('a sandbox that waits is two processes', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { readFileSync } = await import('node:fs')
          const children = (pid: number | string) =>
            readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
          const below = (pid: number | string): readonly unknown[] => children(pid).map(below)
          const pool = await sandbox({ preset: 'system' }).pool({ size: 3, max: 3 })
          while (pool.metrics().warm < 3) await new Promise((resolve) => setTimeout(resolve, 5))
          const houses = below(process.pid)
          await pool.close()
          return [houses, below(process.pid)]
        },
        undefined,
      )
      const slot = [[]]
      assert.deepEqual(seen, [[[slot, slot, slot]], []])
    })

    test('where init fails at once, that is told, and nothing is left', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          // A directory of the host, which is read-only inside.
          const policy: Policy = { preset: 'system', filesystem: [{ tmpfs: '/usr/absent' }] }
          const failed: string[] = []
          for (let round = 0; round < 5; round++) {
            const pool = await sandbox(policy)
              .pool({ size: 4, max: 4 })
              .catch((error) => error)
            failed.push(
              pool instanceof Error
                ? pool.name
                : await pool.run('true').then(
                    () => 'ran',
                    (error: Error) => error.name,
                  ),
            )
            if (!(pool instanceof Error)) await pool.close()
          }
          const { readFileSync } = await import('node:fs')
          return [failed, readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')]
        },
        undefined,
      )
      assert.deepEqual(seen, [Array(5).fill('SandboxError'), ''])
    })

    test('where the house is killed, so are its commands, and another one takes its place', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { readFileSync } = await import('node:fs')
          const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim()
          const pool = await sandbox({ preset: 'system' }).pool({ size: 1, max: 2 })
          const running = pool.run('sh', ['-c', 'sleep 600'])
          while (pool.metrics().running === 0) await new Promise((resolve) => setTimeout(resolve, 5))
          const houses = children().split(' ')
          process.kill(Number(houses[0]), 'SIGKILL')
          const { verdict } = await running
          const again = await pool.run('echo', ['on'])
          await pool.close()
          return [houses.length, verdict.kind, again.stdout, children()]
        },
        undefined,
      )
      assert.deepEqual(seen, [1, 'killed', 'on\n', ''])
    })

    test('a command has its own words, directory, variables, input, files and limits, and what it wrote is whole', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const policy: Policy = { preset: 'system', filesystem: [{ tmpfs: '/data' }] }
          const pool = await sandbox(policy).pool({ size: 1, max: 2 })
          const sh = (script: string, options = {}) => pool.run('sh', ['-c', script, 'sh', 'word'], options)
          const all = await sh(
            'pwd; echo $1 $VARIABLE; cat; cat /data/a/b; ls -l /data/c | cut -c1-10; ulimit -n; exit 3',
            {
              cwd: '/data',
              env: { VARIABLE: 'value' },
              input: 'input\n',
              files: { '/data/a/b': 'content\n', '/data/c': { content: Uint8Array.of(1), mode: 0o755 } },
              limits: { openFiles: 50 },
            },
          )
          const much = await sh('seq 100000; seq 100000 >&2')
          const bytes = await pool.run('printf', ['\\377'], { encoding: 'buffer' })
          const input = await pool.run('wc', ['-c'], { input: 'a'.repeat(300_000) })
          const whole = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join('')
          const killed = await sh('kill -TERM $$')
          await pool.close()
          return [
            [all.stdout, all.stderr, all.exitCode, all.verdict, all.usage.maxRss > 0],
            [much.stdout === whole, much.stderr === whole],
            [...bytes.stdout],
            Number(input.stdout),
            [killed.signal, killed.exitCode],
          ]
        },
        undefined,
      )
      assert.deepEqual(seen, [
        ['/data\nword value\ninput\ncontent\n-rwxr-xr-x\n50\n', '', 3, { kind: 'exit', code: 3 }, true],
        [true, true],
        [255],
        300_000,
        ['SIGTERM', null],
      ])
    })

    test('what ends a command early is told: timeout, abort, too much output, limits of its own and of the policy', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, ends) => {
          const { earlyEnds, policy } = (await import(ends)) as typeof import('./earlyEnds.js')
          const pool = await sandbox(policy).pool({ size: 2, max: 4 })
          const told = await earlyEnds(pool.run)
          const walled = await pool.run('sleep', ['600'], { limits: { wallTime: '200ms' } })
          const missing = await pool.run('/missing').catch((error) => [error.name, error.code])
          const nowhere = await pool.run('true', [], { cwd: '/nowhere' }).catch((error) => error.message.split('\n')[0])
          const again = await pool.run('echo', ['on'])
          await pool.close()
          return [told, walled.verdict, missing, nowhere, again.stdout]
        },
        ends,
      )
      assert.deepEqual(seen, [
        told,
        { kind: 'time-limit', clock: 'wall', limit: 200 },
        ['CommandError', 'ENOENT'],
        'cannot enter the working directory /nowhere: No such file or directory',
        'on\n',
      ])
    })

    test('wrong policies and options are named by their paths, and nothing waits for them', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const said = (promise: Promise<unknown>) =>
            promise.catch((error) => `${error.name}: ${error.message.split('\n')[0]}`)
          const pool = await sandbox({ preset: 'system' }).pool({ size: 1 })
          // biome-ignore lint/suspicious/noExplicitAny: what does not type-check is refused all the same
          const run = (options: any) => said(pool.run('true', [], options))
          const all = [
            // biome-ignore lint/suspicious/noExplicitAny: as above
            await said(sandbox({ filesystem: [{ tmpfs: 'x' }] } as any).pool()),
            await said(sandbox({ filesystem: [{ bind: '/missing' }] }).pool()),
            await said(sandbox({}).pool({ size: 0 })),
            // biome-ignore lint/suspicious/noExplicitAny: as above
            await said(sandbox({}).pool({ sise: 1 } as any)),
            await run({ stdin: 'inherit' }),
            await run({ files: { a: 'x' } }),
            await run({ files: { '/a': { content: 1 } } }),
            await run({ files: { '/a': new Uint8Array(2 ** 24 + 1) } }),
            await run({ limits: { memory: '1M' } }),
            await run({ limits: { core: 1 } }),
            await run({ files: { '/proc/none': 'x' } }).then((text) =>
              /^\w+Error: cannot write (the file )?\/proc\/none: /.test(text as string),
            ),
            pool.metrics().waiting,
          ]
          await pool.close()
          return all
        },
        undefined,
      )
      assert.deepEqual(seen, [
        'PolicyError: filesystem[0].tmpfs: must be an absolute path inside the sandbox',
        'SandboxError: cannot bind /missing: No such file or directory',
        'OptionError: size: must be at least 1',
        'OptionError: sise: is not a known key (did you mean size?)',
        'OptionError: stdin: is not a known option',
        'OptionError: files.a: must be an absolute path inside the sandbox',
        'OptionError: files["/a"].content: must be text or bytes',
        'OptionError: files: must be at most 16777216 bytes together',
        'OptionError: limits.memory: is for all in the sandbox together: its policy sets it',
        'OptionError: limits.core: is for all commands of a pool alike: its policy sets it',
        true,
        0,
      ])
    })

    test('sandboxes that are killed while they wait are replaced, and nothing is left of a program that is killed', async () => {
      const seconds = uniqueSeconds()
      const node = start(
        caller,
        async ({ sandbox }, seconds) => {
          const pool = await sandbox({ preset: 'system' }).pool({ size: 2, max: 2 })
          const ready = () => pool.metrics().warm === 2 && pool.metrics().making === 0
          const wait = () => new Promise((resolve) => setTimeout(resolve, 5))
          while (!ready()) await wait()
          console.log('ready')
          while (pool.metrics().lost < 2) await wait()
          while (!ready()) await wait()
          void pool.run('sh', ['-c', `setsid sleep ${seconds} & exec sleep ${seconds}`])
          await new Promise(() => {})
        },
        seconds,
      )
      try {
        const children = () => childrenOf(node.pid!)
        await new Promise((resolve) => node.stdout!.once('data', resolve))
        const first = children()
        // Not as soon as they were made: that would be a fault of theirs.
        await new Promise((resolve) => setTimeout(resolve, 150))
        for (const pid of first) process.kill(pid, 'SIGKILL')
        await eventually(
          () => processesWith(seconds).length,
          // With the program itself.
          (count) => count === 3,
        )
        node.kill('SIGKILL')
        await assertGone(seconds)
      } finally {
        node.kill('SIGKILL')
      }
    })
  })
}
