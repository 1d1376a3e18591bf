/** What a run has of its own: directory, environment, streams, and what is left of it when it is ended. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { sandbox } from '../../src/index.js'
import { evaluate, start } from '../support/evaluate.js'
import { notRoot } from '../support/needs.js'
import { callers, ordinary } from '../support/user.js'

const policies: Readonly<Record<string, Policy>> = {
  'a preset': { preset: 'system' },
  'the payload as pid 1': { preset: 'system', init: 'payload' },
  'pids of the host': { preset: 'system', namespaces: { pid: 'host' } },
  'the files of the host': { namespaces: { mount: 'host' } },
}

for (const caller of callers) {
  describe(`a run by ${caller.name}`, () => {
    for (const [what, policy] of Object.entries(policies))
      test(`with ${what} has an environment of its own, and leaves the sandbox as it was`, async () => {
        const seen = await evaluate(
          caller,
          async ({ sandbox }, policy) => {
            const { execFileSync } = await import('node:child_process')
            const { readFileSync } = await import('node:fs')
            Object.assign(process.env, { B: 'b', C1: 'c1', C2: 'c2', X: 'x', 'a.c': 'dots', abc: 'letters' })
            const set = { A: 'policy', Z: 'z', C2: 'set' }
            const one = sandbox({ ...policy, env: { set, inherit: ['B', 'C*', 'a.c'] } })
            const names = ['A', 'B', 'C1', 'C2', 'D', 'X', 'Z', 'a.c', 'abc', 'NODE_V8_COVERAGE', 'constructor']
            const show = (stdout: string) =>
              stdout
                .split('\0')
                .filter((line) => names.includes(line.split('=')[0]!))
                .sort()
            const envOf = async (env?: Record<string, string | undefined>) =>
              show((await one.run('env', ['-0'], env === undefined ? {} : { env })).stdout)
            const vial = await one.compile()
            const before = readFileSync(vial, 'hex')
            process.env.NODE_V8_COVERAGE = '/nowhere'
            const seen = [
              await envOf(),
              await envOf({}),
              await envOf({ A: 'run', B: undefined, C2: 'a=b\n"', D: '', Z: undefined, constructor: 'c' }),
              await envOf(),
            ]
            delete process.env.NODE_V8_COVERAGE
            const alone = show(execFileSync(vial, ['env', '-0'], { encoding: 'utf8' }))
            return { seen, alone, same: vial === (await one.compile()) && before === readFileSync(vial, 'hex') }
          },
          policy,
        )
        const ofPolicy = ['A=policy', 'B=b', 'C1=c1', 'C2=set', 'Z=z', 'a.c=dots']
        assert.deepEqual(seen.seen, [
          ofPolicy,
          ofPolicy,
          ['A=run', 'C1=c1', 'C2=a=b\n"', 'D=', 'a.c=dots', 'constructor=c'],
          ofPolicy,
        ])
        assert.deepEqual(seen.alone, ofPolicy)
        assert.ok(seen.same)
      })

    test('finds its command in the PATH of its own', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const content = '#!/bin/sh\necho found'
          const one = sandbox({ preset: 'system', filesystem: [{ file: '/x/mine', content, mode: 0o755 }] })
          const lost = await one.run('mine').catch((error) => error.code)
          const { stdout } = await one.run('mine', [], { env: { PATH: '/x' } })
          const child = one.spawn('mine', [], { env: { PATH: '/x' }, stdio: ['ignore', 'pipe', 'ignore'] })
          return [lost, stdout, String(await child.stdout!.toArray())]
        },
        {},
      )
      assert.deepEqual(seen, ['ENOENT', 'found\n', 'found\n'])
    })

    test('has a working directory of its own', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const pwd = async (policy: object, cwd?: string) => {
            const one = sandbox({ preset: 'system', filesystem: [{ symlink: '/link', to: 'usr/lib' }], ...policy })
            try {
              const { stdout } = await one.run('/bin/pwd', ['-P'], cwd === undefined ? { env: {} } : { cwd })
              return stdout.trim()
            } catch (error) {
              const { name, message } = error as Error
              return `${name}: ${message.replace(/\n +/, '; ')}`
            }
          }
          return [
            await pwd({}),
            await pwd({ cwd: '/usr' }),
            await pwd({ cwd: '/usr' }, '/tmp'),
            await pwd({ cwd: '/nonexistent' }, '/'),
            await pwd({}, '/link'),
            await pwd({}, '/etc/../usr'),
            await pwd({}, 'usr'),
            await pwd({}, '/nonexistent'),
            await pwd({}, '/etc/passwd'),
            await pwd({}, '/us\0r'),
            (await pwd({ namespaces: { mount: 'host' }, preset: undefined, filesystem: undefined })) === process.cwd(),
          ]
        },
        {},
      )
      assert.deepEqual(seen, [
        '/home/vial',
        '/usr',
        '/tmp',
        '/',
        '/usr/lib',
        'OptionError: cwd: must be an absolute path inside the sandbox, without ".."',
        'OptionError: cwd: must be an absolute path inside the sandbox, without ".."',
        'SandboxError: cannot enter the working directory /nonexistent: No such file or directory; cwd is not visible inside: bind it, or name another',
        'SandboxError: cannot enter the working directory /etc/passwd: Not a directory; cwd is not a directory',
        'OptionError: cwd: has a NUL byte',
        true,
      ])
    })

    test('that is ended has what was written and used until then', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox, AbortError, VialError }) => {
          const one = sandbox({ preset: 'system' })
          const script = 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo out; echo error >&2; exec sleep 1000'
          const told = []
          for (const encoding of ['utf8', 'buffer'] as const) {
            const controller = new AbortController()
            const reason = new Error('enough')
            const file = (await import('node:fs')).mkdtempSync('/tmp/vial-run-')
            // Aborts when the payload has written: not after a time.
            const ready = sandbox({ preset: 'system', filesystem: [{ bind: '/ready', from: file, writable: true }] })
            const running = ready.run('sh', ['-c', script.replace('exec', ': >/ready/now; exec')], {
              signal: controller.signal,
              encoding: encoding as 'utf8',
            })
            const { existsSync, rmSync } = await import('node:fs')
            const look = setInterval(() => existsSync(`${file}/now`) && controller.abort(reason), 5)
            const error = await running.catch((error) => error)
            clearInterval(look)
            rmSync(file, { recursive: true })
            const { name, stage, code, message, stdout, stderr, usage, durationMs } = error
            told.push([
              ...[name, stage, code, message, String(stdout), String(stderr), Buffer.isBuffer(stdout)],
              ...[usage.userMs + usage.systemMs > 0, usage.maxRss > 0, durationMs > 0, error.cause === reason],
              ...[error instanceof AbortError, error instanceof VialError],
            ])
          }
          // However slow this machine is.
          let timeout = 500
          let late = await one.run('sh', ['-c', script], { timeout })
          for (; late.stderr === ''; timeout *= 4) late = await one.run('sh', ['-c', script], { timeout })
          const timed = [late.timedOut, late.stdout, late.stderr, late.usage.maxRss > 0, late.verdict]
          const before = await one.run('true', [], { signal: AbortSignal.abort() }).catch((error) => error)
          const spawned = one.spawn('cat', [], { signal: AbortSignal.timeout(1) })
          const { name, stdout, cause } = await spawned.result.catch((error) => error)
          return {
            told,
            timed,
            before: [before.name, before.stdout, before.durationMs],
            spawned: [name, stdout ?? null, cause.name],
          }
        },
        {},
      )
      const rest = [true, true, true, true, true, true]
      const aborted = ['AbortError', 'abort', 'ABORT_ERR', 'the command was aborted: enough', 'out\n', 'error\n']
      assert.deepEqual(seen, {
        told: [
          [...aborted, false, ...rest],
          [...aborted, true, ...rest],
        ],
        timed: [true, 'out\n', 'error\n', true, { kind: 'killed', by: 'timeout' }],
        before: ['AbortError', '', 0],
        spawned: ['AbortError', null, 'TimeoutError'],
      })
    })

    test('collects only what is not to go elsewhere', async () => {
      const child = start(
        caller,
        async ({ sandbox }) => {
          const one = sandbox({ preset: 'system' })
          const script = 'echo out; echo error >&2; cat'
          const inherited = await one.run('sh', ['-c', script], { input: 'in\n', stdout: 'inherit' })
          const turned = await one.run('sh', ['-c', script], { stdin: 'inherit', stderr: 1 })
          const ignored = await one.run('sh', ['-c', script], { stdout: 'ignore', stderr: 'inherit' })
          return [inherited, turned, ignored].map(({ stdout, stderr }) => [stdout, stderr])
        },
        {},
      )
      const said = ['', '', '']
      for (const [index, from] of [child.stdout, child.stderr, child.stdio[3] as NodeJS.ReadableStream].entries())
        from!.on('data', (data) => {
          said[index] += data
        })
      await once(child, 'close')
      assert.equal(said[0], 'out\nin\nerror\n')
      assert.equal(said[1], 'error\n')
      assert.deepEqual(JSON.parse(said[2]!).value, [
        ['', 'error\n'],
        ['out\n', ''],
        ['', ''],
      ])
    })

    test('by spawn is read by `for await`, and ended by `await using`', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const one = sandbox({ preset: 'system' })
          const child = one.spawn('seq', ['50000'])
          let text = ''
          for await (const chunk of child.stdout!) text += chunk
          const { exitCode } = await child.result
          const held = one.spawn('sleep', ['1000'])
          // What `await using` calls.
          await held[Symbol.asyncDispose]()
          const { signal } = await held.result
          const over = one.spawn('true')
          await over.result
          await over[Symbol.asyncDispose]()
          const failed = one.spawn('no-such-program')
          await failed.result.catch(() => {})
          await failed[Symbol.asyncDispose]()
          return { lines: text.split('\n').length, exitCode, signal, failed: await failed.result.catch((e) => e.name) }
        },
        {},
      )
      assert.deepEqual(seen, { lines: 50001, exitCode: 0, signal: 'SIGKILL', failed: 'CommandError' })
    })
  })
}

test('a working directory that a link of /proc leads out to is refused', { skip: notRoot }, async () => {
  // The payload is the same user, without a user namespace: the link can be followed.
  const outside = spawn('sleep', ['1000'], { uid: ordinary.uid, gid: ordinary.gid, cwd: '/usr' })
  try {
    await once(outside, 'spawn')
    const one = sandbox({
      preset: 'system',
      namespaces: { user: 'host', pid: 'host' },
      identity: { uid: ordinary.uid, gid: ordinary.gid },
    })
    await assert.rejects(one.run('true', [], { cwd: `/proc/${outside.pid}/cwd` }), {
      name: 'SandboxError',
      code: 'EXDEV',
      message: /\n +cwd leads out of the sandbox$/,
    })
  } finally {
    outside.kill('SIGKILL')
    await once(outside, 'exit')
  }
})

test('an option that is wrong, or none at all, is named', async () => {
  const one = sandbox({ preset: 'system' })
  const wrong: readonly (readonly [string, unknown, unknown, unknown])[] = [
    ['command: has a NUL byte', 'tr\0ue', [], {}],
    ['command: must be text', undefined, [], {}],
    ['args: must be a list', 'true', '-l', {}],
    ['args[1]: has a NUL byte', 'true', ['a', 'b\0'], {}],
    ['args[0]: must be text', 'true', [5], {}],
    ['timeout: must be a number of milliseconds', 'true', [], { timeout: '5s' }],
    ['timuot: is not a known option (did you mean timeout?)', 'true', [], { timuot: 5 }],
    ['stdio: is not a known option (did you mean stdin?)', 'true', [], { stdio: [] }],
    ['env: must be an object', 'true', [], { env: ['A=1'] }],
    ['env.A: has a NUL byte', 'true', [], { env: { A: 'a\0b' } }],
    ['env.A: must be text', 'true', [], { env: { A: 1 } }],
    ['env["A=B"]: must be a variable name', 'true', [], { env: { 'A=B': '1' } }],
    ['env[""]: must be a variable name', 'true', [], { env: { '': '1' } }],
    ['env["A\\u0000"]: must be a variable name', 'true', [], { env: { 'A\0': '1' } }],
    ['input: must be text or bytes', 'true', [], { input: 5 }],
    ['stdin: is what input says already; leave one out', 'true', [], { input: '', stdin: 'inherit' }],
    ['stdout: must be "pipe", "inherit", "ignore" or a descriptor', 'true', [], { stdout: 'file' }],
    ['encoding: must be "utf8" or "buffer"', 'true', [], { encoding: 'latin1' }],
    ['maxBuffer: must be a number of bytes', 'true', [], { maxBuffer: '1M' }],
    ['signal: must be an AbortSignal', 'true', [], { signal: new AbortController() }],
  ]
  for (const [message, command, args, options] of wrong)
    await assert.rejects(one.run(command as string, args as string[], options as object), {
      name: 'OptionError',
      message,
    })
  assert.throws(() => one.spawn('true', [], { input: '' } as never), {
    name: 'OptionError',
    message: 'input: is not a known option',
  })
})
