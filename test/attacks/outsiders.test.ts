/** Who is outside of a sandbox that can be entered: another user of the host, and a payload of another sandbox that may write where records lie. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { namespaceHandles } from '../../src/plan/handles.js'
import { as, living } from '../support/living.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { type Caller, callers, ordinary, vial, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks } from './attack.js'

const id = ordinary.uid + 1_000_000
const other: Caller = { name: 'another user', uid: id, gid: id }

/** The attack program as one of the host's, with descriptors from 3 on. */
const outside = (caller: Caller, words: readonly string[], fds: readonly number[] = []) =>
  spawnSync(attackProgram(), words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe', ...fds],
    ...as(caller),
  }).stdout.trim()

/** What only its own user may do with a monitor. */
const looks: readonly (readonly [words: (pid: string) => readonly string[], refused: string])[] = [
  ...Object.values(namespaceHandles).map((fd) => [(pid: string) => ['look', pid, `fd/${fd}`], 'EACCES'] as const),
  [(pid) => ['look', pid, 'ns/user'], 'EACCES'],
  [(pid) => ['look', pid, 'environ'], 'EACCES'],
  [(pid) => ['open-memory', pid], 'EACCES'],
  [(pid) => ['executable-of', pid], 'EACCES'],
  [(pid) => ['steal-descriptor', pid, '100'], 'EPERM'],
  [(pid) => ['trace', pid], 'EPERM'],
  [(pid) => ['signal', pid], 'EPERM'],
]

/**
 * Its owner sends the pidfd of a monitor, its directory in /proc, and the descriptors of its namespaces, by SCM_RIGHTS of unix(7): what another
 * user can do with them.
 */
const handedOver = `
import ctypes, errno, os, signal, socket, sys
pid, owner, other, user, mount = map(int, sys.argv[1:6])
libc = ctypes.CDLL(None, use_errno=True)
def become(uid):
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
left, right = socket.socketpair()
if os.fork() == 0:
    become(owner)
    files = [os.open(f'/proc/{pid}{name}', os.O_RDONLY) for name in ('', f'/fd/{user}', f'/fd/{mount}')]
    socket.send_fds(left, [b'.'], [os.pidfd_open(pid), *files])
    os._exit(0)
os.wait()
become(other)
pidfd, place, users, mounts = socket.recv_fds(right, 1, 4)[1]
def call(function, *words):
    if function(*words) < 0:
        raise OSError(ctypes.get_errno(), '')
def join(*fds):
    for fd in fds:
        call(libc.setns, fd, 0)
look = lambda name: os.open(name, os.O_RDONLY, dir_fd=place)
for name, attempt in {
    'signal it': lambda: signal.pidfd_send_signal(pidfd, 0),
    'take a descriptor': lambda: call(libc.syscall, 438, pidfd, mount, 0),
    'join all of it': lambda: call(libc.setns, pidfd, 0x10020000),
    'join its users': lambda: join(users),
    'join its mounts': lambda: join(users, mounts),
    'open a handle': lambda: look(f'fd/{mount}'),
    'look at its root': lambda: look('root'),
    'read its environment': lambda: look('environ'),
    'open its memory': lambda: os.open('mem', os.O_RDWR, dir_fd=place),
}.items():
    child = os.fork()
    if child == 0:
        try:
            attempt()
            print(name, 'succeeded', flush=True)
        except OSError as error:
            print(name, errno.errorcode[error.errno], flush=True)
        os._exit(0)
    os.waitpid(child, 0)
`

