/**
 * Callers that have little: few descriptors, small files. What is called works, or says in one message what there is too little of; nothing
 * is left of it, and nothing is taken for gone that only could not be looked at.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { as } from '../support/living.js'
import { assertGone, eventually, uniqueSeconds } from '../support/processes.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const policy: Policy = { preset: 'system', filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp' }] }

for (const caller of callers) {
  describe(`few descriptors, and small files, of ${caller.name}`, () => byCommand(caller))
  describe(`a program of ${caller.name} that has used up its descriptors`, () => byLibrary(caller))
}

function byCommand(caller: Caller): void {
  const runtime = workDirectory(caller, 'short')
  const home = join(runtime, 'vial')
  const call = (...words: readonly string[]) => vial(caller, words, { env: { XDG_RUNTIME_DIR: runtime } })
  /** The same, with a limit of bash(1)'s: `-n 20` is so many descriptors, `-f 1` so many KiB of a file. */
  const limited = (limit: string, words: readonly string[], env = {}) => {
    const line = ['-c', `ulimit ${limit}; exec "$@"`, 'bash', process.execPath, main, ...words]
    const { status, stdout, stderr } = spawnSync('bash', line, {
      encoding: 'utf8',
      cwd: runtime,
      env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), XDG_RUNTIME_DIR: runtime, ...env },
      ...as(caller),
    })
    return { status, out: stdout, err: stderr }
  }

  before(() => assert.equal(call('start', '--name', 'web').status, 0))
  after(() => assert.equal(call('rm', '-f', 'web').status, 0))

  const few = /^vial: [^\n]+: (Too many open files|Bad file descriptor)\n {6}(this|a) process [^\n]*ulimit -n[^\n]*\n$/
  for (const words of [
    ['start', '--name', 'other'],
    ['exec', 'web', 'true'],
    ['run', '--', 'true'],
    ['ps'],
    ['stop', 'other'],
  ])
    test(`vial ${words[0]} works with few descriptors, or says so`, () => {
      const statuses = []
      for (const count of [20, 21, 22, 24, 32, 128, 256]) {
        if (words[0] === 'stop') assert.equal(call('start', '--name', 'other').status, 0)
        const { status, err } = limited(`-n ${count}`, words)
        statuses.push(status)
        if (status !== 0) assert.match(err, few, `${count}`)
        if (status === 0 || words[0] === 'stop') call('rm', '-f', 'other')
        assert.deepEqual(readdirSync(home), ['web'], `${count}: ${err}`)
      }
      assert.equal(statuses.at(-1), 0)
      assert.equal(call('exec', 'web', 'echo', 'here').stdout, 'here\n')
    })

  test('what is to be kept in too large a file is told, and not that the disk is full', () => {
    const small =
      /^vial: [^\n]+: File too large\n {6}this process may write no files as large as that: see ulimit -f\n$/
    for (const words of [
      ['run', '--', 'true'],
      ['start', '--name', 'other'],
    ])
      for (const kilobytes of [1, 8]) {
        const { status, err } = limited(`-f ${kilobytes}`, words, {
          VIAL_CACHE: workDirectory(caller, `cache-${kilobytes}`),
        })
        assert.equal(status, 125)
        assert.match(err, small)
        assert.deepEqual(readdirSync(home), ['web'])
      }
    const { status, err } = limited('-f 24', ['cp', 'web:/usr/bin/true', 'copied'])
    assert.equal(status, 125)
    assert.match(err, /^vial: cannot copy [^\n]*: file too large, write\n {6}[^\n]*ulimit -f\n$/)
  })

  test('a log that may not grow is no end of its sandbox, and no signal for its command', async () => {
    const script = 'trap "exit 25" XFSZ; head -c 1000000 /dev/zero; echo told > /tmp/told; while :; do sleep 0.05; done'
    assert.equal(limited('-f 64', ['start', '--name', 'loud', '--', 'sh', '-c', script]).status, 0)
    await eventually(
      () => call('exec', 'loud', 'cat', '/tmp/told').stdout,
      (text) => text === 'told\n',
    )
    assert.match(call('ps').stdout, /^loud +running/m)
    assert.equal(statSync(join(home, 'loud/log')).size, 2 ** 16)
    assert.equal(call('rm', '-f', 'loud').status, 0)
  })
}

