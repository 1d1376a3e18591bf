/** A payload that may mount: it mounts the cgroup hierarchies in namespaces of its own, and tries to leave its limits. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { askWay } from '../../src/cgroup/findWay.js'
import { hierarchies } from '../../src/cgroup/hierarchies.js'
import { evaluate, start } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { assertGone, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { callers } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const way = askWay(['memory', 'pids'])
const skip = 'missing' in way ? way.missing : process.getuid?.() === 0 ? false : 'needs root to delegate'
const version = 'missing' in way ? 1 : way.version
const hasFreezer = hierarchies().some(({ controllers, own }) => controllers.includes('freezer') && own !== undefined)
const needsFreezer = skip || (version === 2 || hasFreezer ? false : 'needs the freezer of cgroup v1')

/** What the payload does where it has mounted its groups, in namespaces of its own. */
const mounted = (then: string) => `mkdir -p /tmp/c && unshare -UrmC --map-root-user sh -c '
  mount -t ${version === 1 ? 'cgroup -o memory,pids' : 'cgroup2'} none /tmp/c 2>/dev/null ||
  { mkdir /tmp/c/m /tmp/c/p; mount -t cgroup -o memory none /tmp/c/m && mount -t cgroup -o pids none /tmp/c/p; } || exit 9
  cd /tmp/c; ${then}'`

/** Writes into every file of a limit that it finds in its own group and above. */
const lift = `for group in . .. m p; do
  for file in memory.memsw.limit_in_bytes memory.limit_in_bytes memory.swap.max memory.max; do
    [ ! -e $group/$file ] || echo 2000000000 > $group/$file; done
  [ ! -e $group/pids.max ] || echo 500 > $group/pids.max; done 2>/dev/null`

