/** What Debian's bwrap 0.8 does not know, what goes on over time, and what must not be frozen into a vial. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { suite, test } from 'node:test'
import { notInstalled } from '../support/needs.js'
import { assertGone, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { type Caller, callers, workDirectory } from '../support/user.js'
import { type Ending, ours, programs, type RunOptions, runProgram, vialOf, words } from './tools.js'

const host = words('--ro-bind / /')
const shell = (script: string) => ['sh', '-c', script]

for (const caller of callers)
  suite(`bwrap 0.11.1, as ${caller.name}`, () => {
    /** The standard output of a run that must succeed. */
    const says = async (args: readonly string[], options?: RunOptions) => {
      const ending = await ours(caller, args, options)
      assert.deepEqual([ending.status, ending.stderr], [0, ''], args.join(' '))
      return ending.stdout
    }
    const fails = async (args: readonly string[], message: string, options?: RunOptions) => {
      const { status, stdout, stderr } = await ours(caller, args, options)
      assert.deepEqual({ status, stdout, stderr }, { status: 1, stdout: '', stderr: `bwrap: ${message}\n` })
    }

    test('--argv0', async () => {
      assert.equal(await says([...host, '--argv0', 'other', ...shell('echo $0')]), 'other\n')
      assert.equal(
        await says([...host, '--argv0', 'other', 'cat', '/proc/self/cmdline']),
        'other\0/proc/self/cmdline\0',
      )
      await fails([...host, ...words('--argv0 a --argv0 b true')], '--argv0 used multiple times')
    })

    test('--level-prefix', async () => {
      const { status, stderr } = await ours(caller, [...host, ...words('--level-prefix --chdir /nope true')])
      assert.deepEqual([status, stderr], [1, "<3>bwrap: Can't chdir to /nope: No such file or directory\n"])
    })

    test('--bind-fd and --ro-bind-fd', async () => {
      const directory = fresh(caller, 'bound')
      const fds = { 7: { path: directory }, 8: { path: '/etc/hostname' } }
      const script =
        'touch /a/made && cat /b/host && echo x > /a/again; echo x >> /b/host; ls -l /proc/$$/fd | grep -c -e bound -e hostname'
      const args = [...programs, ...words('--proc /proc --bind-fd 7 /a --ro-bind-fd 8 /b/host'), ...shell(script)]
      const { status, stdout, stderr } = await ours(caller, args, { fds })
      assert.equal(status, 1)
      assert.match(stderr, /Read-only file system|Permission denied/)
      assert.equal(stdout.trimEnd().split('\n').at(-1), '0')
      assert.equal(statSync(join(directory, 'made')).isFile(), true)
      await fails(
        [...host, ...words('--bind-fd 9 /mnt true')],
        "Can't find source path /proc/self/fd/9: No such file or directory",
      )
    })

    test('--symlink over the same link, another link and a file', async () => {
      const made = words('--symlink x /a')
      assert.equal(await says([...programs, ...made, ...made, ...words('readlink /a')]), 'x\n')
      await fails(
        [...programs, ...made, ...words('--symlink y /a true')],
        "Can't make symlink at /a: existing destination is x",
      )
      await fails(
        [...programs, ...words('--dir /a --symlink y /a true')],
        "Can't make symlink at /a: destination exists and is not a symlink",
      )
    })

    test('--overlay, --tmp-overlay and --ro-overlay: the last source is on top', async () => {
      const work = fresh(caller, 'layers')
      for (const name of ['low', 'high, with:all', 'upper', 'work']) directoryOf(caller, join(work, name))
      writeFileSync(join(work, 'low/both'), 'low')
      writeFileSync(join(work, 'low/one'), 'one')
      writeFileSync(join(work, 'high, with:all/both'), 'high')
      const sources = ['--overlay-src', 'low', '--overlay-src', join(work, 'high, with:all')]
      const at = { cwd: work }
      const script = 'cat /o/both /o/one; echo new > /o/new && cat /o/new'
      assert.equal(await says([...programs, ...sources, '--tmp-overlay', '/o', ...shell(script)], at), 'highonenew\n')
      assert.equal(
        await says([...programs, ...sources, ...words('--overlay upper work /o'), ...shell(script)], at),
        'highonenew\n',
      )
      assert.equal(readFileSync(join(work, 'upper/new'), 'utf8'), 'new\n')
      const { status, stdout } = await ours(
        caller,
        [...programs, ...sources, '--ro-overlay', '/o', ...shell(script)],
        at,
      )
      assert.deepEqual([status, stdout], [2, 'highone'])
      await fails(
        [...programs, ...words('--overlay-src /none --tmp-overlay /o true')],
        "Can't find source path /none: No such file or directory",
      )
      await fails(
        [...programs, ...words('--overlay-src / --ro-overlay /o true')],
        '--ro-overlay requires at least two --overlay-src',
      )
      await fails([...programs, ...words('--tmp-overlay /o true')], '--tmp-overlay requires at least one --overlay-src')
      for (const end of ['true', '-- true'])
        await fails(
          [...programs, ...words(`--overlay-src / ${end}`)],
          '--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay',
        )
      await fails(
        [...programs, ...words('--overlay-src / --dir /o true')],
        '--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay',
      )
    })

    test('--file keeps the mode of a file of the host', async () => {
      const directory = fresh(caller, 'files')
      const path = join(directory, 'kept')
      writeFileSync(path, 'old', { mode: 0o600 })
      own(caller, path)
      await says([...programs, '--bind', directory, '/f', ...words('--file 7 /f/kept true')], {
        fds: { 7: { text: 'new' } },
      })
      assert.equal(readFileSync(path, 'utf8'), 'new')
      assert.equal(statSync(path).mode & 0o777, 0o600)
    })

    test('a script without a first line is run by the shell', async () => {
      const path = join(fresh(caller, 'scripts'), 'plain')
      writeFileSync(path, 'echo "$0 $1"', { mode: 0o755 })
      own(caller, path)
      assert.equal(await says([...host, path, 'x']), `${path} x\n`)
    })

    test('--info-fd and --json-status-fd', async () => {
      const fds = { 7: 'out', 8: 'out' } as const
      const args = [
        ...host,
        ...words('--unshare-pid --unshare-net --info-fd 7 --json-status-fd 8'),
        ...shell('ls /proc/$$/fd | wc -l; exit 3'),
      ]
      const { status, written } = await ours(caller, args, { fds })
      assert.equal(status, 3)
      const info = JSON.parse(written[7]!)
      const lines = written[8]!
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
      assert.deepEqual(Object.keys(info), ['child-pid', 'mnt-namespace', 'net-namespace', 'pid-namespace'])
      assert.deepEqual(lines, [info, { 'exit-code': 3 }])
      const killed = await ours(caller, [...host, ...words('--json-status-fd 8'), ...shell('kill -9 $$')], {
        fds: { 8: 'out' },
      })
      assert.equal(JSON.parse(killed.written[8]!.split('\n')[1]!)['exit-code'], 137)
      const absent = await ours(caller, [...host, ...words('--unshare-pid --json-status-fd 8 no-such-command')], {
        fds: { 8: 'out' },
      })
      assert.equal(absent.written[8]!.trimEnd().split('\n').length, 1)
      await fails([...host, ...words('--info-fd 9 true')], 'Write to info_fd: Bad file descriptor')
    })

    test('--sync-fd is open as long as anything in the sandbox runs', async () => {
      const seconds = uniqueSeconds()
      const { path, options } = vialOf(caller, [...words('--dev-bind / / --unshare-pid --sync-fd 3'), ...shell('x')])
      assert.equal(options, 6)
      const child = start(caller, path, shell(`sleep ${seconds} >/dev/null 2>&1 3>&- & exit 5`), [
        'ignore',
        'ignore',
        'ignore',
        'pipe',
      ])
      const closed = new Promise((resolve) => (child.stdio[3] as Readable).on('close', resolve).resume())
      const status = await new Promise((resolve) => child.on('exit', resolve))
      assert.equal(status, 5)
      const open = await Promise.race([
        closed.then(() => false),
        eventually(
          () => processesWith(seconds),
          (pids) => pids.length > 0,
        ).then(() => true),
      ])
      assert.equal(open, true)
      killAll(seconds)
      await closed
      await assertGone(seconds)
    })

    test('--lock-file holds a lock until the end', { skip: notInstalled('python3') }, async () => {
      const file = join(fresh(caller, 'locks'), 'lock')
      writeFileSync(file, '')
      own(caller, file)
      const tries = `python3 -c "
import fcntl
try: fcntl.lockf(open('${file}', 'r+'), fcntl.LOCK_EX|fcntl.LOCK_NB); print('free')
except OSError: print('locked')"`
      const bind = words('--bind / /')
      assert.equal(await says([...bind, '--lock-file', file, ...shell(tries)]), 'locked\n')
      assert.equal(await says([...bind, ...shell(tries)]), 'free\n')
    })

    test('--block-fd waits', async () => {
      const { path } = vialOf(caller, [...host, ...words('--block-fd 3'), 'x'])
      const child = start(caller, path, shell('echo ran'), ['ignore', 'pipe', 'inherit', 'pipe'])
      let said = ''
      child.stdout!.on('data', (chunk) => {
        said += chunk
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      await eventually(
        () => childCount(child.pid!),
        (count) => count > 0,
      )
      assert.equal(said, '')
      ;(child.stdio[3] as unknown as NodeJS.WritableStream).end('x')
      assert.equal(await ended, 0)
      assert.equal(said, 'ran\n')
    })

    test('--die-with-parent: all ends with the caller; without it, nothing does', async () => {
      for (const [flag, pid] of [
        ['--die-with-parent', '--unshare-pid'],
        ['--die-with-parent', '--unshare-uts'],
        ['--unshare-uts', '--unshare-pid'],
      ] as const) {
        const seconds = uniqueSeconds()
        const { path } = vialOf(caller, [...host, flag, pid, 'x'])
        const parent = start(
          caller,
          '/bin/sh',
          ['-c', `"${path}" sleep ${seconds} & wait`],
          ['ignore', 'ignore', 'ignore'],
        )
        await eventually(
          () => processesWith(seconds).filter((one) => readFileSync(`/proc/${one}/comm`, 'utf8') === 'sleep\n'),
          (pids) => pids.length > 0,
        )
        const ended = new Promise((resolve) => parent.on('exit', resolve))
        parent.kill('SIGKILL')
        await ended
        if (flag === '--die-with-parent') await assertGone(seconds)
        else {
          assert.ok(processesWith(seconds).length > 0)
          killAll(seconds)
          await assertGone(seconds)
        }
      }
    })

    test('--userns, --userns2, --pidns and --userns-block-fd', async () => {
      const seconds = uniqueSeconds()
      const ids = caller.uid === 0 ? words('--unshare-user --uid 0 --gid 0') : []
      const { path } = vialOf(caller, [...host, ...ids, ...words('--unshare-pid --unshare-user --json-status-fd 3 x')])
      const child = start(caller, path, ['sleep', seconds], ['ignore', 'ignore', 'inherit', 'pipe'])
      const first = await new Promise<string>((resolve) =>
        child.stdio[3]!.once('data', (line) => resolve(String(line))),
      )
      const pid = JSON.parse(first)['child-pid'] as number
      const namespace = (kind: string) => ({ path: `/proc/${pid}/ns/${kind}` })
      const links = await says(
        [
          ...host,
          ...words('--userns 7 --pidns 8 --proc /proc'),
          ...shell('readlink /proc/self/ns/user /proc/self/ns/pid; ls /proc | grep -c "^[0-9]"'),
        ],
        { fds: { 7: namespace('user'), 8: namespace('pid') } },
      )
      const [user, pids, seen] = links.split('\n')
      assert.deepEqual([user, pids], namespacesOf(pid).split('\n').slice(0, 2))
      assert.ok(Number(seen) >= 4, links)
      // A pid namespace below the one that is joined: pid 1 of its own, and seen from the one above.
      const below = await ours(
        caller,
        [
          ...host,
          ...words('--userns 7 --pidns 8 --unshare-pid --proc /proc --json-status-fd 9'),
          ...shell('readlink /proc/self/ns/pid; echo $$; ls /proc | grep -c "^[0-9]"; kill -15 $$'),
        ],
        { fds: { 7: namespace('user'), 8: namespace('pid'), 9: 'out' } },
      )
      const [own, number, count] = below.stdout.split('\n')
      assert.deepEqual([below.status, below.stderr, number], [143, '', '2'])
      assert.notEqual(own, pids)
      // Init, the shell, and two of the pipeline.
      assert.ok(Number(count) >= 3 && Number(count) <= 4, below.stdout)
      const [started, ended] = below.written[9]!.trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
      assert.equal(`pid:[${started['pid-namespace']}]`, own)
      assert.ok(started['child-pid'] > pid, 'the number is the one that the caller sees')
      assert.deepEqual(ended, { 'exit-code': 143 })
      const asFirst = words('--userns 7 --pidns 8 --unshare-pid --as-pid-1 --die-with-parent')
      assert.equal(
        await says([...host, ...asFirst, ...shell('echo $$')], {
          fds: { 7: namespace('user'), 8: namespace('pid') },
        }),
        '1\n',
      )
      const second = await says([...host, ...words('--userns 7 --userns2 8 readlink /proc/self/ns/user')], {
        fds: { 7: namespace('user'), 8: namespace('user') },
      }).catch((error: Error) => error.message)
      // Into the namespace that one is in already, setns(2) does not go.
      assert.match(second, /Setting userns2 failed: Invalid argument/)
      child.kill('SIGKILL')
      process.kill(pid, 'SIGKILL')
      await assertGone(seconds)
    })

    test('--userns with --uid: groups that cannot be given up there stay', async () => {
      const seconds = uniqueSeconds()
      const ids = words('--uid 7 --gid 8')
      const { path } = vialOf(caller, [...host, ...ids, ...words('--unshare-user --unshare-pid --json-status-fd 3 x')])
      const child = start(caller, path, ['sleep', seconds], ['ignore', 'ignore', 'inherit', 'pipe'])
      try {
        const first = await new Promise<string>((resolve) =>
          child.stdio[3]!.once('data', (line) => resolve(String(line))),
        )
        // The pid is told before its ids are mapped, and the payload runs only behind that.
        await eventually(
          () => processesWith(seconds).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n'),
          (pids) => pids.length > 0,
        )
        const user = { path: `/proc/${JSON.parse(first)['child-pid']}/ns/user` }
        const seen = await says([...host, '--userns', '9', ...ids, ...shell('id -u; id -g')], { fds: { 9: user } })
        assert.equal(seen, '7\n8\n')
      } finally {
        child.kill('SIGKILL')
        killAll(seconds)
        await assertGone(seconds)
      }
    })

    test('--userns2: a user namespace below the first', async () => {
      const seconds = uniqueSeconds()
      const { path } = vialOf(caller, [...host, ...words('--unshare-user --unshare-pid --json-status-fd 3 x')])
      const child = start(caller, path, ['unshare', '-U', 'sleep', seconds], ['ignore', 'ignore', 'inherit', 'pipe'])
      const first = await new Promise<string>((resolve) =>
        child.stdio[3]!.once('data', (line) => resolve(String(line))),
      )
      const [payload] = await eventually(
        () => processesWith(seconds).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n'),
        (pids) => pids.length > 0,
      )
      const upper = { path: `/proc/${JSON.parse(first)['child-pid']}/ns/user` }
      const lower = { path: `/proc/${payload}/ns/user` }
      assert.equal(
        await says([...host, ...words('--userns 7 --userns2 8 readlink /proc/self/ns/user')], {
          fds: { 7: upper, 8: lower },
        }),
        `${readlinkSync(lower.path)}\n`,
      )
      child.kill('SIGKILL')
      killAll(seconds)
      await assertGone(seconds)
    })

    test('monitor and init are named bwrap', async () => {
      const script = 'cat /proc/$PPID/comm /proc/1/comm; ps -o comm= -p 1'
      assert.equal(
        await says([...host, ...words('--unshare-pid --proc /proc'), ...shell(script)]),
        'bwrap\nbwrap\nbwrap\n',
      )
      assert.equal(await says([...words('--dev-bind / /'), ...shell('cat /proc/$PPID/comm')]), 'bwrap\n')
    })

    test('filters by --seccomp and --add-seccomp-fd', { skip: notInstalled('python3') }, async () => {
      // seccomp(2): getppid gives EPERM; all else is allowed. Number of getppid: 110 on x86-64, 173 on arm64.
      const refuse = (error: number) => filter(process.arch === 'x64' ? 110 : 173, error)
      const script =
        "python3 -c 'import os,ctypes; l=ctypes.CDLL(None,use_errno=True); print(l.syscall(" +
        (process.arch === 'x64' ? 110 : 173) +
        "), ctypes.get_errno())'"
      const run = (line: string, fds: NonNullable<RunOptions['fds']>) =>
        says([...host, ...words(line), ...shell(script)], { fds })
      assert.equal(await run('--seccomp 7', { 7: { text: refuse(1) } }), '-1 1\n')
      assert.equal(
        await run('--unshare-pid --add-seccomp-fd 7 --add-seccomp-fd 8', {
          7: { text: refuse(1) },
          8: { text: refuse(5) },
        }),
        '-1 5\n',
      )
      assert.match(
        await says([...host, ...words('--seccomp 7'), ...shell('grep Seccomp: /proc/self/status')], {
          fds: { 7: { text: refuse(1) } },
        }),
        /2/,
      )
    })

    test('nothing that the host may change is frozen', async () => {
      const work = fresh(caller, 'changing')
      const [source, other] = [join(work, 'source'), join(work, 'other')]
      directoryOf(caller, other)
      symlinkSync(other, join(work, 'link'))
      const line = [
        ...programs,
        '--ro-bind-try',
        source,
        '/s',
        '--ro-bind',
        join(work, 'link'),
        '/l',
        '--file',
        '7',
        '/data',
      ]
      const { path } = vialOf(caller, [...line, 'x'])
      const look = 'ls /s /l 2>&1; cat /data; pwd; echo $HOME $X'
      const run = (options: RunOptions): Promise<Ending> => runProgram(caller, path, ['sh', '-c', look], options)
      const one = await run({ fds: { 7: { text: '1' } }, env: { HOME: '/usr', X: 'a', PATH: '/bin' } })
      assert.match(one.stdout, /cannot access '\/s'[\s\S]*1\/usr\n\/usr a\n$/)
      directoryOf(caller, source)
      writeFileSync(join(source, 'appeared'), '')
      writeFileSync(join(other, 'linked'), '')
      const two = await run({
        fds: { 7: { text: '2' } },
        env: { HOME: '/usr/lib', X: 'b', PATH: '/bin' },
        cwd: '/usr/bin',
      })
      assert.equal(two.stdout, '/l:\nlinked\n\n/s:\nappeared\n2/usr/bin\n/usr/lib b\n')
      rmSync(source, { recursive: true })
      assert.match((await run({ fds: { 7: { text: '3' } } })).stdout, /cannot access '\/s'/)
    })
  })