function byLibrary(caller: Caller): void {
  /** What is tried with so and so many descriptors left. */
  const doors = [
    'run',
    'spawn',
    'pty',
    'open',
    'named',
    'box.run',
    'box.spawn',
    'box.pty',
    'files',
    'mount',
    'inspect',
    'attach',
    'wait',
  ] as const
  for (const door of doors)
    test(`${door} works, or fails with one error, and all goes on as before`, async () => {
      const word = uniqueSeconds()
      const runtime = workDirectory(caller, 'library')
      const seen = await evaluate(
        caller,
        async ({ sandbox, Sandbox, VialError }, { door, policy, word, cwd }) => {
          const { openSync, closeSync, readdirSync } = await import('node:fs')
          const own = sandbox(policy)
          const said: string[] = []
          process.on('uncaughtException', (error) => said.push(`uncaught ${error.message}`))
          const open = () => readdirSync('/proc/self/fd').length
          const isOfBox = /^(box\.|files|mount|inspect|attach|wait)/.test(door)
          const isNamed = door === 'named' || door === 'attach' || door === 'wait'
          const attempt = async (box: Awaited<ReturnType<typeof own.open>> | undefined) => {
            const spawned = async (child: { stdout: NodeJS.ReadableStream | null; result: Promise<unknown> }) => {
              child.stdout?.resume()
              await child.result
            }
            if (door === 'run') await own.run('true', [word])
            if (door === 'spawn') await spawned(own.spawn('true', [word]))
            if (door === 'pty') await spawned(own.pty({ command: 'true' }))
            if (door === 'open') await (await own.open()).close()
            if (door === 'named') await (await own.open({ name: 'made' })).close()
            if (door === 'box.run') await box!.run('true', [word])
            if (door === 'box.spawn') await spawned(box!.spawn('true', [word]))
            if (door === 'box.pty') await spawned(box!.pty({ command: 'true' }))
            if (door === 'files') await box!.files.write('/tmp/file', 'text')
            if (door === 'mount') {
              await box!.mount(cwd, '/tmp/mounted')
              await box!.unmount('/tmp/mounted')
            }
            if (door === 'inspect') await box!.inspect()
            if (door === 'attach') await (await Sandbox.attach('web')).run('true', [word])
            if (door === 'wait') {
              const attached = await Sandbox.attach('web')
              await Promise.race([attached.wait(), new Promise((resolve) => setTimeout(resolve, 300))])
            }
          }
          const shared = isOfBox ? await own.open(isNamed ? { name: 'web' } : {}) : undefined
          // What is loaded later is loaded by now.
          await attempt(shared)
          let works = 0
          for (let left = 0; works < 3 && left < 60; left++) {
            const box = isOfBox && !isNamed ? await own.open() : shared
            const filled: number[] = []
            try {
              for (;;) filled.push(openSync('/dev/null', 'r'))
            } catch {}
            for (const fd of filled.splice(0, left)) closeSync(fd)
            let error: (Error & { code?: string; hint?: string }) | undefined
            await attempt(box).catch((thrown) => {
              error = thrown
            })
            for (const fd of filled) closeSync(fd)
            works = error === undefined ? works + 1 : 0
            if (error !== undefined && !(error instanceof VialError && /ulimit -n/.test(error.hint ?? '')))
              said.push(`${left}: ${error.message}`)
            // It is as good as before.
            if (box !== undefined && (await box.run('echo', ['here'])).stdout !== 'here\n')
              said.push(`${left}: not here`)
            if (box !== shared) await box?.close()
          }
          await attempt(shared)
          await shared?.close()
          await new Promise((resolve) => setTimeout(resolve, 100))
          return { said, works, open: open() }
        },
        { door, policy, word, cwd: runtime },
        {
          env: { XDG_RUNTIME_DIR: runtime },
          wrapper: [
            ...['setpriv', `--reuid=${caller.uid}`, `--regid=${caller.gid}`, '--clear-groups'].slice(
              process.getuid?.() === 0 ? 0 : 4,
            ),
            ...['prlimit', '--nofile=200'],
          ],
        },
      )
      assert.deepEqual(seen.said, [])
      assert.equal(seen.works, 3)
      await assertGone(word)
      for (const name of ['web', 'made'])
        assert.ok(
          !existsSync(join(runtime, 'vial', name)) ||
            vial(caller, ['rm', '-f', name], { env: { XDG_RUNTIME_DIR: runtime } }).status === 0,
        )
    })
}
