import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { after, describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { evaluate, start } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { noGroups } from '../support/needs.js'
import { assertGone, eventually, killAll, uniqueSeconds } from '../support/processes.js'
import { callers } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

for (const caller of callers) {
  describe(`groups whose maker was killed, by ${caller.name}`, { skip: noGroups('memory', 'pids') }, () => {
    const delegation = delegate(caller)
    const wrapper = delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }
    after(() => delegation.remove())

    /** A sandbox in a Node process of its own, which stays; with the directories of its group. */
    async function running(t: TestContext, word: string, dieWithParent: boolean) {
      const node = start(
        caller,
        async ({ sandbox }, { word, dieWithParent }) => {
          const { readFileSync } = await import('node:fs')
          const limits = { memory: '64M', pids: 10, cpuTime: 60 } as const
          const child = sandbox({ preset: 'system', limits, dieWithParent }).spawn('sh', [
            '-c',
            `echo up; sleep ${word}`,
          ])
          child.stdout!.once('data', () => {
            const children = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
            const groups = readFileSync(`/proc/${children(child.pid)}/cgroup`, 'utf8')
            process.stdout.write(`${/vial\.\S+/.exec(groups)![0]} ${child.pid}\n`)
          })
          return child.result
        },
        { word, dieWithParent },
        wrapper,
      )
      t.after(() => {
        node.kill('SIGKILL')
        killAll(word)
      })
      const [line] = await Promise.race([once(node.stdout!, 'data'), once(node, 'exit')])
      const [group, monitor] = String(line).trim().split(' ')
      assert.ok(monitor, `no sandbox: ${line}`)
      return { node, group: group!, monitor: Number(monitor) }
    }
    const collect = () => {
      const words = [...(delegation.wrapper ?? []), process.execPath, main, 'gc']
      const { stdout, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
      assert.equal(stderr, '')
      return [...stdout.matchAll(/^removed (.*)$/gm)].map(([, directory]) => directory!)
    }

    test('are removed, and no others', async (t) => {
      const [word, other] = [uniqueSeconds(), uniqueSeconds()]
      const [dead, alive] = [await running(t, word, true), await running(t, other, true)]
      dead.node.kill('SIGKILL')
      await assertGone(word)
      const left = await eventually(
        () => delegation.left(),
        (found) => found.length > 0,
      )
      assert.ok(left.length > 0 && left.every((directory) => directory.endsWith(dead.group)), String(left))
      const removed = collect()
      assert.deepEqual([...removed].sort(), [...left].sort())
      assert.ok(left.every((directory) => !existsSync(directory)))
      assert.deepEqual(delegation.left(), [])
      // The other one runs on, and cleans up by itself.
      process.kill(alive.monitor, 'SIGTERM')
      await once(alive.node, 'exit')
      assert.deepEqual(delegation.left(), [])
      await assertGone(other)
    })

    test('are kept as long as a sandbox is in them that was to outlive its maker', async (t) => {
      const word = uniqueSeconds()
      const { node, group, monitor } = await running(t, word, false)
      node.kill('SIGKILL')
      await once(node, 'exit')
      assert.match(group, /\.outlives$/)
      assert.deepEqual(collect(), [])
      assert.ok(delegation.left().length > 0)
      process.kill(monitor, 'SIGKILL')
      await assertGone(word)
      assert.ok(collect().length > 0)
      assert.deepEqual(delegation.left(), [])
    })

    test('are removed by the next run', async (t) => {
      const word = uniqueSeconds()
      const { node } = await running(t, word, true)
      node.kill('SIGKILL')
      await assertGone(word)
      await evaluate(
        caller,
        ({ sandbox }) => sandbox({ preset: 'system', limits: { memory: '64M', pids: 10, cpuTime: 60 } }).run('true'),
        {},
        wrapper,
      )
      assert.deepEqual(delegation.left(), [])
    })
  })
}
