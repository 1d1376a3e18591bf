import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { evaluate, start } from '../support/evaluate.js'
import { delegate, groupsLeft } from '../support/groups.js'
import { assertGone, eventually, uniqueSeconds } from '../support/processes.js'
import { callers } from '../support/user.js'

for (const caller of callers) {
  describe(`groups whose maker was killed, by ${caller.name}`, () => {
    const delegation = delegate(caller)
    const wrapper = delegation.folders.length === 0 ? {} : { wrapper: delegation.wrapper }
    after(() => delegation.remove())

    /** A sandbox in a Node process of its own, which stays; with the folders of its group. */
    async function running(word: string, dieWithParent: boolean) {
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
      const [line] = await once(node.stdout!, 'data')
      const [group, monitor] = String(line).trim().split(' ')
      return { node, group: group!, monitor: Number(monitor) }
    }
    const collect = () =>
      evaluate(
        caller,
        async () => {
          const { allBases, collectGarbage } = (await import(
            `${process.argv[1]!.replace(/test\/support.*/, '')}src/cgroup/garbage.js`
          )) as typeof import('../../src/cgroup/garbage.js')
          return collectGarbage(allBases())
        },
        {},
        wrapper,
      )

    test('are removed, and nobody else’s', async () => {
      const [word, other] = [uniqueSeconds(), uniqueSeconds()]
      const [dead, alive] = [await running(word, true), await running(other, true)]
      dead.node.kill('SIGKILL')
      await assertGone(word)
      const left = await eventually(groupsLeft, (found) => found.length > 0)
      assert.ok(left.length > 0 && left.every((folder) => folder.endsWith(dead.group)), String(left))
      const removed = await collect()
      assert.deepEqual([...removed].sort(), [...left].sort())
      assert.ok(left.every((folder) => !existsSync(folder)))
      assert.deepEqual(groupsLeft(), [])
      // The other one runs on, and cleans up by itself.
      process.kill(alive.monitor, 'SIGTERM')
      await once(alive.node, 'exit')
      assert.deepEqual(groupsLeft(), [])
      await assertGone(other)
    })

    test('are kept as long as a sandbox is in them that was to outlive its maker', async () => {
      const word = uniqueSeconds()
      const { node, group, monitor } = await running(word, false)
      node.kill('SIGKILL')
      await once(node, 'exit')
      assert.match(group, /\.outlives$/)
      assert.deepEqual(await collect(), [])
      assert.ok(groupsLeft().length > 0)
      process.kill(monitor, 'SIGKILL')
      await assertGone(word)
      await eventually(groupsLeft, () => true)
      assert.ok((await collect()).length > 0)
      assert.deepEqual(groupsLeft(), [])
    })

    test('are removed by the next run', async () => {
      const word = uniqueSeconds()
      const { node } = await running(word, true)
      node.kill('SIGKILL')
      await assertGone(word)
      await evaluate(
        caller,
        ({ sandbox }) => sandbox({ preset: 'system', limits: { memory: '64M', pids: 10, cpuTime: 60 } }).run('true'),
        {},
        wrapper,
      )
      assert.deepEqual(groupsLeft(), [])
    })
  })
}
