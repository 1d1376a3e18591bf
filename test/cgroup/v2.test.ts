/** cgroup v2 where it has no controllers, as on hosts of v1: entering, killing, freezing, and what each group counts. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { removeGroup } from '../../src/cgroup/garbage.js'
import { hierarchies } from '../../src/cgroup/hierarchies.js'
import { newGroupName } from '../../src/cgroup/owner.js'
import { GroupV2, v2Way } from '../../src/cgroup/v2.js'
import { without } from '../fallbacks/without.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { eventually } from '../support/processes.js'
import { callers, root, workDirectory } from '../support/user.js'

const base = hierarchies().find(({ version, own }) => version === 2 && own !== undefined)?.own
const skip = base === undefined || process.getuid?.() !== 0 ? 'needs cgroup v2 and root' : false

for (const caller of callers) {
  describe(`cgroup v2 by ${caller.name}`, { skip }, () => {
    const delegation = delegate(caller)
    after(() => delegation.remove())

    for (const clone3 of [true, false]) {
      test(`init is in the group ${clone3 ? 'from birth' : 'by moving itself'}`, async () => {
        const wrapper = [...(clone3 ? [] : [without(['clone3']), '/usr/bin/env']), ...(delegation.wrapper ?? [])]
        const seen = await evaluate(
          caller,
          async ({ sandbox }) => {
            const limits = { cpuTime: 10 }
            const outside = await sandbox({ preset: 'system', limits, namespaces: { cgroup: 'host' } }).run('cat', [
              '/proc/self/cgroup',
            ])
            const inside = await sandbox({ preset: 'system', limits }).run('sh', [
              '-c',
              'cat /proc/self/cgroup; ls /proc/self/fd',
            ])
            return {
              outside: outside.stdout,
              inside: inside.stdout,
              by: inside.enforcement.cpuTime,
              usage: inside.usage,
            }
          },
          {},
          { env: { VIAL_CGROUP: 'v2' }, ...(wrapper.length === 0 ? {} : { wrapper }) },
        )
        assert.equal(seen.by, 'cgroup v2')
        assert.match(seen.outside, /^0::\/.*vial\.\d+\.\d+\.\d+\.\d+$/m)
        // In a cgroup namespace the group is the root, and no descriptor leads out of it.
        assert.match(seen.inside, /^0::\/$/m)
        assert.match(seen.inside, /\n0\n1\n2\n3\n$/)
        assert.ok(seen.usage.cpuMs! > 0)
        assert.deepEqual(delegation.left(), [])
      })
    }
  })
}

describe('a group of cgroup v2', { skip }, () => {
  test('is made beside the group of a caller that stood aside before', async () => {
    const outer = join(base!, `vial-test-aside-${process.pid}`)
    const aside = join(outer, 'vial.callers')
    mkdirSync(aside, { recursive: true })
    try {
      const groups = await evaluate(
        root,
        async ({ sandbox }) => {
          const policy = { preset: 'system', limits: { cpuTime: 10 }, namespaces: { cgroup: 'host' } } as const
          return (await sandbox(policy).run('cat', ['/proc/self/cgroup'])).stdout
        },
        {},
        { env: { VIAL_CGROUP: 'v2' }, wrapper: ['sh', '-c', `echo $$ > ${aside}/cgroup.procs && exec "$@"`, 'sh'] },
      )
      assert.match(groups, new RegExp(`^0::.*/vial-test-aside-${process.pid}/vial\\.\\d`, 'm'))
    } finally {
      for (const directory of [aside, outer]) rmdirSync(directory)
    }
  })

  test('is killed at once, and removed when it is empty', async () => {
    const group = v2Way(base!).create(newGroupName(), {})
    const [directory] = group.directories as [string]
    const fork = `i=0; while [ $i -lt 20 ]; do (trap '' TERM; sleep 600) & i=$((i+1)); done; wait`
    const child = spawn('sh', ['-c', `echo $$ > ${directory}/cgroup.procs && ${fork}`])
    const count = () => readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').length - 1
    assert.ok((await eventually(count, (seen) => seen > 20)) > 20)
    assert.equal(group.tryRemove(), false)
    writeFileSync(join(directory, 'cgroup.freeze'), '1')
    await eventually(
      () => readFileSync(join(directory, 'cgroup.events'), 'utf8'),
      (events) => events.includes('frozen 1'),
    )
    const ended = once(child, 'exit')
    group.kill()
    assert.deepEqual(await ended, [null, 'SIGKILL'])
    await removeGroup(group)
    assert.equal(existsSync(directory), false)
  })
})

test('what the files of a group say', () => {
  const directory = join(workDirectory(root, 'v2'), 'group')
  mkdirSync(directory, { recursive: true })
  const files = {
    'cpu.stat':
      'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 3\nnr_throttled 2\nthrottled_usec 70000\n',
    'memory.peak': '4096\n',
    'memory.events': 'low 0\nhigh 5\nmax 12\noom 2\noom_kill 3\noom_group_kill 1\n',
    'pids.peak': '7\n',
    'pids.events': 'max 4\n',
    'io.stat': '8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n253:0 rbytes=5 wbytes=6 rios=1 wios=1\n',
    'memory.pressure':
      'some avg10=0.00 avg60=0.00 avg300=0.00 total=2500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000\n',
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  assert.deepEqual(new GroupV2(directory).measure(), {
    cpuMs: 1.5,
    cpuUserMs: 1,
    cpuSystemMs: 0.5,
    throttledMs: 70,
    peakMemory: 4096,
    peakPids: 7,
    oomKills: 3,
    memoryLimitHits: 2,
    memoryHighHits: 5,
    pidsLimitHits: 4,
    readBytes: 105,
    writtenBytes: 26,
    pressure: { memory: { someMs: 2.5, fullMs: 1 } },
  })
  // A kernel that measures none of it.
  const bare = join(directory, 'bare')
  mkdirSync(bare)
  assert.deepEqual(new GroupV2(bare).measure(), {})
})
