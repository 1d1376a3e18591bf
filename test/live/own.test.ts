/** What a command that enters a sandbox has of its own: ids and limits, none of them more than the sandbox's own command could have. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { type Caller, callers, root } from '../support/user.js'

interface Asked {
  readonly policy: object
  /** What each command has of its own; each tells its ids. */
  readonly own: readonly object[]
}

/** Of each command the line that it prints, or its error. */
const tell = (caller: Caller, asked: Asked): Promise<string[]> =>
  evaluate(
    caller,
    async ({ sandbox }, { policy, own }) => {
      const box = await sandbox(policy as object).open()
      const script =
        'while read -r name a b c d; do case $name in Uid:|Gid:|CapEff:|NoNewPrivs:) echo "$name$a,$b,$c,$d";; esac; done'
      const seen: string[] = []
      for (const options of own) {
        const told = box.run('sh', ['-c', `${script} < /proc/self/status`], { cwd: '/', ...options })
        seen.push(
          await told.then(
            ({ stdout, verdict }) => `${verdict.kind}: ${stdout.trim().replaceAll('\n', ' ')}`,
            (error) => `${error.name}: ${error.message}`,
          ),
        )
      }
      await box.close()
      return seen
    },
    asked,
  )

const ids = (uid: number, gid: number, capabilities: string) =>
  `ok: Uid:${[uid, uid, uid, uid]} Gid:${[gid, gid, gid, gid]} CapEff:${capabilities.padStart(16, '0')},,, NoNewPrivs:1,,,`

const inside = { preset: 'system' } as const
const lacks = (name: 'uid' | 'gid') =>
  `OptionError: ${name}: is not the sandbox's: its own command could become it only with capabilities: ["CAP_SET${name.toUpperCase()}"] in the policy`

for (const caller of callers) {
  describe(`a command of its own, by ${caller.name}`, () => {
    test('has the ids of the policy, where the sandbox has no others', async () => {
      const policy = { ...inside, identity: { uid: 7, gid: 8 }, capabilities: ['CAP_SETUID', 'CAP_SETGID'] }
      assert.deepEqual(
        await tell(caller, { policy, own: [{}, { uid: 7, gid: 8 }, { uid: 0 }, { gid: 7 }, { uid: -1 }] }),
        [
          ids(7, 8, 'c0'),
          ids(7, 8, 'c0'),
          'OptionError: uid: must be an id that the sandbox has: 7',
          'OptionError: gid: must be an id that the sandbox has: 8',
          'OptionError: uid: must not be negative',
        ],
      )
    })

    test('has limits that are as low as those of the sandbox, or lower', async () => {
      const limits = { fileSize: '1M', wallTime: '60s', cpuTime: '60s', required: false }
      const seen = await evaluate(
        caller,
        async ({ sandbox }, limits) => {
          const box = await sandbox({
            preset: 'system',
            limits: limits as object,
            rlimits: { nofile: { soft: 90, hard: 100 } },
          }).open()
          const script = 'ulimit -Hn; ulimit -f; ulimit -s; ulimit -t; ulimit -c'
          const tell = (limits: object, words = script) =>
            box.run('sh', ['-c', words], { limits }).then(
              ({ stdout, verdict }) => [stdout, verdict] as const,
              (error) => `${error.name}: ${error.message}`,
            )
          const own = { fileSize: 4096, openFiles: 20, stack: '1M', cpuTime: '2500ms', core: 1 }
          const seen = {
            all: await tell(own),
            same: await tell(
              { fileSize: '1M', wallTime: '60s', cpuTime: '60s', openFiles: 100 },
              'ulimit -Hn; ulimit -f',
            ),
            refused: await Promise.all(
              [
                { fileSize: 2 ** 20 + 1 },
                { openFiles: 101 },
                { wallTime: '61s' },
                { cpuTime: '61s' },
                { core: 2 },
                { core: 0 },
                { memory: '1G' },
                { pids: 5 },
                { disk: '1M' },
                { stack: '1X' },
                { nothing: 1 },
              ].map((one) => tell(one)),
            ),
            time: await tell({ wallTime: '300ms' }, 'exec sleep 60'),
            cpu: await tell({ cpuTime: '1s' }, 'while :; do :; done'),
            output: await tell({ output: 5 }, 'echo 123456789'),
            stderr: await tell({ stderr: 5 }, 'echo 123456789; echo 123456789 >&2'),
            size: await tell({ fileSize: 512 }, 'exec head -c 1M /dev/zero > /tmp/large'),
            others: await tell({}, 'head -c 1M /dev/zero > /tmp/large; echo $?'),
          }
          await box.close()
          return seen
        },
        limits,
      )
      assert.deepEqual(seen, {
        all: ['20\n8\n1024\n3\n0\n', { kind: 'ok' }],
        same: ['100\n2048\n', { kind: 'ok' }],
        refused: [
          'limits.fileSize: must be at most 1048576, as the sandbox has it',
          'limits.openFiles: must be at most 100, as the sandbox has it',
          'limits.wallTime: must be at most 60s, as the sandbox has it',
          'limits.cpuTime: must be at most 60s, as the sandbox has it',
          'limits.core: must be at most 1, as the sandbox has it',
          'limits.core: must be at least 1: with 0 the kernel would call a handler of the host, core(5)',
          'limits.memory: is for all in the sandbox together: its policy sets it',
          'limits.pids: is for all in the sandbox together: its policy sets it',
          'limits.disk: is for all in the sandbox together: its policy sets it',
          'limits.stack: must be a size such as "64M", or a number of bytes',
          'limits.nothing: is not a known key',
        ].map((words) => `OptionError: ${words}`),
        time: ['', { kind: 'time-limit', clock: 'wall', limit: 300 }],
        cpu: ['', { kind: 'time-limit', clock: 'cpu', limit: 1000 }],
        output: ['12345', { kind: 'output-limit', stream: 'both', limit: 5 }],
        stderr: ['123456789\n', { kind: 'output-limit', stream: 'stderr', limit: 5 }],
        size: ['', { kind: 'signal', signal: 'SIGXFSZ' }],
        others: ['0\n', { kind: 'ok' }],
      })
    })

    test('is an option of what enters a sandbox, and of no other run', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) =>
          Promise.all(
            [{ uid: 1000 }, { limits: {} }].map((options) =>
              sandbox({ preset: 'system' })
                .run('true', [], options as object)
                .then(String, ({ message }) => message),
            ),
          ),
        undefined,
      )
      assert.deepEqual(seen, ['uid: is not a known option', 'limits: is not a known option'])
    })
  })
}

