/** What a sandbox's own group says of its limits, by whichever way there is; and what the tables say that this machine has not. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { askWay } from '../../src/cgroup/findWay.js'
import { groupLimitsOf, limitWrites } from '../../src/cgroup/limitWrites.js'
import { writes as writesV1 } from '../../src/cgroup/v1.js'
import { writes as writesV2 } from '../../src/cgroup/v2.js'
import type { LimitsPolicy } from '../../src/index.js'
import { parseLimits } from '../../src/policy/limits.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { notRoot } from '../support/needs.js'
import { callers, root, workDirectory } from '../support/user.js'

const MiB = 2 ** 20
const limits: LimitsPolicy = { memory: '64M', pids: 7, cpu: 0.5, cpuWeight: 50, cpuset: '0' }
/** The files of a group, and what must stand there. */
const files = {
  1: {
    'memory.limit_in_bytes': String(64 * MiB),
    'pids.max': '8',
    'cpu.cfs_quota_us': '50000',
    'cpu.shares': '512',
    'cpuset.cpus': '0',
  },
  2: {
    'memory.max': String(64 * MiB),
    'memory.high': String(32 * MiB),
    'memory.swap.max': '0',
    'memory.oom.group': '1',
    'pids.max': '8',
    'cpu.max': '50000 100000',
    'cpu.weight': '50',
    'cpuset.cpus': '0',
  },
} as const

/** Prints those of its words that are files of its own groups, each with the first line of what is in it. */
const script = `while IFS=: read -r _ names group; do
  for file in "$@"; do
    path=/sys/fs/cgroup/$names$group/$file
    case $group in */vial.*) [ ! -e "$path" ] || { read -r line < "$path"; echo "$file=$line"; } ;; esac
  done
done < /proc/self/cgroup; grep Cpus_allowed_list /proc/self/status`

const way = askWay(['memory', 'pids', 'cpu', 'cpuWeight', 'cpuset'])
const skip = 'missing' in way ? way.missing : notRoot

for (const caller of callers) {
  describe(`the group of ${caller.name}`, { skip }, () => {
    const { version, name } = 'missing' in way ? { version: 1 as const, name: '' } : way
    const delegation = delegate(caller)
    const wrapper = delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }
    after(() => delegation.remove())

    const run = (limits: LimitsPolicy) =>
      evaluate(
        caller,
        async ({ sandbox }, { limits, script, files }) => {
          const namespaces = { cgroup: 'host' } as const
          const filesystem = [{ bind: '/sys/fs/cgroup' }]
          try {
            const one = sandbox({ preset: 'system', namespaces, filesystem, limits })
            return await one.run('sh', ['-c', script, 'sh', ...files])
          } catch (error) {
            return (error as Error).message
          }
        },
        { limits, script, files: Object.keys(files[version]) },
        wrapper,
      )

    test('has its limits', async () => {
      const seen = await run(version === 2 ? { ...limits, memoryHigh: '32M' } : limits)
      assert.ok(typeof seen === 'object', String(seen))
      const lines = seen.stdout.trim().split('\n')
      assert.match(lines.pop()!, /^Cpus_allowed_list:\s*0$/)
      assert.deepEqual(Object.fromEntries(lines.map((line) => line.split('='))), files[version])
      assert.deepEqual([...new Set(Object.values(seen.enforcement))], [name])
      assert.deepEqual(delegation.left(), [])
    })

    test('a CPU that is not there', async () => {
      const error = await run({ cpuset: '4000' })
      assert.match(String(error), /^limits\.cpuset: the kernel does not take it: \/.*\/cpuset\.cpus: \S/)
      assert.deepEqual(delegation.left(), [])
    })

    test('what one version cannot do is an error, or told', { skip: version === 2 && 'it can' }, async () => {
      const high: LimitsPolicy = { memory: '64M', memoryHigh: '32M' }
      assert.match(
        String(await run(high)),
        /^cannot enforce limits\.memory, limits\.memoryHigh: cgroup v1 cannot limit memoryHigh\n/,
      )
      const seen = await run({ ...high, cpuTime: 10, required: false })
      assert.ok(typeof seen === 'object', String(seen))
      assert.deepEqual(seen.enforcement, { memory: 'cgroup v1', memoryHigh: 'none', cpuTime: 'cgroup v1' })
      assert.match(seen.stdout, /^memory\.limit_in_bytes=67108864$/m)
    })
  })
}

test('what is written into a group of either version', () => {
  const directory = join(workDirectory(root, 'writes'), 'group')
  mkdirSync(directory, { recursive: true })
  const pages = { '2MB': 4 * MiB }
  assert.deepEqual(writesV2.hugepages(pages), [
    ['hugetlb.2MB.max', 4 * MiB],
    ['hugetlb.2MB.rsvd.max', 4 * MiB],
  ])
  assert.deepEqual(writesV1.hugepages(pages), [
    ['hugetlb.2MB.limit_in_bytes', 4 * MiB],
    ['hugetlb.2MB.rsvd.limit_in_bytes', 4 * MiB],
  ])
  for (const [, text] of writesV2.io({ read: 1000, writeOps: 5 }))
    assert.match(String(text), /^\d+:\d+ rbps=1000 wiops=5$/)
  for (const [file, text] of writesV1.io({ read: 1000 }))
    assert.match(`${file} ${text}`, /^blkio\.throttle\.read_bps_device \d+:\d+ 1000$/)

  // The least and the most of v1 and of BFQ, and what is 100 in all of them.
  assert.deepEqual(
    [1, 100, 10_000].map((weight) => writesV1.cpuWeight(weight)[0]![1]),
    [10, 1024, 102_400],
  )
  assert.throws(() => writesV2.ioWeight(100, directory), /^Error: this kernel weighs no I\/O$/)
  writeFileSync(join(directory, 'io.bfq.weight'), '')
  assert.deepEqual(
    [1, 100, 10_000].map((weight) => writesV2.ioWeight(weight, directory)[0]),
    [1, 100, 1000].map((weight) => ['io.bfq.weight', weight]),
  )
  writeFileSync(join(directory, 'io.weight'), '')
  assert.deepEqual(writesV2.ioWeight(500, directory), [['io.weight', 500]])

  // Swap is forbidden by default, and that is no fault where the kernel has none to count.
  assert.deepEqual(writesV2.swap(0, directory), [])
  assert.throws(() => writesV2.swap(1, directory), /^Error: this kernel does not count swap/)
})

test('what is written where is told without writing it', () => {
  const directory = workDirectory(root, 'told')
  writeFileSync(join(directory, 'memory.memsw.limit_in_bytes'), '')
  const limits = groupLimitsOf(parseLimits({ memory: '64M', swap: '1M', pids: 7, cpu: 0.5 }), ['memory', 'pids'], true)
  const told = [...limitWrites(1, () => directory, writesV1, limits)]
  assert.deepEqual(
    told.map(({ limit, write }) => [limit, ...write]),
    [
      ['memory', 'memory.limit_in_bytes', 64 * MiB],
      ['pids', 'pids.max', 8],
      ['swap', 'memory.memsw.limit_in_bytes', 65 * MiB],
    ],
  )
  assert.deepEqual(readFileSync(join(directory, 'memory.memsw.limit_in_bytes'), 'utf8'), '')
})
