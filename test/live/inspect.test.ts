/** What is told of a running sandbox: as its policy asks, or what was changed from outside. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { askWay } from '../../src/cgroup/findWay.js'
import type { Policy } from '../../src/index.js'
import { inspectSandbox } from '../../src/live/inspectSandbox.js'
import { readProcess } from '../../src/live/readProcess.js'
import { groupOf } from '../../src/live/recordedGroup.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { callers, root, workDirectory } from '../support/user.js'

const way = askWay(['memory', 'pids'])

/** Policies of which each has something that others lack. */
const policies: Readonly<Record<string, Policy>> = {
  'nothing but a root': { preset: 'empty', filesystem: [{ bind: '/usr' }] },
  'every kind of mount': {
    preset: 'system',
    filesystem: [
      { tmpfs: '/scratch', size: '1M', inodes: 100, noexec: true },
      { directory: '/scratch/made' },
      { symlink: '/link', to: '/scratch' },
      { file: '/written', content: 'x', mount: 'readonly' },
      { file: '/scratch/plain', content: 'x' },
      { chmod: '/scratch/plain', mode: 0o600 },
      { bind: '/data', from: '.', writable: true },
      { bind: '/data/sub', from: './sub' },
      { bind: '/maybe', from: './nowhere', optional: true },
      { bind: '/alone', from: '.', recursive: false },
      { overlay: '/over', lower: ['./sub'], upper: 'tmpfs' },
      { overlay: '/layers', lower: ['./sub', './other'] },
      { mqueue: '/dev/mqueue' },
      { sysfs: '/sys' },
      { readonly: '/scratch' },
    ],
  },
  "the caller's network": { preset: 'system', network: 'host', filesystem: [{ sysfs: '/sys' }] },
  'a root of its own to write': { preset: 'system', root: { writable: true, size: '4M' } },
  'a part of /proc': {
    preset: 'empty',
    filesystem: [{ bind: '/usr' }, { proc: '/proc', subset: 'pid', hidepid: 'invisible' }],
  },
  'the whole host': { filesystem: [{ bind: '/' }, { proc: '/proc' }, { tmpfs: '/tmp' }] },
  'capabilities and other ids': {
    preset: 'system',
    capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_CHOWN'],
    identity: { uid: 7, gid: 8 },
    session: 'host',
    disableUserns: true,
    umask: 0o77,
  },
  'sandboxes inside': { preset: 'system', seccomp: 'nested', filesystem: [{ proc: '/proc', masked: false }] },
  'no filter': { preset: 'system', seccomp: 'none', landlock: 'off' },
  'rlimits, and limits where they can be held': {
    preset: 'system',
    rlimits: { nofile: 64 },
    limits: {
      memory: '64M',
      pids: 20,
      cpuTime: '10s',
      cpu: 0.5,
      cpuset: '0',
      fileSize: '1M',
      disk: '1M',
      required: false,
    },
  },
}

/** Those that an ordinary user cannot have. */
const roots: typeof policies = {
  "the host's ids": { preset: 'system', namespaces: { user: 'host' }, identity: { uid: 1234, gid: 1235 } },
  'a namespace that was there before': {
    preset: 'system',
    namespaces: { user: 'host', net: { path: '/proc/self/ns/net' }, uts: 'host', ipc: 'host' },
  },
  'ranges of ids': {
    preset: 'system',
    identity: {
      ranges: {
        uids: [{ inside: 0, outside: 100_000, count: 500 }],
        gids: [{ inside: 0, outside: 100_000, count: 500 }],
      },
    },
    capabilities: ['CAP_SETUID'],
  },
}

