/** The service of examples/service under a small supervisor, which does what systemd would: sockets, readiness, signals, statuses. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { settingsTable } from '../../lab/unitSettings.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { assertGone, eventually, processesWith, uniqueSeconds } from '../support/processes.js'
import { type Caller, callers, root, user, vial, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const example = join(top, 'examples/service')
const python = '/usr/bin/python3'
const noPython = notInstalled(python)

const as = (caller: Caller) => (process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {})
const environment = (caller: Caller) => ({ PATH: '/usr/local/bin:/usr/bin:/bin', HOME: workDirectory(caller, 'home') })

/** `vial compile`, to a file of this name. */
function compiled(caller: Caller, name: string, ...args: string[]): string {
  const file = join(workDirectory(caller, 'service'), name)
  const { status, stderr } = vial(caller, ['compile', ...args, '-o', file])
  assert.equal(status, 0, stderr)
  return file
}

/** Each variant of a policy of the example's, with more in it. */
function policyWith(caller: Caller, name: string, more: (policy: Record<string, unknown>) => object): string {
  const policy = JSON.parse(readFileSync(join(example, name), 'utf8'))
  const file = join(workDirectory(caller, 'service'), `${name}-${uniqueSeconds()}.json`)
  writeFileSync(file, JSON.stringify({ ...policy, ...more(policy) }))
  return file
}

/**
 * Opens sockets as a .socket unit does, or one for messages of sd_notify(3); executes the words with the descriptors, and
 * prints how they ended. Lines of its standard input: `told` asks for a message, the name of a signal sends it and waits for the end.
 */
const supervisor = `
import fcntl, os, signal, socket, sys
count, notify, *words = sys.argv[1:]
sockets = [socket.socket(socket.AF_UNIX) for _ in range(int(count))]
for number, one in enumerate(sockets):
    one.bind("listen%d" % number)
    one.listen()
messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
messages.bind(notify)
# Away from the numbers that they get in the child.
kept = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 50) for one in sockets]
pid = os.fork()
if pid == 0:
    for number, one in enumerate(kept):
        os.dup2(one, 3 + number)
    env = dict(os.environ)
    if sockets:
        env.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
    else:
        env.update(NOTIFY_SOCKET=os.path.abspath(notify))
    os.execve(words[0], words, env)
for line in sys.stdin:
    if line == "told\\n":
        print("told", messages.recv(100).decode(), flush=True)
    else:
        os.kill(pid, getattr(signal, line.strip()))
        break
_, status = os.waitpid(pid, 0)
print("ended", os.waitstatus_to_exitcode(status), flush=True)
`

const running: ChildProcess[] = []
after(() => {
  for (const child of running) child.kill('SIGKILL')
})

/** A service, and what was heard of it. */
function supervise(caller: Caller, directory: string, count: number, ...words: string[]) {
  const child = spawn(python, ['-c', supervisor, String(count), 'notify', ...words], {
    cwd: directory,
    env: environment(caller),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...as(caller),
  })
  running.push(child)
  let heard = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      heard += data
    })
  return {
    pid: child.pid!,
    says: async (words: RegExp) => {
      await eventually(
        () => heard,
        (text) => words.test(text),
      )
      assert.match(heard, words)
    },
    order: (word: string) => child.stdin.write(`${word}\n`),
  }
}

const ask = (socketPath: string, path: string) =>
  new Promise<string>((done) => {
    // The supervisor also has the socket: what a service that died does not accept waits for the next one.
    get({ socketPath, path, agent: false, signal: AbortSignal.timeout(20_000) }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => {
        text += part
      })
      response.on('end', () => done(text))
    }).on('error', (error) => done(`no answer: ${(error as NodeJS.ErrnoException).code}`))
  })