describe('another identity of the sandbox', {
  skip: process.getuid!() !== 0 && 'needs root, who maps ranges of ids',
}, () => {
  const line = (outside: number) => [{ inside: 0, outside, count: 100 }]
  const identity = { uid: 100, gid: 100, ranges: { uids: line(200000), gids: line(300000) } }

  test('is one that its own command could become', async () => {
    const policy = { ...inside, identity, capabilities: ['CAP_SETUID', 'CAP_SETGID'] }
    assert.deepEqual(
      await tell(root, { policy, own: [{}, { uid: 0, gid: 0 }, { uid: 99 }, { gid: 5 }, { uid: 101 }, { gid: 101 }] }),
      [
        ids(100, 100, 'c0'),
        ids(0, 0, 'c0'),
        ids(99, 100, 'c0'),
        ids(100, 5, 'c0'),
        'OptionError: uid: must be an id that the sandbox has: 0 to 100',
        'OptionError: gid: must be an id that the sandbox has: 0 to 100',
      ],
    )
  })

  test('is refused where that lacks the capability, or its filter refuses the call', async () => {
    const own = [{ uid: 0 }, { gid: 0 }, { uid: 100, gid: 100 }]
    assert.deepEqual(await tell(root, { policy: { ...inside, identity }, own }), [
      lacks('uid'),
      lacks('gid'),
      ids(100, 100, ''),
    ])
    assert.deepEqual(
      await tell(root, { policy: { ...inside, identity, capabilities: ['CAP_SETUID'] }, own: [{ gid: 0 }] }),
      [lacks('gid')],
    )
    const strict = { ...inside, identity, capabilities: ['CAP_SETUID', 'CAP_SETGID'], seccomp: 'strict' }
    assert.deepEqual(await tell(root, { policy: strict, own }), [
      "OptionError: uid: is not the sandbox's: its filter of system calls refuses setuid(2)",
      "OptionError: gid: is not the sandbox's: its filter of system calls refuses setgid(2)",
      ids(100, 100, 'c0'),
    ])
  })

  test('in root mode is no other of the host, without the capability', async () => {
    const policy = { ...inside, namespaces: { user: 'host' }, identity: { uid: 1234, gid: 1234 } }
    assert.deepEqual(await tell(root, { policy, own: [{ uid: 0 }, { gid: 0 }, { uid: 1234 }] }), [
      lacks('uid'),
      lacks('gid'),
      ids(1234, 1234, ''),
    ])
    assert.deepEqual(
      await tell(root, { policy: { ...policy, capabilities: ['CAP_SETUID'] }, own: [{ uid: 5 }, { uid: 0, gid: 0 }] }),
      [ids(5, 1234, '80'), lacks('gid')],
    )
  })
})
