/** `vial try`: what a command changed is shown, and applied only where that was said. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { notInstalled } from '../support/needs.js'
import { keys, Terminal } from '../support/terminal.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
const script = 'echo 1 > a; rm b; mkdir c; echo new > c/d; mkfifo pipe; echo said'
const table = 'M  2          a\nD  4          b\nA  directory  c/\nA  4          c/d\nA  fifo       pipe\n'

let trees = 0
function treeOf(caller: Caller) {
  const top = workDirectory(caller, `try-${++trees}`)
  const [tree, cache] = [join(top, 'tree'), join(top, 'cache')]
  mkdirSync(tree)
  writeFileSync(join(tree, 'a'), 'one\n')
  writeFileSync(join(tree, 'b'), 'two\n')
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', `${caller.uid}:${caller.gid}`, top])
  const call = (...args: string[]) => {
    const { status, stdout, stderr } = vial(caller, ['try', ...args], { env: { VIAL_CACHE: cache }, cwd: tree })
    return [status, stdout, stderr]
  }
  const left = () => [
    readdirSync(tree).sort().join(),
    readFileSync(join(tree, 'a'), 'utf8').trim(),
    readdirSync(join(cache, 'layers')).length,
  ]
  return { call, left, tree, cache }
}
const untouched = ['a,b', 'one', 0]
const applied = ['a,c', '1', 0]

after(() => Terminal.closeAll())

for (const caller of callers)
  describe(`vial try by ${caller.name}`, () => {
    test('without a terminal the changes are shown, and applied by --yes alone', () => {
      const { call, left } = treeOf(caller)
      assert.deepEqual(call('--', 'sh', '-c', script), [
        ...[0, 'said\n', `${table}vial: nothing is applied: that takes a terminal, or --yes\n`],
      ])
      assert.deepEqual(left(), untouched)
      assert.deepEqual(call('--no', '--', 'sh', '-c', script), [0, 'said\n', table])
      const [, , lines] = call('--no', '--diff', '--', 'sh', '-c', 'printf "1\\t\\33[2J\\n" > a')
      assert.match(String(lines), /^M {2}7 {2}a\ndiff --git a\/a b\/a\n.*\n-one\n\+1\t\?\[2J\n$/s)
      assert.deepEqual(call('--yes', '--', 'sh', '-c', `${script}; exit 3`), [
        ...[3, 'said\n', `${table}vial: nothing is applied, for the command failed\n`],
      ])
      assert.deepEqual(call('--yes', '--no', 'true')[0], 125)
      assert.deepEqual(call('--', 'true'), [0, '', 'vial: nothing was changed\n'])
      assert.equal(call('--', 'no-such-command')[0], 127)
      assert.deepEqual(left(), untouched)
      assert.deepEqual(call('--yes', '--', 'sh', '-c', script), [0, 'said\n', `${table}vial: applied 4 of 5\n`])
      assert.deepEqual(left(), applied)
    })

    test('--work names another directory; what the command left running is over before anything is looked at', () => {
      const { call, left, tree } = treeOf(caller)
      const late = `cd ${tree}; echo 1 > a; rm b; mkdir c; (while :; do echo late >> late; sleep 0.01; done) & echo > c/d`
      const [status, , said] = call('--work', '../tree', '--yes', '--cwd', '/', '--', 'sh', '-c', late)
      assert.equal(status, 0, String(said))
      assert.ok(
        [applied, ['a,c,late', '1', 0]].some((one) => JSON.stringify(one) === JSON.stringify(left())),
        String(left()),
      )
      assert.match(String(call('--work', 'none', '--', 'true')[2]), /^vial: .*none: No such file or directory/)
    })

    test('at a terminal it asks', { skip: notInstalled('script') }, async () => {
      for (const [answer, becomes] of [
        ['y\r', applied],
        ['\r', untouched],
        ['d\r', untouched],
        ['n\r', untouched],
      ] as const) {
        const { left, tree, cache } = treeOf(caller)
        const line = `cd ${tree} && VIAL_CACHE=${cache} '${process.execPath}' '${main}' try -- sh -c '${script}'`
        const terminal = new Terminal(caller, line)
        await terminal.shows('apply? [y/N/d] ')
        terminal.type(answer)
        if (answer === 'd\r') {
          await terminal.shows('-one')
          await terminal.shows('+new')
          terminal.type('\r')
        }
        await terminal.ended
        assert.deepEqual(left(), becomes)
      }
    })

    test('^C drops all', { skip: notInstalled('script') }, async () => {
      const { left, tree, cache } = treeOf(caller)
      const line = `cd ${tree} && VIAL_CACHE=${cache} '${process.execPath}' '${main}' try -- sh -c 'echo 1 > a; echo ready; exec sleep 600'`
      const terminal = new Terminal(caller, line)
      await terminal.shows('ready')
      terminal.type(keys.interrupt)
      await terminal.ended
      assert.deepEqual(left(), untouched)
    })
  })