for (const caller of callers) {
  describe(`another user, and a sandbox of ${caller.name}`, { skip: noAttacks || notRoot }, () => {
    const opened = (t: TestContext) => living(t, caller, 'entered', { preset: 'system' })

    test('opens nothing of what it is entered by', async (t) => {
      const pid = String((await opened(t)).monitor.pid)
      for (const [words, refused] of looks) {
        assert.equal(outside(other, words(pid)), refused, words(pid).join(' '))
        assert.equal(outside(caller, words(pid)), 'succeeded', `its own user: ${words(pid).join(' ')}`)
      }
    })

    test('enters nothing by descriptors that are handed over', async (t) => {
      const { place } = await opened(t)
      for (const [name, fd] of Object.entries(namespaceHandles)) {
        const handle = openSync(`${place}/fd/${fd}`, 'r')
        t.after(() => closeSync(handle))
        assert.equal(outside(other, ['join-descriptor', '3'], [handle]), 'EPERM', name)
        // The others ask for capabilities in the user namespace, which comes first.
        if (name === 'user') assert.equal(outside(caller, ['join-descriptor', '3'], [handle]), 'succeeded')
      }
    })

    test('enters, ends and reads nothing by what its owner sends', { skip: notInstalled('python3') }, async (t) => {
      const { monitor } = await opened(t)
      const { user, mount } = namespaceHandles
      const answers = (who: Caller) => {
        const words = [monitor.pid, caller.uid, who.uid, user, mount].map(String)
        const { stdout, stderr } = spawnSync('python3', ['-c', handedOver, ...words], { encoding: 'utf8' })
        assert.equal(stderr, '')
        return stdout.trim().split('\n')
      }
      const refused = ['signal it', 'take a descriptor', 'join all of it', 'join its users', 'join its mounts']
      const closed = ['open a handle', 'look at its root', 'read its environment', 'open its memory']
      assert.deepEqual(answers(other), [
        ...refused.map((one) => `${one} EPERM`),
        ...closed.map((one) => `${one} EACCES`),
      ])
      // Its own user, who could do that anyway. The monitor's own namespaces are the host's.
      assert.deepEqual(
        answers(caller).filter((one) => !one.startsWith('join all of it')),
        [...refused, ...closed].filter((one) => one !== 'join all of it').map((one) => `${one} succeeded`),
      )
    })

    test('is told that it may not, by the program that enters', async (t) => {
      const { entrant, target } = await opened(t)
      const program = openSync(entrant, 'r')
      t.after(() => closeSync(program))
      const enter = (who: Caller) => {
        const { status, stdout, stderr } = spawnSync(
          `/proc/self/fd/${program}`,
          [...target, '/', '/usr/bin/id', '-u'],
          {
            encoding: 'utf8',
            env: {},
            ...as(who),
          },
        )
        return [status, stdout, stderr]
      }
      assert.deepEqual(enter(other), [
        125,
        '',
        'vial: cannot find the sandbox: Permission denied\n      it belongs to another user\n',
      ])
      assert.deepEqual(enter(caller).slice(0, 1), [0])
    })

    test('a pid that is another process by now is no sandbox', async (t) => {
      const { entrant, target } = await opened(t)
      const enter = (place: string, start: string) =>
        spawnSync(entrant, [place, start, '/', '/usr/bin/true'], { encoding: 'utf8', env: {}, ...as(caller) })
      const [place, start] = target
      const wrong = [
        [place, `${start}0`],
        [place, start.slice(1)],
        [place, ''],
        [`/proc/${process.pid}`, start],
        ['/proc/self', start],
      ] as const
      for (const [place, start] of wrong) {
        const { status, stderr } = enter(place, start)
        assert.deepEqual(
          [status, stderr],
          [125, 'vial: cannot find the sandbox: No such file or directory\n      it has ended\n'],
          `${place} ${start}`,
        )
      }
      assert.equal(enter(place, start).status, 0)
    })
  })

  describe(`records of ${caller.name}`, () => {
    /** A directory for the records, and commands that look there. */
    function runtime(t: TestContext, name: string) {
      const directory = workDirectory(caller, name)
      const call = (...args: string[]) => vial(caller, args, { env: { XDG_RUNTIME_DIR: directory } })
      const records = join(directory, 'vial')
      t.after(() => {
        for (const one of JSON.parse(call('ps', '--json').stdout)) call('rm', '-f', one.name)
      })
      return { directory, records, call }
    }

    /** Which of these a payload can do with the directory `$1`. */
    const forge = `
cd "$1" || exit
try() { word=$1; shift; "$@" 2>/dev/null && echo "$word"; }
try 'write a record' sh -c 'echo >> vial/web/record.json'
try 'tell an end' sh -c 'echo x 1<> vial/web/status'
try 'remove a record' rm -f vial/web/record.json
try 'exchange a record' mv made vial/web/record.json
try 'make a sandbox' mkdir vial/forged
try 'exchange them all' mv vial away
true`

    test('a payload that may write the directory above forges none', (t) => {
      const { directory, call, records } = runtime(t, 'above')
      assert.equal(call('start', '--name', 'web').status, 0)
      // The weakened run takes away the record by which the commands would end it.
      const { monitor } = JSON.parse(readFileSync(join(records, 'web/record.json'), 'utf8'))
      t.after(() => process.kill(monitor.pid, 'SIGKILL'))
      const run = (...flags: string[]) =>
        call('run', '--rw', directory, ...flags, '--', 'sh', '-c', `touch ${directory}/made; ${forge}`, 'sh', directory)
      const { status, stdout, stderr } = run()
      assert.deepEqual([status, stdout, stderr], [0, '', ''])
      assert.equal(call('exec', 'web', 'echo', 'ours').stdout, 'ours\n')
      // The weakened one names the directory of the records itself.
      assert.match(
        run('--rw', records).stdout,
        /^write a record\ntell an end\nremove a record\nexchange a record\nmake a sandbox\n$/,
      )
      assert.notEqual(call('exec', 'web', 'echo', 'ours').status, 0)
      call('rm', '-f', 'web')
    })

    test('what runs in a user namespace beside the caller’s is not told to have ended', {
      skip: notInstalled('unshare'),
    }, (t) => {
      const { directory, call } = runtime(t, 'beside')
      const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
      const inOwn = (...args: string[]) =>
        spawnSync('unshare', ['-r', process.execPath, main, ...args], {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), XDG_RUNTIME_DIR: directory },
          ...as(caller),
        })
      assert.equal(inOwn('start', '--name', 'web').status, 0)
      const { status, stderr } = inOwn('exec', 'web', 'true')
      assert.equal(status, 125)
      assert.match(
        stderr,
        /^vial: the sandbox "web" cannot be entered: [^\n]*Permission denied\n {6}it was started in another user namespace[^\n]*\n$/,
      )
      assert.equal(call('exec', 'web', 'echo', 'ours').stdout, 'ours\n')
    })

    test('a payload makes no directory for them where there is none yet', (t) => {
      const { directory, call } = runtime(t, 'none')
      const make = ['--', 'sh', '-c', 'mkdir "$1/vial" || mkdir "$1/vial/forged"', 'sh', directory]
      assert.match(call('run', '--rw', directory, ...make).stderr, /forged.*Read-only/s)
      assert.deepEqual(readdirSync(join(directory, 'vial')), [])
      // The weakened one: another directory is not where they are looked for.
      const elsewhere = vial(caller, ['run', '--rw', directory, ...make], { env: { XDG_RUNTIME_DIR: '' } })
      assert.equal(elsewhere.status, 0, elsewhere.stderr)
    })
  })
}