for (const caller of callers) {
  describe(`a service of ${caller.name}`, { skip: noPython }, () => {
    const plain = join(example, 'policy.json')

    test('listens on a socket in a shown directory, says that it is ready, and ends by SIGTERM', async () => {
      const directory = workDirectory(caller, 'shown')
      const notify = join(directory, 'notify')
      const policy = policyWith(caller, 'policy.json', () => ({
        filesystem: [
          { bind: '/srv/hello', from: example },
          { bind: notify, optional: true },
        ],
      }))
      mkdirSync(join(directory, 'run'))
      if (process.getuid?.() === 0) spawnSync('chown', [`${caller.uid}:${caller.gid}`, join(directory, 'run')])
      const file = compiled(caller, 'shown.vial', policy, '--rw', `${directory}/run:/run/hello`)
      const service = supervise(caller, directory, 0, file, 'python3', 'server.py', '/run/hello/socket')
      await service.says(/^ready$/m)
      service.order('told')
      await service.says(/^told READY=1$/m)
      const socket = join(directory, 'run/socket')
      assert.equal(await ask(socket, '/'), 'hello, visit 1 of process 2, uid 1000\n')
      // The file is there outside.
      assert.equal(await ask(socket, '/secrets'), 'No such file or directory\n')
      service.order('SIGTERM')
      await service.says(/^stopping: SIGTERM$[\s\S]*^ended 0$/m)
    })

    test('keeps a socket that is handed over, and no other descriptor', async () => {
      const directory = workDirectory(caller, 'activated')
      const look = `import os, stat
for fd in (3, 4):
    try: print(fd, stat.S_ISSOCK(os.fstat(fd).st_mode))
    except OSError as error: print(fd, error.strerror)
print(os.environ.get("LISTEN_PID") == str(os.getpid()), os.environ.get("LISTEN_FDS"))`
      const seen = async (name: string, ...flags: string[]) => {
        const file = compiled(caller, `${name}.vial`, plain, ...flags)
        const place = join(directory, name)
        mkdirSync(place)
        if (process.getuid?.() === 0) spawnSync('chown', [`${caller.uid}:${caller.gid}`, place])
        const service = supervise(caller, place, 2, file, 'python3', '-c', look)
        service.order('SIGCONT')
        await service.says(/^ended/m)
        return service
      }
      await (await seen('one', '--listen-fds', '1')).says(/^3 True\n4 Bad file descriptor\nTrue 2$/m)
      await (await seen('both', '--listen-fds', '2')).says(/^3 True\n4 True\nTrue 2$/m)
      // Without the flag both are closed, and nothing is said of them.
      await (await seen('none')).says(/^3 Bad file descriptor\n4 Bad file descriptor\nFalse None$/m)
    })

    for (const opened of ['os.O_RDONLY', 'os.O_PATH'])
      test(`does not start where a directory lies at the number of a socket (${opened})`, () => {
        const file = compiled(caller, 'directory.vial', plain, '--listen-fds', '2')
        const start = `import os, sys
os.dup2(os.open("/", ${opened}), 4)
os.dup2(os.open("/dev/null", 0), 3)
os.execv(sys.argv[1], [sys.argv[1], "python3", "-c", "import os; print(*sorted(os.listdir(4)))"])`
        const { status, stderr } = spawnSync('python3', ['-c', start, file], {
          encoding: 'utf8',
          ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
        })
        assert.match(
          stderr,
          /cannot hand on descriptors 3 to 4: Is a directory\n *one of them is a directory: close it/,
        )
        assert.equal(status, 125)
      })

    test('answers on that socket without any network', async () => {
      const directory = workDirectory(caller, 'answers')
      const file = compiled(caller, 'answers.vial', plain, '--listen-fds', '1')
      const service = supervise(caller, directory, 1, file, 'python3', 'server.py')
      await service.says(/^ready$/m)
      assert.equal(await ask(join(directory, 'listen0'), '/'), 'hello, visit 1 of process 2, uid 1000\n')
      assert.equal(await ask(join(directory, 'listen0'), '/crash'), 'no answer: ECONNRESET')
      service.order('SIGCONT')
      await service.says(/^ended 3$/m)
    })

    test('SIGTERM for the vial ends the payload and all of its children', async () => {
      const word = uniqueSeconds()
      const file = compiled(caller, 'children.vial', '--preset', 'system')
      const directory = workDirectory(caller, 'children')
      const line = `sleep ${word} & sh -c "sleep ${word}" & echo "started"; wait`
      const service = supervise(caller, directory, 0, file, 'sh', '-c', line)
      await service.says(/^started$/m)
      assert.ok(processesWith(word).length >= 3)
      service.order('SIGTERM')
      await service.says(/^ended 143$/m)
      await assertGone(word)
    })
  })
}