for (const caller of callers) {
  describe(`limits of a payload that may mount, by ${caller.name}`, { skip }, () => {
    const delegation = delegate(caller)
    const wrapper = delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }
    after(() => delegation.remove())

    const run = (script: string, { wallTime = '100s', timeout = 200_000 } = {}) =>
      evaluate(
        caller,
        async ({ sandbox }, { script, wallTime, timeout }) => {
          const { verdict, stdout, stderr, usage } = await sandbox({
            preset: 'system',
            seccomp: 'nested',
            // Root has to accept what the masks of /proc hide.
            filesystem: [{ proc: '/proc', masked: false }],
            limits: { memory: '64M', pids: 20, wallTime: wallTime as '100s' },
          }).run('sh', ['-c', script], { timeout })
          return { verdict, stdout, stderr, usage }
        },
        { script, wallTime, timeout },
        wrapper,
      )

    test('memory cannot be lifted', async () => {
      const seen = await run(mounted(`${lift}; echo lifted; head -c 200000000 /dev/zero | tail | wc -c`))
      assert.match(seen.stdout, /lifted/, seen.stderr)
      assert.deepEqual(seen.verdict, { kind: 'memory-limit', limit: 64 * 2 ** 20 }, seen.stderr)
      assert.ok(seen.usage.peakMemory! <= 64 * 2 ** 20)
      assert.deepEqual(delegation.left(), [])
    })

    test('processes cannot be lifted, and a refusal is still told', async () => {
      const forks = 'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done'
      const seen = await run(mounted(`${lift}; ${forks}`))
      assert.deepEqual(seen.verdict, { kind: 'pids-limit', limit: 20 }, seen.stderr)
      assert.deepEqual(delegation.left(), [])
    })

    test('files of its limits are not writable in a writable bind that covers them', async () => {
      // Where swap is counted, its limit goes first: it may not be below that of memory.
      const files = version === 1 ? ['memory.memsw.limit_in_bytes', 'memory.limit_in_bytes'] : ['memory.max']
      const write = files
        .map((file) => `find /sys/fs/cgroup -path '*/vial-test-${process.pid}-*/vial.*' -name ${file}`)
        .map(
          (find) =>
            `${find} | while read -r file; do if echo 2000000000 > "$file"; then echo lifted; else echo refused; fi; done`,
        )
        .join('; ')
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { write }) => {
          const limits = { memory: '64M', pids: 20 } as const
          const run = async (landlock: 'on' | 'off') => {
            const filesystem = [{ bind: '/sys', writable: true }]
            const one = sandbox({ preset: 'system', limits, landlock, filesystem })
            const { stdout, stderr } = await one.run('sh', ['-c', write])
            return (
              [...new Set(stdout.split('\n').filter(Boolean))].join() +
              (/Read-only file system/.test(stderr) ? ', read-only' : stderr)
            )
          }
          return [await run('on'), await run('off')]
        },
        { write },
        wrapper,
      )
      assert.deepEqual(seen, ['refused, read-only', 'refused, read-only'])
    })

    test('groups below its own are removed, however deep', async () => {
      const name = 'x'.repeat(200)
      const deep = `top=$(ls -d m 2>/dev/null || echo .); cd $top; i=0; while [ $i -lt 30 ]; do mkdir ${name} && cd -P ./${name} || exit 7; i=$((i+1)); done; echo deep`
      const seen = await run(mounted(deep))
      assert.match(seen.stdout, /deep/, seen.stderr)
      assert.deepEqual(delegation.left(), [])
    })

    describe('one that freezes itself', { skip: needsFreezer }, () => {
      // Of v2, a signal that kills reaches what is frozen; of v1, it waits.
      const [mount, tasks, state, freeze] =
        version === 1
          ? ['cgroup -o freezer', 'tasks', 'freezer.state', 'FROZEN']
          : ['cgroup2', 'cgroup.procs', 'cgroup.freeze', '1']
      const frozen = (word: string, then: string) => `mkdir -p /tmp/f && unshare -UrmC --map-root-user sh -c '
        mount -t ${mount} none /tmp/f && mkdir /tmp/f/sub /tmp/f/sub/sub || exit 9
        sh -c "echo 0 > /tmp/f/sub/sub/${tasks} || exit; echo in; exec sleep ${word}" &
        while ! grep -q . /tmp/f/sub/sub/${tasks} && kill -0 $!; do :; done
        echo ${freeze} > /tmp/f/sub/${state} && echo frozen; ${then}'`

      for (const [what, then, options, verdict] of [
        ['ends by its wall time', 'sleep 600', (ms: number) => ({ wallTime: `${ms}ms` }), 'time-limit'],
        ['ends when the caller has waited', 'sleep 600', (ms: number) => ({ timeout: ms }), 'killed'],
        ['ends with the payload', 'exit 3', () => ({}), 'exit'],
      ] as const)
        test(what, async () => {
          const word = uniqueSeconds()
          // A slow machine has not frozen it when the first time is over.
          for (const ms of [500, 5_000, 50_000]) {
            const seen = await run(frozen(word, then), options(ms))
            assert.equal(seen.verdict.kind, verdict, seen.stderr)
            await assertGone(word)
            assert.deepEqual(delegation.left(), [])
            if (seen.stdout.includes('frozen')) return
          }
          assert.fail('it could not freeze itself')
        })

      test('is removed by gc when its maker was killed', async (t) => {
        const word = uniqueSeconds()
        const node = start(
          caller,
          async ({ sandbox }, { script }) => {
            const child = sandbox({
              preset: 'system',
              seccomp: 'nested',
              filesystem: [{ proc: '/proc', masked: false }],
              limits: { memory: '64M', pids: 20 },
            }).spawn('sh', ['-c', script])
            child.stdout!.on('data', (chunk) => {
              if (String(chunk).includes('frozen')) process.kill(process.pid, 'SIGKILL')
            })
            return child.result
          },
          { script: frozen(word, 'sleep 600') },
          wrapper,
        )
        t.after(() => killAll(word))
        await once(node, 'exit')
        const left = await eventually(
          () => delegation.left(),
          (found) => found.length > 0,
        )
        assert.ok(left.length > 0)
        if (version === 1) assert.ok(processesWith(word).length > 0)
        else await assertGone(word)
        const words = [...(delegation.wrapper ?? []), process.execPath, main, 'gc']
        const { stdout } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
        assert.deepEqual(
          [...stdout.matchAll(/^removed (.*)$/gm)]
            .map(([, directory]) => directory)
            .filter((one) => left.includes(one!))
            .sort(),
          [...left].sort(),
        )
        await assertGone(word)
        assert.deepEqual(delegation.left(), [])
      })
    })
  })
}

test('gc says what it cannot remove, and why', {
  skip: process.getuid?.() === 0 ? false : 'needs root to make a group',
}, async () => {
  const base = hierarchies().find(({ version, own }) => version === 2 && own !== undefined)?.own
  assert.ok(base !== undefined)
  // Its maker is dead, and the sandbox was to outlive it.
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))![0]
  const directory = join(base, `vial.${namespace}.999999999.1.0.outlives`)
  mkdirSync(directory)
  const word = uniqueSeconds()
  const child = spawn('sleep', [word])
  try {
    writeFileSync(join(directory, 'cgroup.procs'), String(child.pid))
    const { stdout } = spawnSync(process.execPath, [main, 'gc'], { encoding: 'utf8' })
    assert.ok(
      stdout.includes(`kept ${directory}: it holds processes that were meant to outlive their maker: ${child.pid}\n`),
      stdout,
    )
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
    if (existsSync(directory)) rmdirSync(directory)
  }
})