/** Namespaces of a process, as the one who started it may see them. */
function namespacesOf(pid: number): string {
  return ['user', 'pid'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join('\n')
}

const childCount = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).length

function start(
  caller: Caller,
  program: string,
  args: readonly string[],
  stdio: ('ignore' | 'pipe' | 'inherit')[],
): ChildProcess {
  const ids = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
  return spawn(program, args, { stdio, cwd: workDirectory(caller, 'home'), env: { PATH: '/usr/bin:/bin' }, ...ids })
}

function own(caller: Caller, path: string): void {
  if (process.getuid?.() === 0) chownSync(path, caller.uid, caller.gid)
}

function directoryOf(caller: Caller, path: string): void {
  mkdirSync(path, { recursive: true })
  chmodSync(path, 0o755)
  own(caller, path)
}

/** An empty directory of the caller's. */
function fresh(caller: Caller, name: string): string {
  const path = join(workDirectory(caller, 'home'), name)
  rmSync(path, { recursive: true, force: true })
  directoryOf(caller, path)
  return path
}

/** Three instructions of BPF: load the number; if it is this, give this errno; else allow. linux/filter.h, linux/seccomp.h. */
function filter(number: number, error: number): Uint8Array {
  const instructions: [number, number, number, number][] = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, 0x50000 | error],
    [0x06, 0, 0, 0x7fff0000],
  ]
  const bytes = Buffer.alloc(8 * instructions.length)
  instructions.forEach(([code, yes, no, value], index) => {
    bytes.writeUInt16LE(code, 8 * index)
    bytes.writeUInt8(yes, 8 * index + 2)
    bytes.writeUInt8(no, 8 * index + 3)
    bytes.writeUInt32LE(value, 8 * index + 4)
  })
  return bytes
}
