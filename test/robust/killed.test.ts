import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Policy } from '../../src/index.js'
import { evaluate, start } from '../support/evaluate.js'
import { assertGone, childrenOf, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { shareOf } from '../support/share.js'
import { type Caller, callers, runAs, workDirectory } from '../support/user.js'

const system: Policy = { preset: 'system' }

/** A payload that does not want to die: it leaves its session, forks twice, and ignores what can be ignored. */
const stubborn = (word: string) =>
  `trap '' TERM INT HUP QUIT; (setsid sh -c 'sleep ${word}; :' & ) ; (sleep ${word} &); echo up; sleep ${word}; :`

/** Numbers from 0 to 1, the same in each run of the tests. */
function* chances(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield state / 2 ** 32
  }
}

/** Starts a sandbox in a Node process of the caller's; gives both once the payload has written a line. */
async function running(
  caller: Caller,
  policy: Policy,
  script: string,
): Promise<{ node: ChildProcess; monitor: number }> {
  const node = start(
    caller,
    ({ sandbox }, { policy, script }) => {
      const child = sandbox(policy).spawn('sh', ['-c', script])
      child.stdout!.once('data', () => process.stdout.write(`${child.pid}\n`))
      return child.result
    },
    { policy, script },
  )
  const [line] = await once(node.stdout!, 'data')
  return { node, monitor: Number(line) }
}

