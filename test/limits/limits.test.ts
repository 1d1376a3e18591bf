import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { askWay } from '../../src/cgroup/findWay.js'
import type { LimitsPolicy, Policy } from '../../src/index.js'
import { checkPolicy } from '../../src/index.js'
import { parseDuration } from '../../src/policy/units.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { noGroups, notInstalled, notRoot } from '../support/needs.js'
import { assertGone, uniqueSeconds } from '../support/processes.js'
import { callers, ordinary, vial, workDirectory } from '../support/user.js'
import { compileBomb } from './bombs.js'

test('a time without a unit is in seconds, as a number and in the text of a flag', () => {
  assert.deepEqual(
    [parseDuration('1'), parseDuration('1.5'), parseDuration(2), parseDuration('2s')],
    [1000, 1500, 2000, 2000],
  )
})

test('faults in limits are named with their paths', () => {
  const faults: [unknown, string][] = [
    [{ memory: 'lots' }, 'limits.memory: must be a size such as "64M", or a number of bytes'],
    [{ memory: 0 }, 'limits.memory: must not be 0'],
    [{ pids: 1.5 }, 'limits.pids: must be a whole number'],
    [{ cpu: 0 }, 'limits.cpu: must be at least 0.01 cores'],
    [{ wallTime: '5x' }, 'limits.wallTime: must be a time such as "2s" or "500ms", or a number of seconds'],
    [{ wallTime: 101 * 365 * 86_400 }, 'limits.wallTime: must be at most a hundred years'],
    [{ cpuTime: 0.0001 }, 'limits.cpuTime: must be at least a millisecond'],
    [{ cpuWeight: 0 }, 'limits.cpuWeight: must be from 1 to 10000'],
    [{ ioWeight: 10_001 }, 'limits.ioWeight: must be from 1 to 10000'],
    [{ cpuset: '0,' }, 'limits.cpuset: must be a list of CPUs such as "0-3,6"'],
    [
      { hugepages: { '3M': 1 } },
      'limits.hugepages.3M: is not a size of a huge page: one of 64K, 2M, 32M, 512M, 1G, 16G',
    ],
    [{ memory: '1M', memoryHigh: '1M' }, 'limits.memoryHigh: must be below limits.memory, or it has no effect'],
    [{ swap: '1M' }, 'limits.swap: needs limits.memory'],
    [{ io: { speed: 1 } }, 'limits.io.speed: is not a known key'],
    [{ ram: 1 }, 'limits.ram: is not a known key'],
  ]
  for (const [limits, fault] of faults) assert.throws(() => checkPolicy({ limits }), { message: fault })
  assert.throws(() => checkPolicy({ limits: { fileSize: 1 }, rlimits: { fsize: 1 } }), {
    message: 'limits.fileSize: says the same as rlimits.fsize; leave one of them out',
  })
})

const memory = askWay(['memory'])
const above =
  'missing' in memory || process.getuid?.() !== 0
    ? { skip: 'needs root and a controller of memory', file: '', none: '' }
    : memory.version === 1
      ? { skip: false, file: 'memory.limit_in_bytes', none: '-1' }
      : { skip: false, file: 'memory.max', none: 'max' }