for (const caller of callers)
  describe(`an inspected sandbox of ${caller.name}`, () => {
    for (const [name, policy] of Object.entries(caller.uid === 0 ? { ...policies, ...roots } : policies))
      test(`with ${name} is as asked`, async () => {
        const base = workDirectory(caller, 'inspected')
        for (const name of ['sub', 'other']) workDirectory(caller, `inspected/${name}`)
        const seen = await evaluate(
          caller,
          async ({ sandbox }, policy) => {
            const box = await sandbox(policy).open()
            box.spawn('sleep', ['600'])
            const inspection = await box.inspect()
            await box.close()
            return inspection
          },
          policy,
          { cwd: base },
        )
        const facts = [
          ...['namespaces', 'ids', 'mounts', 'limits', 'untold'].flatMap((part) => seen[part as 'ids']),
          ...seen.processes.flatMap(({ facts }) => facts),
        ]
        assert.deepEqual(
          facts.filter(({ agreement }) => agreement === 'differs'),
          [],
        )
        assert.equal(seen.agreement, 'asked')
        assert.ok(seen.mounts.length > 1)
      })

    test('of which a process joined by hand: what it was not hardened by is marked', {
      skip: notInstalled('nsenter'),
    }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { spawn } = await import('node:child_process')
          const box = await sandbox({ preset: 'system' }).open()
          const { pid } = box.spawn('sleep', ['600'])
          const inside = async (word: string) => {
            for (;;) {
              const { agreement, processes } = await box.inspect()
              const process = processes.find(({ command }) => command.join(' ') === `sleep ${word}`)
              if (process !== undefined) return { agreement, process, pid: process.pid }
            }
          }
          const by = await inside('600')
          // Neither the network nor the clocks.
          const words = ['-t', String(by.pid), '-U', '--preserve-credentials', '-m', '-p', '-i', '-u', 'sleep', '601']
          const joined = spawn('nsenter', words)
          const { agreement, process: found } = await inside('601')
          joined.kill('SIGKILL')
          const own = (await box.inspect()).processes.filter(({ command }) => command[1] === '600')
          await box.close()
          const marked = found.facts.filter((fact) => fact.agreement === 'differs')
          return { pid, before: by.agreement, agreement, origin: found.origin, marked, own }
        },
        undefined,
      )
      assert.deepEqual([seen.before, seen.agreement, seen.origin], ['asked', 'differs', 'entered'])
      const marked = Object.fromEntries(seen.marked.map(({ name, found }) => [name, found]))
      assert.deepEqual(
        marked.namespaces,
        ['net', 'cgroup', 'time'].map((name) => `${name}: the host's`),
      )
      assert.equal(marked['filters of system calls'] === undefined, false)
      assert.equal(marked.session, "the caller's")
      assert.ok((marked['bounding set'] as string[]).includes('CAP_SYS_ADMIN'))
      assert.equal(seen.own.length, 1)
      assert.ok(seen.own[0]!.facts.every(({ agreement }) => agreement !== 'differs'))
    })

    test('that another is just entering is told when it is hardened; what only pretends to enter is told as it is', {
      skip: notInstalled('nsenter'),
    }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { spawn } = await import('node:child_process')
          const { readFileSync } = await import('node:fs')
          const box = await sandbox({ preset: 'system' }).open()
          box.spawn('sleep', ['600'])
          const pidOf = async (word: string) => {
            for (;;) {
              const found = (await box.inspect()).processes.find(({ command }) => command[0] === word)
              if (found !== undefined) return found.pid
            }
          }
          const into = ['-t', String(await pidOf('sleep')), '-U', '--preserve-credentials', '-m', '-p']
          const start = readFileSync(`/proc/${box.pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[19]!
          // It has the arguments of what enters, and stays until its input ends.
          const words = [...into, 'cat', `/proc/${box.pid}`, start, '-']
          const entering = spawn('nsenter', words, { stdio: ['pipe', 'ignore', 'ignore'] })
          await pidOf('cat')
          const stays = (await box.inspect()).agreement
          setTimeout(() => entering.stdin.end(), 100)
          const goes = (await box.inspect()).agreement
          await box.close()
          return { stays, goes }
        },
        undefined,
      )
      assert.deepEqual([seen.stays, seen.goes], ['differs', 'asked'])
    })

    test('whose limits were changed in its cgroup', { skip: 'missing' in way ? way.missing : notRoot }, async () => {
      const delegation = delegate(caller)
      try {
        const seen = await evaluate(
          caller,
          async ({ sandbox }) => {
            const { existsSync, readFileSync, writeFileSync } = await import('node:fs')
            const name = 'limited'
            const box = await sandbox({ preset: 'system', limits: { pids: 20, memory: '64M' } }).open({ name })
            const record = JSON.parse(readFileSync(`${process.env.XDG_RUNTIME_DIR}/vial/${name}/record.json`, 'utf8'))
            const { limits: before, agreement } = await box.inspect()
            for (const directory of record.group.paths)
              if (existsSync(`${directory}/pids.max`)) writeFileSync(`${directory}/pids.max`, 'max')
            const { limits: after, agreement: then } = await box.inspect()
            await box.close()
            return { before, agreement, after, then }
          },
          undefined,
          {
            env: { XDG_RUNTIME_DIR: workDirectory(caller, 'runtime') },
            ...(delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper }),
          },
        )
        assert.deepEqual([seen.agreement, seen.then], ['asked', 'differs'])
        const pids = { name: 'pids: pids.max', asked: 21 }
        assert.deepEqual(
          seen.before.find(({ name }) => name === pids.name),
          { ...pids, found: 21, agreement: 'asked' },
        )
        assert.deepEqual(
          seen.after.filter(({ agreement }) => agreement === 'differs'),
          [{ ...pids, found: 'max', agreement: 'differs' }],
        )
      } finally {
        delegation.remove()
      }
    })
  })

test('whose mounts root changed from outside', { skip: notRoot || notInstalled('nsenter', 'mount') }, async () => {
  const seen = await evaluate(
    root,
    async ({ sandbox }) => {
      const { execFileSync } = await import('node:child_process')
      const box = await sandbox({
        preset: 'system',
        filesystem: [
          { bind: '/mine', from: '.', writable: true },
          { bind: '/mine/kept', from: './kept' },
          { tmpfs: '/room', size: '1M' },
        ],
      }).open()
      const init = (await box.inspect()).processes[0]!.pid
      const mounting = (...words: string[]) => execFileSync('nsenter', ['-t', String(init), '-m', 'mount', ...words])
      mounting('-o', 'remount,bind,rw,nosuid,nodev', '/usr')
      mounting('-o', 'remount,size=2M,nosuid,nodev', '/room')
      mounting('-t', 'tmpfs', 'over', '/tmp')
      mounting('--make-shared', '/home/vial')
      execFileSync('nsenter', ['-t', String(init), '-m', 'umount', '/mine/kept'])
      const { mounts } = await box.inspect()
      await box.close()
      return mounts
        .filter(({ agreement }) => agreement === 'differs')
        .map(({ name, found, asked }) => [name, found, asked])
    },
    undefined,
    { cwd: dirname(workDirectory(root, 'changed/kept')) },
  )
  const places = new Map(seen.map(([name, ...rest]) => [name, rest.map(String)]))
  assert.deepEqual([...places.keys()].sort(), ['/home/vial', '/mine/kept', '/room', '/tmp', '/usr'])
  assert.match(places.get('/usr')![0]!, / rw,/)
  assert.deepEqual(places.get('/room')![0], 'tmpfs size=2048k rw,nosuid,nodev')
  assert.deepEqual(places.get('/tmp')![1], 'null')
  assert.match(places.get('/home/vial')![0]!, /,shared:\d+$/)
  assert.match(places.get('/mine/kept')![1]!, /\/kept of the host ro,nosuid,nodev$/)
})

test('a process that gives up what it had, for it ends, is described no more', async () => {
  const holding = 'const held = Buffer.alloc(1e8, 1); console.log(held.length); setInterval(() => {}, 1e9)'
  const child = spawn(process.execPath, ['-e', holding], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  assert.equal(readProcess(child.pid!)?.command[1], '-e')
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  for (let seen = readProcess(child.pid!); seen !== undefined; seen = readProcess(child.pid!))
    assert.equal(seen.command[1], '-e')
  await exited
})

test('that has ended is told so', async () => {
  const monitor = { pid: process.pid, start: '1' }
  await assert.rejects(inspectSandbox({ name: 'gone', monitor, policy: { preset: 'system' }, base: '/' }), {
    name: 'HostError',
    message: /^the sandbox "gone" has ended while it was looked at/,
  })
})

test('what is held by a cgroup is told by its files, where a policy does without', () => {
  const directory = workDirectory(root, 'partly')
  writeFileSync(join(directory, 'pids.max'), '')
  const group = { version: 1, paths: [directory] } as const
  const holds = (required: boolean) =>
    groupOf({ group, policy: { limits: { memory: '1M', pids: 2, required } } })?.holds
  assert.deepEqual([holds(false), holds(true)], [['pids'], ['memory', 'pids']])
})