for (const caller of callers) {
  describe(`all of a sandbox dies at once, by ${caller.name}`, () => {
    const moments = shareOf(40)
    test(`when Node is killed, at ${moments} moments`, async () => {
      const word = uniqueSeconds()
      const env = { VIAL_CACHE: workDirectory(caller, 'killed') }
      const chance = chances(4711)
      const round = async (number: number, delay: number) => {
        const node = start(
          caller,
          async ({ sandbox }, { script, hostname }) => {
            process.stdout.write('ready')
            for (let count = 0; count < 6; count++) {
              sandbox({ preset: 'system', hostname: `${hostname}.${count}` }).spawn('sh', ['-c', script])
              await new Promise((resolve) => setTimeout(resolve, 5))
            }
          },
          { script: stubborn(word), hostname: `round.${number}` },
          { env },
        )
        await once(node.stdout!, 'data')
        await sleep(delay)
        node.kill('SIGKILL')
        await once(node, 'exit')
      }
      for (let number = 0; number < moments; number += 2)
        await Promise.all([round(number, chance.next().value * 60), round(number + 1, chance.next().value * 60)])
      await assertGone(word)
      const left = () => readdirSync(env.VIAL_CACHE).filter((name) => !/^[0-9a-f]{40}$/.test(name))
      // As if a minute had passed.
      for (const name of left()) utimesSync(join(env.VIAL_CACHE, name), Date.now() / 1000 - 60, Date.now() / 1000 - 60)
      runAs(caller, system, 'true', [], { env })
      assert.deepEqual(left(), [])
    })

    test('by a timeout, an abort, SIGKILL, or too much output', async () => {
      const word = uniqueSeconds()
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { script }) => {
          const one = sandbox({ preset: 'system' })
          // A slow machine has written nothing when the first time is over.
          let timedOut = await one.run('sh', ['-c', script], { timeout: 200 })
          for (let timeout = 1000; timedOut.stdout === ''; timeout *= 4)
            timedOut = await one.run('sh', ['-c', script], { timeout })
          const controller = new AbortController()
          const aborted = one.spawn('sh', ['-c', script], { signal: controller.signal })
          aborted.stdout!.once('data', () => controller.abort(new Error('enough')))
          const killed = one.spawn('sh', ['-c', script])
          killed.stdout!.once('data', () => killed.kill('SIGKILL'))
          const flooded = await one.run('sh', ['-c', `(${script}) & yes`], { maxBuffer: 1000 })
          return [
            [timedOut.timedOut, timedOut.signal, timedOut.stdout],
            [await aborted.result.catch((error) => error.message)],
            [(await killed.result).signal],
            [flooded.truncated, flooded.signal, flooded.stdout.length],
          ]
        },
        { script: stubborn(word) },
      )
      assert.deepEqual(seen, [
        [true, 'SIGKILL', 'up\n'],
        ['the command was aborted: enough'],
        ['SIGKILL'],
        [true, 'SIGKILL', 1000],
      ])
      await assertGone(word)
    })

    test('when the monitor, or pid 1, is killed', async () => {
      for (const victim of ['monitor', 'init']) {
        const word = uniqueSeconds()
        const { node, monitor } = await running(caller, system, stubborn(word))
        // Node, monitor, init, and the payload's own.
        assert.ok(processesWith(word).length >= 6)
        process.kill(victim === 'monitor' ? monitor : childrenOf(monitor)[0]!, 'SIGKILL')
        const [answer] = await once(node.stdio[3]!, 'data')
        assert.equal(JSON.parse(String(answer)).value.signal, 'SIGKILL')
        await assertGone(word)
      }
    })

    test('while it is still being built', async () => {
      const word = uniqueSeconds()
      // The content of /file is read from a pipe that is never closed.
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { word }) => {
          const { spawn } = await import('node:child_process')
          const policy = { preset: 'system', filesystem: [{ file: '/file', fd: 3 }] } as const
          const holder = spawn('sleep', ['600'], { stdio: ['pipe', 'ignore', 'ignore'] })
          const child = sandbox(policy as never).spawn('sleep', [word], {
            stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
            timeout: 300,
          })
          const result = await child.result
          holder.kill()
          return result.timedOut
        },
        { word },
      )
      assert.equal(seen, true)
      await assertGone(word)
    })

    test('when the parent of a standalone vial is killed, unless the policy says otherwise', async () => {
      for (const dieWithParent of [true, false]) {
        const word = uniqueSeconds()
        const vial = await evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), {
          ...system,
          dieWithParent,
        })
        const owner = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
        const parent = spawn('/bin/sh', ['-c', `'${vial}' sh -c 'echo up; sleep ${word}; :'; :`], owner)
        await once(parent.stdout!, 'data')
        parent.kill('SIGKILL')
        await once(parent, 'exit')
        if (!dieWithParent) {
          // The monitor, init, sh and sleep.
          const left = await eventually(
            () => processesWith(word),
            (pids) => pids.length === 4,
          )
          assert.equal(left.length, 4)
          process.kill(Math.min(...left), 'SIGKILL')
        }
        await assertGone(word)
      }
    })
  })

  describe(`signals, by ${caller.name}`, () => {
    test('reach the payload', async () => {
      const word = uniqueSeconds()
      const names = ['TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH', 'CONT', 'TSTP', 'ALRM', 'URG', 'IO']
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { names, word }) => {
          const one = sandbox({ preset: 'system' })
          const endings = names.map(async (name) => {
            const child = one.spawn('sh', ['-c', `trap 'exit 42' ${name}; sleep ${word} & echo up; wait`])
            child.stdout!.once('data', () => child.kill(`SIG${name}` as NodeJS.Signals))
            return (await child.result).exitCode
          })
          const fatal = one.spawn('sh', ['-c', `echo up; exec sleep ${word}`])
          fatal.stdout!.once('data', () => fatal.kill())
          return [await Promise.all(endings), (await fatal.result).signal]
        },
        { names, word },
      )
      assert.deepEqual(seen, [names.map(() => 42), 'SIGTERM'])
      await assertGone(word)
    })

    test('that stop the payload or the monitor end nothing', async () => {
      const { node, monitor } = await running(caller, system, 'echo up; kill -STOP $$; exit 7')
      const init = childrenOf(monitor)[0]!
      const payload = childrenOf(init)[0]!
      const stateOf = (pid: number) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]
      const states = () => [payload, init, monitor].map(stateOf).join('')
      assert.equal(await eventually(states, (seen) => seen === 'TSS'), 'TSS')
      process.kill(monitor, 'SIGSTOP')
      await eventually(
        () => stateOf(monitor),
        (state) => state === 'T',
      )
      process.kill(monitor, 'SIGCONT')
      const [answer] = await once(node.stdio[3]!, 'data')
      assert.equal(JSON.parse(String(answer)).value.exitCode, 7)
    })

    test('of a terminal reach the payload once', async () => {
      const word = uniqueSeconds()
      const home = workDirectory(caller, 'home')
      const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
      // What is started after that could be hit before it is a program: vfork(2).
      const count = `n=0; trap 'n=$((n+1)); echo int $n' INT; sleep ${word} & echo up; while :; do wait; done`
      for (const share of ['', '--share-session']) {
        // script(1) gives a terminal of its own and types what it reads.
        const terminal = spawn(
          'script',
          [
            '-qec',
            `'${process.execPath}' '${main}' run ${share} -- sh -c "${count.replaceAll('$', '\\$')}"`,
            '/dev/null',
          ],
          {
            env: { PATH: process.env.PATH, HOME: home },
            cwd: home,
            ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
          },
        )
        let screen = ''
        terminal.stdout.on('data', (chunk) => {
          screen += chunk
        })
        await eventually(
          () => screen,
          (text) => text.includes('up'),
        )
        terminal.stdin.write('\x03')
        await eventually(
          () => screen,
          (text) => text.includes('int 1'),
        )
        await sleep(200)
        assert.doesNotMatch(screen, /int 2/, share)
        const ended = once(terminal, 'exit')
        killAll(word)
        await ended
      }
    })

    test('end what the command line started', async () => {
      const main = join(new URL('../../src/cli/main.cjs', import.meta.url).pathname)
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        const word = uniqueSeconds()
        const home = workDirectory(caller, 'home')
        const node = spawn(process.execPath, [main, 'run', '--', 'sh', '-c', `echo up; exec sleep ${word}`], {
          env: { PATH: process.env.PATH, HOME: home },
          cwd: home,
          ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
        })
        await once(node.stdout, 'data')
        node.kill(signal)
        const [status] = await once(node, 'exit')
        assert.equal(status, signal === 'SIGTERM' ? 143 : null)
        await assertGone(word)
      }
    })
  })
}