for (const caller of callers) {
  describe(`limits by ${caller.name}`, { skip: noGroups('memory', 'pids', 'cpu') }, () => {
    const delegation = delegate(caller)
    const wrapper = delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }
    const program = notInstalled('gcc') === false ? compileBomb(caller) : ''
    after(() => delegation.remove())

    test('memory and CPU time are measured: what a program took, and no more than there was', {
      skip: notInstalled('gcc'),
    }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { program }) => {
          const { availableParallelism } = await import('node:os')
          const limits = { memory: '512M', cpuTime: 10, pids: 10 } as const
          const one = sandbox({ preset: 'system', filesystem: [{ bind: '/bomb', from: program }], limits })
          const taken = await one.run('/bomb', ['take', String(200 * 2 ** 20)])
          const from = performance.now()
          const burnt = await one.run('/bomb', ['burn', '250'])
          const there = (performance.now() - from) * availableParallelism()
          return { memory: taken.usage.peakMemory!, cpu: burnt.usage.cpuMs!, there }
        },
        { program },
        wrapper,
      )
      // What it took is all there; the pages of init, of tables, and those that the kernel charges in advance come on top.
      assert.ok(seen.memory >= 200 * 2 ** 20 && seen.memory < 256 * 2 ** 20, `${seen.memory} bytes measured`)
      // The program ends when the kernel counts 250 ms for it; what the making of the sandbox took comes on top.
      assert.ok(seen.cpu >= 250 && seen.cpu <= seen.there, JSON.stringify(seen))
    })

    test('cores: what is beyond is held back', { skip: notInstalled('gcc') }, async () => {
      const usage = await evaluate(
        caller,
        async ({ sandbox }, { program }) => {
          const limits = { cpu: 0.02, cpuTime: 10 }
          const one = sandbox({ preset: 'system', filesystem: [{ bind: '/bomb', from: program }], limits })
          const { usage, verdict } = await one.run('/bomb', ['burn', '40'])
          return { ...usage, verdict }
        },
        { program },
        wrapper,
      )
      assert.equal(usage.verdict.kind, 'ok')
      // 2 ms in every 100 ms, so that it waits 49 times as long as it runs, by the kernel's own counters of both. A slow
      // machine only makes it wait longer; a tick may give away more than there is, and the last wait is not over.
      assert.ok(usage.throttledMs! > 10 * usage.cpuMs!, JSON.stringify(usage))
    })

    test('no memory in a group above is no limit of the sandbox', { skip: above.skip }, async () => {
      const parent = delegation.directories.find((directory) => existsSync(join(directory, above.file)))!
      writeFileSync(join(parent, above.file), String(400 * 2 ** 20))
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { spawn } = await import('node:child_process')
          const child = sandbox({ preset: 'system', limits: { memory: '256M', pids: 10, wallTime: 60 } }).spawn('cat')
          child.stdin!.write('up\n')
          await new Promise((resolve) => child.stdout!.once('data', resolve))
          // The kernel kills the largest, which is outside of the sandbox.
          const hog = spawn('tail', ['/dev/zero'])
          const signal = await new Promise((resolve) => hog.once('exit', (_, signal) => resolve(signal)))
          child.stdin!.end()
          return [signal, (await child.result).verdict.kind]
        },
        {},
        wrapper,
      ).finally(() => writeFileSync(join(parent, above.file), above.none))
      assert.deepEqual(seen, ['SIGKILL', 'ok'])
    })

    test('queued signals are few unless the policy says otherwise, and never more than the caller may', {
      skip: notInstalled('gcc'),
    }, async (t) => {
      const seen = (rlimits: Policy['rlimits'], words: readonly string[] = []) =>
        evaluate(
          caller,
          async ({ sandbox }, { program, rlimits }) => {
            const filesystem = [{ bind: '/bomb', from: program }]
            const { stdout } = await sandbox({ preset: 'system', filesystem, rlimits }).run('/bomb', [
              'signals',
              '3000',
            ])
            return Number(stdout)
          },
          { program, rlimits },
          wrapper.wrapper === undefined ? {} : { wrapper: [...words, ...wrapper.wrapper] },
        )
      // A signal that waits for another process of the user's, such as the end of a child, counts too: getrlimit(2).
      const upTo = (limit: number, count: number) =>
        assert.ok(count > limit - 20 && count <= limit, `${count}, not ${limit}`)
      upTo(1024, await seen({}))
      upTo(2000, await seen({ sigpending: 2000 }))
      if (wrapper.wrapper === undefined) return t.skip("needs root: a limit of the caller's own")
      // The caller's own count towards the caller's limit.
      const lower = await seen({}, ['prlimit', '--sigpending=500', '--'])
      assert.ok(lower > 400 && lower <= 500, String(lower))
    })

    test('where pid 1 is the host’s, the cgroup is how all are killed', async () => {
      const word = uniqueSeconds()
      const script = `trap '' TERM; (setsid sh -c 'sleep ${word} & sleep ${word}' >/dev/null 2>&1 &); echo up`
      const kinds = await evaluate(
        caller,
        async ({ sandbox }, { script }) => {
          const limits = { memory: '64M', pids: 20, wallTime: 60, cpuTime: 5 } as const
          const one = sandbox({ preset: 'system', limits, namespaces: { pid: 'host' } })
          const left = await one.run('sh', ['-c', script])
          // A slow machine has not started them when the first time is over.
          let killed = await one.run('sh', ['-c', `${script}; sleep 600`], { timeout: 200 })
          for (let timeout = 1000; killed.stdout === ''; timeout *= 4)
            killed = await one.run('sh', ['-c', `${script}; sleep 600`], { timeout })
          return [left.verdict.kind, killed.verdict.kind]
        },
        { script },
        wrapper,
      )
      assert.deepEqual(kinds, ['ok', 'killed'])
      await assertGone(word)
      assert.deepEqual(delegation.left(), [])
    })

    test('runs at once leak nothing, and Node does not grow', async () => {
      const runs = Number(process.env.VIAL_CONCURRENT_RUNS ?? 240)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { runs }) => {
          const { readdirSync } = await import('node:fs')
          const limits = { memory: '64M', pids: 10, cpuTime: 10, wallTime: 30, output: '1M' } as const
          const one = sandbox({ preset: 'system', limits })
          const batch = async (count: number) => {
            let left = count
            const worker = async () => {
              while (left-- > 0) {
                const { verdict, stdout } = await one.run('echo', ['x'])
                if (verdict.kind !== 'ok' || stdout !== 'x\n') throw new Error(JSON.stringify(verdict))
              }
            }
            await Promise.all(Array.from({ length: 8 }, worker))
          }
          const look = () => ({ fds: readdirSync('/proc/self/fd').length, bytes: process.memoryUsage().rss })
          await batch(runs / 2)
          const before = look()
          await batch(runs / 2)
          return { before, after: look() }
        },
        { runs },
        wrapper,
      )
      assert.ok(seen.after.fds <= seen.before.fds, JSON.stringify(seen))
      assert.ok(seen.after.bytes < seen.before.bytes + 24 * 2 ** 20, JSON.stringify(seen))
      assert.deepEqual(delegation.left(), [])
    })

    test('a long time costs no more to set than a short one, and is not over at once', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { times }) => {
          const { readFileSync } = await import('node:fs')
          const seen: { ticks: number; kind: string }[] = []
          for (const time of times) {
            const child = sandbox({ preset: 'system', limits: { wallTime: time, cpuTime: time } }).spawn('cat')
            child.stdin!.write('up\n')
            await new Promise((resolve) => child.stdout!.once('data', resolve))
            // proc_pid_stat(5): utime and stime of the monitor.
            const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
            child.stdin!.end()
            const ticks = Number(fields[11]) + Number(fields[12])
            seen.push({ ticks, kind: (await child.result).verdict.kind })
          }
          return seen
        },
        { times: [600, 100 * 365 * 86_400] },
        wrapper,
      )
      const [short, long] = seen as [(typeof seen)[0], (typeof seen)[0]]
      assert.deepEqual([short.kind, long.kind], ['ok', 'ok'])
      // Counting three billion seconds one by one took a hundred times as much.
      assert.ok(long.ticks <= 10 * short.ticks + 20, JSON.stringify(seen))
    })

    test('a run that cannot start leaves no group', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }) => {
          const limits = { memory: '64M', pids: 10, cpuTime: 10, output: '1M' } as const
          const one = sandbox({ preset: 'system', limits })
          const told: string[] = []
          await one.run('true', ['x'.repeat(200_000)]).catch((error) => told.push(error.message.split('\n')[0]))
          await one.run('no-such-command').catch((error) => told.push(error.message.split('\n')[0]))
          return told
        },
        {},
        wrapper,
      )
      assert.deepEqual(told, [
        'cannot start the vial: Argument list too long',
        'cannot run no-such-command: No such file or directory',
      ])
      assert.deepEqual(delegation.left(), [])
    })

    test('a report in a file, as a table and in a line', () => {
      const file = join(workDirectory(caller, 'home'), 'report.json')
      const args = ['run', '--wall-time', '10s', '--output', '10', '--verdict', '--report', file, '--', 'sh', '-c']
      const { status, stdout, stderr } = vial(caller, [...args, 'echo 1234567890'])
      assert.deepEqual([status, stdout, stderr], [137, '1234567890', 'vial: output-limit: both, 10 bytes\n'])
      const { verdict, enforcement, usage } = JSON.parse(readFileSync(file, 'utf8'))
      assert.deepEqual(verdict, { kind: 'output-limit', stream: 'both', limit: 10 })
      assert.deepEqual(enforcement, { wallTime: 'timer', output: 'reader' })
      assert.ok(usage.maxRss >= 0)
      const table = vial(caller, ['run', '--wall-time', '300ms', '--report', 'table', '--', 'sleep', '600'])
      assert.equal(table.status, 137)
      assert.match(table.stderr, /^verdict +time-limit: wall, 300 ms$/m)
      // Unasked, and once.
      const limited = (...words: string[]) => vial(caller, ['run', ...words]).stderr
      assert.equal(
        limited('--wall-time', '300ms', '--', 'sleep', '600'),
        'vial: ended by the limit: wall time, 300 ms\n',
      )
      assert.equal(
        limited('--output', '1K', '--report', file, '--', 'yes'),
        'vial: ended by the limit: output, 1 KiB\n',
      )
      assert.equal(limited('--wall-time', '10s', '--', 'true'), '')
      const large = 'exec head -c 30000 /dev/zero >/tmp/f'
      assert.equal(
        limited('--file-size', '1K', '--', 'sh', '-c', large),
        'vial: ended by the limit: size of a file, --file-size\n',
      )
      const policy = join(workDirectory(caller, 'home'), 'rlimits.json')
      const withRlimits = (rlimits: object, command: string) => {
        writeFileSync(policy, JSON.stringify({ preset: 'system', rlimits }), { mode: 0o644 })
        return limited('--policy', policy, '--', 'sh', '-c', command)
      }
      const loop = 'while :; do :; done'
      for (const [rlimits, command, said] of [
        [{ fsize: 1000 }, large, 'ended by the limit: size of a file, rlimits.fsize'],
        // The hard limit is reached first.
        [{ cpu: 1 }, loop, 'killed, and probably by the limit: CPU time of a process, rlimits.cpu'],
        [{ cpu: { soft: 1, hard: 20 } }, loop, 'ended by the limit: CPU time of a process, rlimits.cpu'],
      ] as const)
        assert.equal(withRlimits(rlimits, command), `vial: ${said} of ${policy}\n`)
      assert.equal(withRlimits({ cpu: 20 }, 'kill -9 $$'), '')
      const nothing = vial(caller, ['run', '--report', 'json', '--', 'no-such-program'])
      assert.equal(nothing.status, 127)
      assert.match(nothing.stderr, /"kind":"sandbox-error"/)
    })

    test('a vial by itself keeps the time, and is not made where it would need a cgroup', () => {
      const path = join(workDirectory(caller, 'home'), 'timed')
      const made = vial(caller, ['compile', '--preset', 'system', '--wall-time', '200ms', '-o', path])
      assert.equal(made.status, 0, made.stderr)
      const ran = spawnSync(path, ['sleep', '600'], { encoding: 'utf8' })
      assert.deepEqual([ran.status, ran.stderr], [137, 'vial: the wall time limit is reached\n'])
      const refused = vial(caller, ['compile', '--preset', 'system', '--memory', '64M', '-o', path])
      assert.equal(refused.status, 125)
      assert.match(refused.stderr, /--memory 64M: a vial by itself makes no cgroup\n +use "vial run"/)
      const optional = ['compile', '--preset', 'system', '--memory', '64M', '--limits-optional', '-o', path]
      assert.equal(vial(caller, optional).status, 0)
      assert.match(spawnSync(path, ['sh', '-c', 'ulimit -d'], { encoding: 'utf8' }).stdout, /^65536\n/)
    })
  })
}