describe('port 80 by root, with one capability', { skip: noPython || notRoot }, () => {
  // A network of its own belongs to the host's user namespace in root mode: the capability is needed there too.
  const look = `import os, socket
try: socket.create_server(("127.0.0.1", 80)); print("bound")
except OSError as error: print(os.strerror(error.errno))
print(os.getuid(), os.getgid(), *[line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd"))])`
  const bound = (name: string, more: object) => {
    const policy = policyWith(root, 'port80.json', ({ fill }) => ({
      network: 'none',
      filesystem: [{ proc: '/proc' }],
      cwd: '/',
      fill,
      ...more,
    }))
    return spawnSync(compiled(root, name, policy), ['python3', '-c', look], { encoding: 'utf8' }).stdout
  }
  test('is bound by the user nobody', () => {
    assert.equal(bound('80.vial', {}), 'bound\n65534 65534 0000000000000400 0000000000000400\n')
  })
  test('and not without the capability', () => {
    assert.equal(
      bound('none.vial', { capabilities: [] }),
      'Permission denied\n65534 65534 0000000000000000 0000000000000000\n',
    )
  })
})

test('--listen-fds is refused where it cannot be held', () => {
  const caller = user
  const refused = (...args: string[]) => {
    const { status, stderr } = vial(caller, [
      'compile',
      ...args,
      '-o',
      join(workDirectory(caller, 'service'), 'no.vial'),
    ])
    assert.equal(status, 125)
    return stderr
  }
  assert.match(refused('--listen-fds', '-1'), /--listen-fds -1: must be a number from 0 to 256/)
  assert.match(refused('--listen-fds', 'one'), /--listen-fds one: must be a whole number/)
  const shared = policyWith(caller, 'policy.json', () => ({ namespaces: { pid: 'host' } }))
  assert.match(refused(shared, '--listen-fds', '1'), /--listen-fds 1: needs namespaces\.pid to be "new"/)
  const reads = policyWith(caller, 'policy.json', () => ({ filesystem: [{ file: '/x', fd: 3 }] }))
  assert.match(refused(reads, '--listen-fds', '1'), /--listen-fds 1: the policy itself reads descriptor 3/)
})

describe('the units', () => {
  const units = readdirSync(example).filter((name) => /\.(?:service|socket)$/.test(name))

  test('systemd-analyze(1) finds no fault in them', { skip: notInstalled('systemd-analyze') }, () => {
    // Of a program that is not there it says only that.
    const directory = workDirectory(user, 'units')
    for (const name of units) {
      copyFileSync(join(example, name), join(directory, name))
      const text = readFileSync(join(directory, name), 'utf8')
      writeFileSync(join(directory, name), text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/sh'))
    }
    const verify = () =>
      spawnSync('systemd-analyze', ['verify', '--man=no', ...units.map((name) => join(directory, name))], {
        encoding: 'utf8',
      }).stderr.split('\n')
    const ofOurs = (lines: string[]) => lines.filter((line) => line.includes('hello'))
    assert.deepEqual(ofOurs(verify()), [])
    writeFileSync(join(directory, units[0]!), '[Service]\nExecStart=/bin/sh\nKilMode=mixed\n')
    assert.notDeepEqual(ofOurs(verify()), [])
  })

  test('start vials that docs/services.md compiles', () => {
    const page = readFileSync(join(top, 'docs/services.md'), 'utf8')
    for (const name of units.filter((name) => name.endsWith('.service'))) {
      const [, file] = /^ExecStart=\/opt\/hello\/(\S+) /m.exec(readFileSync(join(example, name), 'utf8'))!
      assert.match(page, new RegExp(`^vial compile .* -o ${file}$`, 'm'))
    }
    assert.ok(existsSync(join(example, 'try.sh')))
  })

  test("the page's table of settings is what a guest tries", () => {
    assert.ok(readFileSync(join(top, 'docs/services.md'), 'utf8').includes(settingsTable()))
  })
})
