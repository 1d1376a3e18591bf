/** Living sandboxes in groups of cgroup v2: what enters is in the sandbox's own, from wherever it comes, or does not enter. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { evaluate } from '../../test/support/evaluate.js'
import { type Delegation, delegate } from '../../test/support/groups.js'
import { type Caller, callers, root, workDirectory } from '../../test/support/user.js'

const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')

/** `vial`, by this caller in a group of that delegation, or in the tests' own. */
function vialIn(caller: Caller, delegation: Delegation | undefined, ...args: readonly string[]) {
  const runtime = workDirectory(caller, 'runtime')
  const become =
    caller.uid === root.uid ? [] : ['setpriv', `--reuid=${caller.uid}`, `--regid=${caller.gid}`, '--clear-groups']
  const words = [...(delegation?.wrapper ?? become), process.execPath, main, ...args]
  return spawnSync(words[0]!, words.slice(1), {
    encoding: 'utf8',
    cwd: runtime,
    env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), XDG_RUNTIME_DIR: runtime, VIAL_CGROUP: 'v2' },
  })
}

for (const caller of callers)
  describe(`living sandboxes in a group by ${caller.name}`, () => {
    const [first, second] = [delegate(caller), delegate(caller)]
    after(() => {
      vialIn(caller, first, 'rm', '-f', 'box')
      for (const delegation of [first, second]) delegation.remove()
    })
    const record = () =>
      JSON.parse(readFileSync(join(workDirectory(caller, 'runtime'), 'vial/box/record.json'), 'utf8'))
    const exec = (delegation: Delegation | undefined, ...words: readonly string[]) => {
      const { status, stdout, stderr } = vialIn(caller, delegation, 'exec', 'box', ...words)
      return { status, stdout, stderr }
    }
    /** Its cgroup namespace is that of the sandbox, in whose group it is. */
    const ownGroup = ['cat', '/proc/self/cgroup']

    test('an open one: commands are in it, and its limit of memory is for all', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', limits: { memory: '32M', pids: 16 } }).open()
          const small = await box.run('echo', ['in'])
          const pids = await box.run('sh', [
            '-c',
            'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do sleep 5 & done; wait',
          ])
          const events: string[] = []
          for (const name of ['oom', 'limit', 'exit'] as const) box.on(name, () => events.push(name))
          const large = await box.run('tail', ['/dev/zero'])
          const { verdict } = await box.wait()
          return { small: small.stdout, pids: pids.stderr, large: large.verdict.kind, verdict, events }
        },
        undefined,
        { env: { VIAL_CGROUP: 'v2' }, wrapper: first.wrapper! },
      )
      assert.equal(told.small, 'in\n')
      assert.match(told.pids, /fork/)
      assert.deepEqual(told.verdict, { kind: 'memory-limit', limit: 32 * 2 ** 20 })
      assert.deepEqual(told.events, ['limit', 'oom', 'exit'])
    })

    test('a named one: a command of the same group is in it', () => {
      const started = vialIn(caller, first, 'start', '--name', 'box', '--memory', '48M', '--pids', '20')
      assert.equal(started.status, 0, started.stderr)
      const { group } = record()
      assert.deepEqual(exec(first, 'sh', '-c', 'sleep 600 > /dev/null 2>&1 & echo begun'), {
        status: 0,
        stdout: 'begun\n',
        stderr: '',
      })
      assert.equal(group.version, 2)
      const pids = readFileSync(join(group.paths[0], 'cgroup.procs'), 'utf8').trim().split('\n')
      const commands = pids.map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0])
      assert.deepEqual(commands.sort(), ['sleep', 'vial'])
    })

    test('from another group of the caller, and from outside', () => {
      for (const from of [second, undefined]) {
        const { status, stdout, stderr } = exec(from, ...ownGroup)
        if (caller.uid === root.uid) assert.deepEqual([status, stdout], [0, '0::/\n'], stderr)
        // Who owns both groups, and not what both lie in, may not move a process from one to the other.
        else {
          assert.equal(status, 125)
          assert.match(
            stderr,
            /^vial: the sandbox "box" cannot be entered from here: it has limits, .*\n +enter it from a process below .*vial-test-\d+-\d+;/,
          )
        }
      }
    })

    test('a command that takes too much ends all, and it is told', () => {
      assert.equal(exec(first, 'tail', '/dev/zero').status, 137)
      assert.equal(vialIn(caller, first, 'wait', 'box').status, 137)
      const [row] = JSON.parse(vialIn(caller, first, 'ps', '--json').stdout)
      assert.deepEqual(row.verdict, { kind: 'memory-limit', limit: 48 * 2 ** 20 })
      assert.equal(vialIn(caller, first, 'rm', 'box').status, 0)
      assert.deepEqual([...first.left(), ...second.left()], [])
    })
  })