describe('without a cgroup', { skip: notRoot }, () => {
  const run = (limits: LimitsPolicy, script: string) =>
    evaluate(
      ordinary,
      async ({ sandbox }, { limits, script }) => {
        try {
          const { verdict, enforcement, stdout } = await sandbox({ preset: 'system', limits }).run('sh', ['-c', script])
          return { verdict, enforcement, stdout }
        } catch (error) {
          return (error as Error).message
        }
      },
      { limits, script },
    )

  test('there is no run, and the command that grants one is told', async () => {
    const message = String(await run({ memory: '64M', pids: 5 }, 'true'))
    assert.match(message, /^cannot enforce limits\.memory, limits\.pids: /)
    assert.match(message, /\n +repair: \S/)
  })

  test('rlimits stand in only where the policy says so, and the result says it', async () => {
    const limits: LimitsPolicy = { memory: '1G', pids: 10, cpuTime: 1, cpu: 0.5, required: false }
    const seen = await run(limits, 'ulimit -d; while :; do :; done')
    assert.deepEqual(seen, {
      verdict: { kind: 'time-limit', clock: 'cpu', limit: 1000 },
      enforcement: {
        memory: 'rlimit of each process',
        pids: 'rlimit of each process',
        cpuTime: 'rlimit of each process',
        cpu: 'none',
      },
      stdout: '1048576\n',
    })
    const forks = await run({ pids: 5, required: false }, 'for i in 1 2 3 4 5 6; do sleep 1 & done; echo all')
    assert.equal((forks as { stdout: string }).stdout, '')
  })
})
