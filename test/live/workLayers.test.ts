/** Snapshots of a work tree, ways back to them, and forks: layers that are stacked while the box runs. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type * as Vial from '../../src/index.js'
import { type Body, evaluate } from '../support/evaluate.js'
import { type Caller, callers } from '../support/user.js'
import { hostTree } from '../support/workTree.js'

async function scene<Value>(caller: Caller, before: string, body: Body<string, Value>) {
  const { tree, cache } = hostTree(caller, before, 'tree: a,b\\c')
  const value = await evaluate(caller, body, tree, { env: { VIAL_CACHE: cache } })
  assert.deepEqual(readdirSync(join(cache, 'layers')), [], 'the layers are gone')
  return { value, tree }
}

for (const caller of callers)
  describe(`layers of a work tree of ${caller.name}`, () => {
    test('snapshots are gone back to, in any order, and the host is as it was', async () => {
      const { value, tree } = await scene(
        caller,
        'echo 0 > a; mkdir d; echo 0 > d/x; chmod 750 .',
        async ({ sandbox }, path) => {
          const box = await sandbox({ preset: 'system' }).open({ work: { path } })
          const run = async (script: string) => {
            const { stdout, stderr } = await box.run('sh', ['-ec', script], { cwd: path })
            return stdout + stderr
          }
          const seen = () => run('stat -c %a .; for f in $(find . -type f | sort); do echo $f $(cat $f); done')
          const states: string[] = []
          const names: string[] = []
          for (const script of [
            'echo 1 > a; echo 1 > b',
            'rm a; echo 2 >> b; rm -r d; chmod 700 .',
            'mkdir d; echo 3 > d/y; echo 3 > a',
          ]) {
            await run(script)
            names.push(await box.snapshot())
            states.push(await seen())
          }
          await run('rm -r ./*; echo other > c')
          const back: string[] = []
          for (const index of [1, 0, 2]) {
            await box.restore(names[index]!)
            back.push(await seen())
            await run('echo dropped > dropped')
          }
          const diffs = [(await box.diff()).map(({ kind, path }) => `${kind} ${path}`)]
          await box.rollback()
          const first = await seen()
          diffs.push((await box.diff()).map(({ kind, path }) => `${kind} ${path}`))
          const { agreement } = await box.inspect()
          await box.close()
          return { names, states, back, first, diffs, agreement }
        },
      )
      const { names, states, back, first, diffs } = value
      assert.deepEqual(names, ['s1', 's2', 's3'])
      assert.deepEqual(
        back,
        [1, 0, 2].map((index) => states[index]),
      )
      assert.equal(states[2], '700\n./a 3\n./b 1 2\n./d/y 3\n')
      assert.equal(first, '750\n./a 0\n./d/x 0\n')
      assert.deepEqual(diffs, [['changed a', 'added b', 'removed d/x', 'added d/y', 'added dropped'], []])
      assert.equal(value.agreement, 'asked')
      assert.deepEqual(readdirSync(tree).sort(), ['a', 'd'])
    })

    test('what lies in several layers is compared and committed as it is seen', async () => {
      const before =
        'mkdir -p d/e anew/k gone; for f in d/e/1 d/e/2 anew/old anew/k/x gone/x top; do echo 0 > $f; done; echo 0 > file; ln -s x link'
      const { value, tree } = await scene(caller, before, async ({ sandbox }, path) => {
        const box = await sandbox({ preset: 'system' }).open({ work: { path, protect: [] } })
        const scripts = [
          'echo 1 > d/e/1; mkdir -p n/m; echo 1 > n/m/1; echo 1 > n/2; rm -r anew; mkdir anew; echo 1 > anew/one; rm -r gone; rm file; mkdir file; echo 1 > file/in',
          'echo 2 > d/e/3; rm n/m/1; rm -r file; echo 2 > file; mkdir gone; echo 2 > gone/y; rm -r anew; mkdir anew; echo 2 > anew/two; ln -sf y link',
          'rm d/e/2; echo 3 > n/m/3; rm -r gone; mkdir gone; rm -r n; mkdir -p n/m; echo 3 > n/m/4; chmod 700 d',
        ]
        for (const script of scripts) {
          const { exitCode, stderr } = await box.run('sh', ['-ec', script], { cwd: path })
          if (exitCode !== 0) throw new Error(stderr)
          await box.snapshot()
        }
        const list = 'find . | sort; for f in $(find . -type f | sort); do cat $f; done; readlink link; stat -c %a d'
        const shown = await box.run('sh', ['-c', list], { cwd: path })
        const diff = (await box.diff({ text: true })).map(
          ({ kind, path, text = '' }) => `${kind} ${path} ${text.split('\n').at(-2) ?? ''}`,
        )
        await box.commit()
        const left = await box.diff()
        const { spawnSync } = await import('node:child_process')
        const host = spawnSync('sh', ['-c', list], { cwd: path, encoding: 'utf8' }).stdout
        await box.close()
        return { shown: shown.stdout, host, left, diff }
      })
      assert.equal(value.host, value.shown)
      assert.deepEqual(value.left, [])
      assert.deepEqual(value.diff, [
        ...[
          'removed anew/k ',
          'removed anew/k/x -0',
          'removed anew/old -0',
          'added anew/two +2',
          'changed d ',
          'changed d/e/1 +1',
        ],
        ...[
          'removed d/e/2 -0',
          'added d/e/3 +2',
          'changed file +2',
          'removed gone/x -0',
          'changed link \\ No newline at end of file',
        ],
        ...['added n ', 'added n/m ', 'added n/m/4 +3'],
      ])
      assert.equal(readFileSync(join(tree, 'n/m/4'), 'utf8'), '3\n')
    })

    // The rest is the same for each caller.
    if (caller !== callers[0]) return

    test('forks have changes of their own, and outlive the box that they come from', async () => {
      const { value, tree } = await scene(caller, 'echo 0 > a; echo 0 > b', async ({ sandbox }, path) => {
        const box = await sandbox({ preset: 'system' }).open({ work: { path } })
        const run = async (one: Vial.Box, script: string) => (await one.run('sh', ['-c', script], { cwd: path })).stdout
        await run(box, 'echo 1 > a')
        const forks = [await box.fork(), await box.fork()] as const
        await run(forks[0], 'echo fork > b; rm a')
        await run(forks[1], 'echo mine > b')
        await run(box, 'echo 2 > a')
        const deep = await forks[0].fork()
        await run(deep, 'echo deep > c')
        await box.close()
        const seen = []
        for (const one of [...forks, deep]) seen.push(await run(one, 'grep -H . *'))
        await forks[0].rollback()
        seen.push(await run(forks[0], 'grep -H . *'))
        await deep.commit()
        const refused = await forks[1].commit().catch(({ code }) => code)
        for (const one of [...forks, deep]) await one.close()
        return { seen, refused }
      })
      assert.deepEqual(value.seen, ['b:fork\n', 'a:1\nb:mine\n', 'b:fork\nc:deep\n', 'a:1\nb:0\n'])
      assert.equal(value.refused, 'ESTALE')
      assert.deepEqual(readdirSync(tree).sort(), ['b', 'c'])
    })

    test('while a file is open for writing nothing is changed; who works there keeps the old tree, to read', async () => {
      const { value } = await scene(caller, 'echo 0 > a', async ({ sandbox }, path) => {
        const box = await sandbox({ preset: 'system' }).open({ work: { path } })
        const writer = box.spawn(
          'sh',
          ['-c', 'exec 3>> a; echo ready; read go; echo 1 >&3; echo 1 > b; echo written; read go'],
          { cwd: path },
        )
        const next = () =>
          new Promise<string>((resolve) => writer.stdout!.once('data', (piece) => resolve(String(piece))))
        await next()
        const refused = []
        for (const action of [() => box.snapshot('x'), () => box.rollback(), () => box.fork()])
          refused.push(
            await action().then(
              () => 'done',
              ({ code }) => code,
            ),
          )
        const written = next()
        writer.stdin!.write('\n')
        await written
        writer.stdin!.end()
        await writer.result
        await box.snapshot('x')
        const reader = box.spawn('sh', ['-c', 'exec 3< a; read go; cat <&3; echo > c || echo refused'], {
          cwd: path,
        })
        await box.run('sleep', ['0.1'])
        await box.rollback()
        reader.stdin!.end('\n')
        let said = ''
        reader.stdout!.on('data', (piece) => {
          said += piece
        })
        await reader.result
        const seen = (await box.run('ls', [], { cwd: path })).stdout
        await box.restore('x')
        const again = (await box.run('cat', ['a', 'b'], { cwd: path })).stdout
        const shell = await box.run('sh', ['-c', 'echo new > c; cat c'], { cwd: path })
        await box.close()
        return { refused, said, seen, again, made: shell.stdout }
      })
      assert.deepEqual(value, {
        ...{
          refused: ['EBUSY', 'EBUSY', 'EBUSY'],
          said: '0\n1\nrefused\n',
          seen: 'a\n',
          again: '0\n1\n1\n',
          made: 'new\n',
        },
      })
    })

    test('names, mounts, and boxes without a tree are refused', async () => {
      const { value } = await scene(caller, 'mkdir m', async ({ sandbox }, path) => {
        const box = await sandbox({ preset: 'system' }).open({ work: { path } })
        const bare = await sandbox({ preset: 'system' }).open()
        await box.snapshot('one')
        await box.mount('/usr', `${path}/m`)
        const all = [
          ...[
            box.snapshot('one'),
            box.snapshot('../x'),
            box.snapshot(''),
            box.snapshot(7 as never),
            box.restore('none'),
          ],
          ...[bare.snapshot(), bare.fork(), bare.rollback(), box.rollback()],
        ]
        const said = await Promise.all(
          all.map((one) =>
            one.then(
              () => 'done',
              ({ stage, message }) => `${stage}: ${message.split('\n')[0].replaceAll(path, 'TREE')}`,
            ),
          ),
        )
        await box.unmount(`${path}/m`)
        const both = await Promise.allSettled([box.rollback(), box.rollback()])
        await box.close()
        await bare.close()
        return { said, both: both.map(({ status }) => status).sort() }
      })
      const name = 'options: snapshot.name: must be 1 to 64 letters'
      assert.deepEqual(
        value.said.map((one) => one.slice(0, name.length)),
        [
          ...[
            'options: there is a snapshot one already',
            name,
            name,
            'options: snapshot.name: must be text, not 7',
            'options: there is no snapshot "none"',
          ],
          ...[
            'options: this box has no work tree: open it with work: { path }',
            'options: this box has no work tree: open it with work: { path }',
            'options: this box has no work tree: open it with work: { path }',
            'options: TREE/m was mounted in the work tree',
          ],
        ].map((one) => one.slice(0, name.length)),
      )
      assert.deepEqual(value.both, ['fulfilled', 'rejected'])
    })
  })
