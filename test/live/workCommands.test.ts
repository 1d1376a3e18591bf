/** The work tree of a named sandbox: `vial start --work`, and what other commands do with it, each in a process of its own. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'
import { hostTree } from '../support/workTree.js'

let scenes = 0
function scene(t: TestContext, caller: Caller, before: string) {
  const place = hostTree(caller, before, 'tree: a,b\\c')
  const runtime = workDirectory(caller, `work-commands-${++scenes}`)
  const env = { XDG_RUNTIME_DIR: runtime, VIAL_CACHE: place.cache }
  const call = (...args: string[]) => {
    const { status, stdout, stderr } = vial(caller, args, { env, cwd: place.tree })
    return [status, stdout, stderr] as const
  }
  const done = (...args: string[]) => {
    const [status, stdout, stderr] = call(...args)
    assert.equal(status, 0, stderr)
    return stdout
  }
  const inside = (script: string) => done('exec', '--cwd', place.tree, 'box', 'sh', '-ec', script)
  const left = () => readdirSync(join(place.cache, 'layers'))
  t.after(() => {
    for (const name of existsSync(join(runtime, 'vial')) ? readdirSync(join(runtime, 'vial')) : [])
      call('rm', '-f', name)
  })
  return { ...place, env, runtime, call, done, inside, left }
}

for (const caller of callers)
  describe(`vial start --work by ${caller.name}`, () => {
    test('what is changed is shown, kept, gone back to and committed by other commands', (t) => {
      const { call, done, inside, left, tree } = scene(t, caller, 'echo one > a; echo two > b')
      assert.deepEqual(call('start', '--name', 'box', '--work', '.'), [
        ...[0, ''],
        'box runs: enter it with "vial exec box COMMAND", end it with "vial stop box"\nwhat it changes is kept: "vial diff box" shows it, "vial commit box" writes it\n',
      ])
      assert.equal(done('diff', 'box'), '')
      inside('echo 1 > a; rm b; mkdir c; echo new > c/d')
      const first = 'M  2          a\nD  4          b\nA  directory  c/\nA  4          c/d\n'
      assert.equal(done('diff', 'box'), first)
      assert.match(done('diff', '--text', 'box'), /^diff --git a\/a b\/a\n.*\n-one\n\+1\ndiff --git a\/b/s)
      assert.equal(
        JSON.parse(done('diff', '--json', '--text', 'box'))
          .at(-1)
          .text.split('\n')
          .at(-2),
        '+new',
      )
      assert.deepEqual(readdirSync(tree).sort(), ['a', 'b'])
      assert.equal(done('snapshot', 'box'), 's1\n')
      inside('rm -r a c; echo 3 > b')
      assert.equal(done('snapshot', 'box', 'later'), 'later\n')
      assert.equal(done('rollback', 'box', 's1'), '')
      assert.equal(inside('cat a c/d'), '1\nnew\n')
      assert.equal(done('rollback', 'box', 'later'), '')
      assert.equal(done('diff', 'box'), 'D  4  a\nM  2  b\n')
      assert.equal(done('rollback', 'box'), '')
      assert.equal(inside('cat a b'), 'one\ntwo\n')
      done('rollback', 'box', 's1')
      assert.match(done('inspect', 'box'), /^box: as its policy asks\n/)
      assert.equal(done('commit', '--only', 'c', 'box'), 'A  directory  c/\nA  4          c/d\n')
      assert.deepEqual(readdirSync(tree).sort(), ['a', 'b', 'c'])
      assert.equal(done('diff', 'box'), 'M  2  a\nD  4  b\n')
      inside('echo 2 > c/d; mkfifo pipe; echo secret > .env')
      assert.deepEqual(call('commit', 'box'), [
        ...[1, 'M  2  a\nD  4  b\nM  2  c/d\n'],
        'vial: left as it is: .env is protected\nvial: left as it is: pipe is a fifo\n',
      ])
      assert.deepEqual(readdirSync(tree).sort(), ['a', 'c'])
      done('rm', '-f', 'box')
      assert.deepEqual(left(), [])
    })

    test('what was changed outlives the sandbox, however that ends, and goes with its record', (t) => {
      const { call, done, inside, left, tree, runtime } = scene(t, caller, 'mkdir old; echo 1 > old/x; echo 1 > a')
      for (const end of [['stop', 'box'], ['kill', 'box'], []]) {
        done('start', '--name', 'box', '--work', '.')
        inside('echo 2 > a; rm -r old; mkdir old; echo > old/y')
        done('snapshot', 'box')
        inside('echo 3 > b')
        const { monitor } = JSON.parse(readFileSync(join(runtime, 'vial/box/record.json'), 'utf8'))
        if (end.length > 0) done(...end)
        else process.kill(monitor.pid, 'SIGKILL')
        if (end[0] !== 'stop') call('wait', 'box')
        assert.equal(done('diff', 'box'), 'M  2  a\nA  2  b\nD  2  old/x\nA  1  old/y\n')
        assert.match(call('snapshot', 'box')[2], /^vial: the sandbox "box" has ended\n/)
        assert.match(
          call('start', '--name', 'box')[2],
          /^vial: the name "box" is in use: what was changed in its work tree is kept\n/,
        )
        assert.match(done('ps'), /\nbox +ended /)
        assert.equal(done('commit', '--only', 'b', 'box'), 'A  2  b\n')
        assert.equal(done('diff', 'box'), 'M  2  a\nD  2  old/x\nA  1  old/y\n')
        assert.deepEqual(readdirSync(tree).sort(), ['a', 'b', 'old'])
        done('rm', 'box')
        assert.deepEqual(left(), [])
        spawnSync('rm', [join(tree, 'b')])
      }
    })

    test('the command of the sandbox stands in the directory, and what is protected is as it was told', (t) => {
      const { call, done, tree } = scene(t, caller, 'echo 1 > a')
      const script = 'exec 3>> a; echo x > .env; mkdir private; echo 2 >&3; echo 1 > private/x; exec sleep 600'
      const protect = ['--no-protect', '--protect', 'private']
      assert.match(
        call('start', '--name', 'box', ...protect)[2],
        /^vial: --protect and --no-protect are about a directory/,
      )
      done('start', '--name', 'box', '--work', '.', ...protect, '--', 'sh', '-ec', script)
      while (!done('diff', 'box').includes('private/x'));
      const [status, , said] = call('snapshot', 'box')
      assert.deepEqual([status, /has a file of the work tree open for writing/.test(said)], [125, true], said)
      assert.equal(call('rollback', 'box')[0], 125)
      done('kill', 'box')
      call('wait', 'box')
      const [left, written, told] = call('commit', 'box')
      assert.deepEqual([left, written], [1, 'A  2  .env\nM  4  a\n'])
      assert.match(told, /^vial: left as it is: private is protected\nvial: left as it is: private\/x is protected\n$/)
      assert.deepEqual(readdirSync(tree).sort(), ['.env', 'a'])
      done('stop', '--rm', 'box')
    })

    test('what was changed on the host meanwhile is a conflict', (t) => {
      const { call, done, inside, tree, own } = scene(t, caller, 'echo 1 > a; echo 1 > b')
      done('start', '--name', 'box', '--work', '.')
      inside('echo 2 > a; echo 2 > b')
      writeFileSync(join(tree, 'a'), 'mine\n')
      own()
      const refused = call('commit', 'box')
      assert.deepEqual(refused.slice(0, 2), [125, ''])
      assert.match(refused[2], /^vial: changed on the host since the box was opened: a/)
      assert.equal(readFileSync(join(tree, 'b'), 'utf8'), '1\n')
      done('commit', '--conflict', 'overwrite', 'box')
      assert.equal(readFileSync(join(tree, 'a'), 'utf8'), '2\n')
      // What it has written itself is none.
      inside('echo 3 > a')
      done('commit', 'box')
      assert.equal(readFileSync(join(tree, 'a'), 'utf8'), '3\n')
    })

    test('the library opens one, and another process has the same by its name', async (t) => {
      const { tree, env, left } = scene(t, caller, 'echo 1 > a')
      const seen = await evaluate(
        caller,
        async ({ sandbox }, path) => {
          const box = await sandbox({ preset: 'system' }).open({ name: 'box', work: { path } })
          const { stderr } = await box.run('sh', ['-ec', 'echo 2 > a; echo 2 > b'], { cwd: path })
          return [stderr, await box.snapshot()]
        },
        tree,
        { env },
      )
      assert.deepEqual(seen, ['', 's1'])
      const other = await evaluate(
        caller,
        async ({ Sandbox }, path) => {
          const box = await Sandbox.attach('box')
          const paths = async () => (await box.diff()).map((one) => one.path)
          await box.run('sh', ['-c', 'rm a; echo 3 > c'], { cwd: path })
          const before = await paths()
          await box.restore('s1')
          const after = await paths()
          const [one, two] = await Promise.all([box.snapshot(), box.snapshot()])
          const fork = await box.fork().catch(({ message }) => message.split('\n')[0])
          const made = await box.commit({ only: ['b'] })
          await box.rollback()
          const rolled = await box.run('ls', [], { cwd: path })
          const runs = await Sandbox.remove('box').catch(({ message }) => message.split('\n')[0])
          await box.close()
          await Sandbox.remove('box')
          const gone = await Sandbox.remove('box', { force: true }).catch(({ message }) => message.split(':')[0])
          return {
            runs,
            gone,
            before,
            after,
            snapshots: [one, two].sort(),
            fork,
            made: made.length,
            rolled: rolled.stdout,
          }
        },
        tree,
        { env },
      )
      assert.deepEqual(other, {
        before: ['a', 'b', 'c'],
        after: ['a', 'b'],
        snapshots: ['s2', 's3'],
        fork: 'a sandbox that has a name is not forked: its layers are of one sandbox',
        made: 1,
        rolled: 'a\nb\n',
        runs: 'the sandbox "box" runs',
        gone: 'there is no sandbox "box"',
      })
      assert.deepEqual(left(), [])
    })
  })
