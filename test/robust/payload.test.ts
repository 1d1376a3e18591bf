/** What a payload gets, and how its end is told: descriptors, environment, statuses; by the library and by a vial alone. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { exitStatusOf } from '../../src/text/error.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { childrenOf } from '../support/processes.js'
import { type Caller, callers, ordinary, root, vial, workDirectory } from '../support/user.js'

const isRoot = process.getuid?.() === 0
const system: Policy = { preset: 'system' }

/** Commands that fail, with what they are told as and the exit status that sh(1) gives them. */
const scripts: Policy['filesystem'] = [
  { file: '/s/no-interpreter', content: '#!/no/such\n', mode: 0o755 },
  { file: '/s/no-format', content: 'echo hello\n', mode: 0o755 },
  { file: '/s/empty', content: '', mode: 0o755 },
  { file: '/s/plain', content: '#!/bin/sh\n', mode: 0o644 },
  { file: '/s/good', content: '#!/bin/sh\necho "$0" "$@"\n', mode: 0o755 },
  { directory: '/s/directory' },
  { symlink: '/s/loop', to: 'loop' },
  { tmpfs: '/n', noexec: true, mode: 0o777 },
  { bind: '/n/true', from: '/usr/bin/true', noexec: true },
]
const failures: readonly (readonly [string, number, RegExp])[] = [
  ['no-such-command', 127, /No such file or directory\n +it is not visible/],
  ['/no/such', 127, /No such file or directory\n +it is not visible/],
  ['', 127, /No such file or directory/],
  ['/s/no-interpreter', 127, /No such file or directory\n.*interpreter/],
  ['no-interpreter', 127, /No such file or directory/],
  ['/s/no-format', 126, /Exec format error\n +it is not a program/],
  ['/s/empty', 126, /Exec format error\n +it is not a program/],
  ['/s/plain', 126, /Permission denied\n +it is not executable/],
  ['plain', 126, /Permission denied\n +it is not executable/],
  ['/s/directory', 126, /Permission denied\n +it is not executable/],
  ['directory', 126, /Permission denied/],
  ['/s/good/below', 126, /Not a directory/],
  ['/s/loop', 126, /Too many levels of symbolic links/],
  ['/s/\x1b[2J', 127, /cannot run \/s\/\?\[2J: No such file or directory/],
  ['/n/true', 126, /Permission denied\n.*noexec/],
  ['n'.repeat(256), 126, /File name too long/],
  ['x'.repeat(5000), 126, /File name too long/],
]

for (const caller of callers) {
  describe(`a payload of ${caller.name}`, () => {
    const env = { PATH: '/usr/bin:/bin' }
    const standalone = (
      path: string,
      args: readonly string[],
      options: { env?: Record<string, string>; by?: Caller; input?: string } = {},
    ): SpawnSyncReturns<string> => {
      const { uid, gid } = options.by ?? caller
      return spawnSync(path, args, { encoding: 'utf8', env, ...options, ...(isRoot ? { uid, gid } : {}) })
    }
    const vials: Record<string, string> = {}
    before(async () => {
      const policies: Record<string, Policy> = {
        system,
        failing: { ...system, filesystem: scripts, env: { set: { PATH: '/s:/n' } } },
        noPath: { ...system, env: { set: { PATH: '' } } },
        named: {
          ...system,
          argv0: '-login',
          umask: '0027',
          env: { set: { A: 'set', EMPTY: '' }, inherit: ['A', 'B*', 'LANG', '*_Z'] },
        },
        all: {
          preset: 'empty',
          filesystem: [
            { bind: '/usr' },
            { proc: '/proc' },
            { symlink: '/lib64', to: 'usr/lib64' },
            { symlink: '/lib', to: 'usr/lib' },
          ],
          env: { inherit: true, set: { A: 'set' } },
        },
      }
      const paths = await evaluate(
        caller,
        async ({ sandbox }, policies) => {
          const paths: Record<string, string> = {}
          for (const [name, policy] of Object.entries(policies)) paths[name] = await sandbox(policy).compile()
          return paths
        },
        policies,
      )
      Object.assign(vials, paths)
    })

    test('that cannot be executed: the same words by library, vial and command, and statuses as of sh(1), which follow from the error', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }, { policy, commands }) => {
          const one = sandbox(policy)
          const told = []
          for (const command of commands)
            told.push(
              await one.run(command).then(
                () => undefined,
                ({ message, stage, code }) => ({ message: `${message}\n`, stage, code }),
              ),
            )
          return told
        },
        {
          policy: { ...system, filesystem: scripts!, env: { set: { PATH: '/s:/n' } } },
          commands: failures.map(([command]) => command),
        },
      )
      failures.forEach(([command, status, words], index) => {
        const alone = standalone(vials.failing!, [command])
        assert.equal(alone.status, status, command.slice(0, 100))
        assert.match(alone.stderr, words)
        const { message, stage, code } = told[index]!
        assert.equal(exitStatusOf({ stage, code }), status)
        assert.match(message, words)
        const cut = command.slice(0, 4096).replace('\x1b', '?')
        assert.ok(alone.stderr.startsWith(`vial: cannot run ${cut}: `), alone.stderr)
        assert.equal(alone.stderr.slice(6).replace(cut, ''), message.replace(command, '').replace(cut, ''))
      })
      for (const command of ['no-such-command', '/etc/passwd'])
        assert.equal(vial(caller, ['run', '--', command]).status, command.startsWith('/') ? 126 : 127)
    })

    test('that ends: its status, or 128 + its signal', () => {
      for (const [script, status] of [
        ['exit 0', 0],
        ['exit 42', 42],
        ['exit 255', 255],
        ['kill -TERM $$', 143],
        ['kill -KILL $$', 137],
        ['kill -ABRT $$', 134],
      ] as const)
        assert.equal(standalone(vials.system!, ['sh', '-c', script]).status, status, script)
      assert.equal(vial(caller, ['run', '--', 'sh', '-c', 'kill -USR2 $$']).status, 140)
      assert.equal(vial(caller, ['run', '--', 'sh', '-c', 'exit 9']).status, 9)
    })

    test('that has no command or cannot be reached: 125', () => {
      const alone = standalone(vials.system!, [])
      assert.deepEqual(
        [alone.status, alone.stderr],
        [125, 'vial: no command was given\n      usage: VIAL COMMAND [ARGUMENT…]\n'],
      )
      for (const words of [
        ['run'],
        ['run', '--no-such-flag', '--', 'true'],
        ['run', '--network', 'some', '--', 'true'],
        ['no-such'],
        ['compile'],
      ])
        assert.equal(vial(caller, words).status, 125, words.join(' '))
      const timed = vial(caller, ['run', '--timeout', '0.2', '--', 'sleep', '60'])
      assert.deepEqual([timed.status, timed.stderr], [137, 'vial: killed after 0.2 s\n'])
    })

    test('finds its command by the PATH inside, and gets its own words', () => {
      const good = standalone(vials.failing!, ['good', 'a b', '', '--', '-x', 'é\u{1F600}'])
      assert.deepEqual([good.stdout, good.status], ['/s/good a b  -- -x é\u{1F600}\n', 0], good.stderr)
      const none = standalone(vials.noPath!, ['true'])
      assert.deepEqual([none.status, standalone(vials.noPath!, ['/bin/true']).status], [127, 0])
      // The caller's PATH is not the payload's.
      assert.equal(standalone(vials.system!, ['true'], { env: { PATH: '/nowhere' } }).status, 0)
    })

    test('has the argv[0], umask and variables that the policy names', { skip: notInstalled('python3') }, () => {
      const script =
        'import os, sys; print(open("/proc/self/cmdline").read().split("\\0")[0], oct(os.umask(0))); print(*sorted(f"{k}={v}" for k, v in os.environ.items() if k != "LC_CTYPE"), sep="\\n")'
      const seen = standalone(vials.named!, ['python3', '-c', script], {
        env: { A: 'callers', B1: '1', B: '2', XB: '3', LANG: 'de_DE.UTF-8', X_Z: 'a=b=c', _Z: '', Z: '4', SECRET: 'x' },
      })
      assert.equal(
        seen.stdout,
        [
          '-login 0o27',
          'A=set',
          'B1=1',
          'B=2',
          'EMPTY=',
          'HOME=/home/vial',
          'LANG=de_DE.UTF-8',
          'LOGNAME=vial',
          'PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin',
          'USER=vial',
          'X_Z=a=b=c',
          '_Z=',
          '',
        ].join('\n'),
        seen.stderr,
      )
    })

    test('gets no variable twice from what the policy sets, and nothing odd by a pattern', {
      skip: notInstalled('python3'),
    }, () => {
      // execve(2) by hand: names twice, no name, no "=".
      const call = `import os, ctypes, sys
names = [b"A=1", b"A=2", b"B=1", b"B=2", b"NOEQUALS", b"=x", b"", b"LANG=C"]
libc = ctypes.CDLL(None); char_p = ctypes.c_char_p
argv = (char_p * 5)(sys.argv[1].encode(), b"/usr/bin/python3", b"-c", b'print(open("/proc/self/environ", "rb").read().decode().split(chr(0)))', None)
libc.execve(argv[0], argv, (char_p * 9)(*names, None))`
      const seen = (name: string) => standalone('/usr/bin/python3', ['-c', call, vials[name]!])
      const list = ({ stdout, stderr }: SpawnSyncReturns<string>): string[] => {
        assert.ok(stdout.startsWith('['), stderr)
        return JSON.parse(stdout.replaceAll("'", '"'))
      }
      const named = list(seen('named'))
      assert.deepEqual(
        named.filter((one) => /^A=/.test(one)),
        ['A=set'],
      )
      assert.ok(!named.some((one) => one === 'NOEQUALS' || one.startsWith('=')), named.join())
      const all = list(seen('all'))
      assert.deepEqual(all.slice(0, 6), ['A=set', 'B=1', 'B=2', 'NOEQUALS', '=x', ''])
    })

    test('has the descriptors of stdio as 3, 4, … and no other', { skip: notInstalled('python3') }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { openSync, closeSync, writeFileSync } = await import('node:fs')
          const held = Array.from({ length: 20 }, () => openSync('/dev/null', 'r'))
          const one = sandbox({ preset: 'system' })
          const read = async (stream: unknown) => {
            let text = ''
            for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk
            return text
          }
          const list = 'import os; print(sorted(map(int, os.listdir("/proc/self/fd")))[:-1])'
          const few = await one.run('python3', ['-c', list])
          const file = `${process.env.HOME}/given`
          writeFileSync(file, 'from a file')
          const given = openSync(file, 'r')
          const child = one.spawn(
            'python3',
            ['-c', `${list}\nimport sys\nos.write(3, b"three"); os.write(5, os.read(4, 99).upper() + os.read(6, 99))`],
            {
              stdio: ['ignore', 'pipe', 'inherit', 'pipe', 'input', 'output', given],
            },
          )
          closeSync(given)
          ;(child.stdio[4] as NodeJS.WritableStream).end('four')
          const [out, three, five] = await Promise.all([
            read(child.stdout),
            read(child.stdio[3]),
            read((child.stdio as readonly unknown[])[5]),
          ])
          const { exitCode } = await child.result
          for (const fd of held) closeSync(fd)
          const by = sandbox({
            preset: 'system',
            filesystem: [
              { file: '/content', fd: 3 },
              { bind: '/bound', fd: 4 },
            ],
          })
          const bound = by.spawn('python3', ['-c', `${list}\nprint(open("/content").read(), open("/bound").read())`], {
            stdio: ['ignore', 'pipe', 'inherit', 'pipe', openSync(file, 'r')],
          })
          ;(bound.stdio[3] as NodeJS.WritableStream).end('content')
          const lacking = await by.run('true').catch((error) => error.message)
          return [few.stdout, out, three, five, exitCode, await read(bound.stdout), lacking]
        },
        {},
      )
      assert.deepEqual(seen, [
        '[0, 1, 2]\n',
        '[0, 1, 2, 3, 4, 5, 6]\n',
        'three',
        'FOURfrom a file',
        0,
        '[0, 1, 2]\ncontent from a file\n',
        'stdio: the policy reads descriptor 3, and stdio ends with 2',
      ])
    })

    test('of a vial that is started with closed descriptors, or with many, is not confused', {
      skip: notInstalled('python3'),
    }, () => {
      const list = `import os; os.write(int(os.environ["TO"]), str([os.readlink(f"/proc/self/fd/{n}").split(":")[0].replace("socket", "pipe") for n in sorted(map(int, os.listdir("/proc/self/fd")))[:-1]]).encode())`
      const run = (redirections: string, to: string) =>
        spawnSync('sh', ['-c', `"$0" env TO=${to} python3 -c '${list}' ${redirections}; echo " $?"`, vials.system!], {
          encoding: 'utf8',
          env,
          ...(isRoot ? { uid: caller.uid, gid: caller.gid } : {}),
        })
      assert.equal(run('0<&- 2>&-', '1').stdout, "['/dev/null', 'pipe', '/dev/null'] 0\n")
      assert.equal(run('0<&- 1>&-', '2').stderr, "['/dev/null', '/dev/null', 'pipe']")
      assert.equal(run('0<&- 1>&- 2>&-', '1').stdout, ' 0\n')
      assert.equal(
        run('2>/dev/null 3</etc/passwd 7</etc 9</dev/null', '1').stdout.replace(/^\['[^']*'/, "['in'"),
        "['in', 'pipe', '/dev/null'] 0\n",
      )
      const failed = spawnSync('sh', ['-c', '"$0" no-such 0<&- 1>&- 2>&-; echo $?', vials.system!], {
        encoding: 'utf8',
        env,
        ...(isRoot ? { uid: caller.uid, gid: caller.gid } : {}),
      })
      assert.deepEqual([failed.stdout, failed.stderr], ['127\n', ''])
    })

    test('that does not read its input, or writes much, is waited for', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const one = sandbox({ preset: 'system' })
          const unread = await one.run('true', [], { input: 'x'.repeat(5_000_000) })
          const echoed = await one.run('cat', [], { input: new Uint8Array(3_000_000).fill(65) })
          const counted = await one.run('wc', ['-c'], { input: '' })
          const much = await one.run('head', ['-c', '9000000', '/dev/zero'], { maxBuffer: 9_000_000 })
          const tooMuch = await one.run('sh', ['-c', 'yes >&2'], { maxBuffer: 10_000 })
          const long = await one.run('true', ['x'.repeat(200_000)]).catch((error) => error.code)
          process.env.BIG = 'x'.repeat(200_000)
          const unchosen = await one.run('true')
          const chooses = sandbox({ preset: 'system', env: { inherit: ['BIG'] } })
          const chosen = await chooses.run('true').catch((error) => error.code)
          return [
            unread.exitCode,
            echoed.stdout.length,
            counted.stdout,
            much.stdout.length,
            much.truncated,
            tooMuch.stderr.length,
            tooMuch.truncated,
            tooMuch.signal,
            long,
            unchosen.exitCode,
            chosen,
          ]
        },
        {},
      )
      assert.deepEqual(seen, [0, 3_000_000, '0\n', 9_000_000, false, 10_000, true, 'SIGKILL', 'E2BIG', 0, 'E2BIG'])
    })

    test('leaves orphans, which pid 1 reaps', { skip: notInstalled('python3') }, () => {
      const forks = `import os, time
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0: os._exit(0)
        os._exit(0)
    os.waitpid(pid, 0)
def count():
    states = []
    for name in os.listdir('/proc'):
        try: states.append(open(f'/proc/{name}/stat').read().rsplit(')')[1].split()[0]) if name.isdigit() else None
        except OSError: pass
    return len(states), states.count('Z')
for _ in range(500):
    if count() == (2, 0): break
    time.sleep(0.01)
print(*count())`
      assert.equal(standalone(vials.system!, ['python3', '-c', forks]).stdout, '2 0\n')
    })

    test('costs little memory besides its own', {
      skip: isRoot ? false : 'needs root, for init may not be looked into',
    }, async () => {
      const variables = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`V${index}`, 'x'.repeat(100)]))
      for (const name of ['system', 'all']) {
        const owner = { uid: caller.uid, gid: caller.gid }
        const child = spawn(vials[name]!, ['/usr/bin/cat'], {
          stdio: ['pipe', 'pipe', 'inherit'],
          env: variables,
          ...owner,
        })
        child.stdin.write('up')
        await once(child.stdout, 'data')
        // In kB; what the kernel keeps for each process besides is not ours to save.
        const ownMemory = (pid: number) =>
          [...readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)]
            .map(([, kilobytes]) => Number(kilobytes))
            .reduce((sum, one) => sum + one)
        const total = ownMemory(child.pid!) + ownMemory(childrenOf(child.pid!)[0]!)
        assert.ok(total > 0 && total <= 100, `${total} kB`)
        child.stdin.end()
        await once(child, 'close')
      }
    })

    test('of a vial by another user than the one who compiled it', { skip: isRoot ? false : 'needs root' }, () => {
      const copy = join(workDirectory(caller, 'copied'), 'vial')
      copyFileSync(vials.system!, copy)
      chmodSync(copy, 0o755)
      for (const directory of ['..', '../..', '.']) chmodSync(join(copy, '..', directory), 0o755)
      for (const by of [ordinary, root, { ...ordinary, uid: 54321, gid: 54322 }]) {
        const script = 'id -u; id -g; cat /proc/self/uid_map; touch /tmp/f ~/f && echo ok'
        const { stdout, stderr } = standalone(copy, ['sh', '-c', script], { by })
        assert.deepEqual(stdout.split(/\s+/).filter(Boolean), ['1000', '1000', '1000', `${by.uid}`, '1', 'ok'], stderr)
      }
    })
  })
}
