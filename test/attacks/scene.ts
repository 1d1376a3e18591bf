/** What attacks aim at: a decoy of everything that must not be reached, outside the sandbox, of the caller's own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { placeOf } from '../../src/fill/complete.js'
import type { FilesystemEntry, Policy } from '../../src/index.js'
import { type Caller, callers, root, user, workDirectory } from '../support/user.js'

/** How a sandbox is made: by whom, and with or without a user namespace. */
export interface Mode {
  readonly name: 'ordinary user' | 'root' | 'root mode'
  readonly caller: Caller
  readonly policy: Policy
}

const everyMode: readonly Mode[] = [
  { name: 'ordinary user', caller: user, policy: {} },
  { name: 'root', caller: root, policy: {} },
  { name: 'root mode', caller: root, policy: { namespaces: { user: 'host' } } },
]
/** Those of the callers that there are. */
export const modes = everyMode.filter(
  ({ name, caller }) => callers.includes(caller) && (name === 'ordinary user') === (caller !== root),
)

export interface Scene {
  readonly mode: Mode
  /** A directory of the host that no policy shows by itself, with the file `secret`. */
  readonly directory: string
  readonly secret: string
  /** A process of the caller's, outside. */
  readonly decoy: { readonly pid: number; readonly memory: string }
  /** Listens on the host's loopback, on a path and on an abstract name. */
  readonly port: number
  readonly socket: string
  readonly abstractName: string
  /** Key of a System V segment in the host's ipc namespace. */
  readonly shmKey: number
  /** The default policy, the attack program, and these. */
  policy(shows: readonly FilesystemEntry[]): Policy
  weaken(base: Policy, weak: Partial<Policy>): Policy
  /** Ends the decoys, which must have lived until then. */
  close(): void
}

const listener = `
import os, socket, subprocess, sys, threading
path, name, given = sys.argv[1:]
listening = []
def listen(family, address):
    one = socket.socket(family, socket.SOCK_STREAM)
    one.bind(address)
    one.listen(64)
    listening.append(one)
    return one
port = listen(socket.AF_INET, ('127.0.0.1', 0)).getsockname()[1]
listen(socket.AF_UNIX, path)
listen(socket.AF_UNIX, b'\\0' + name.encode())
def hand(service, descriptor):
    while True:
        socket.send_fds(service.accept()[0], [b'x'], [descriptor])
for what in ['directory', 'file', 'socket']:
    service = listen(socket.AF_UNIX, f'{given}/{what}')
    os.chmod(f'{given}/{what}', 0o666)
    descriptor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach() if what == 'socket' else os.open('.' if what == 'directory' else 'secret', os.O_RDONLY)
    threading.Thread(target=hand, args=(service, descriptor), daemon=True).start()
segment = subprocess.run(['ipcmk', '-M', '64', '-p', '0666'], capture_output=True, text=True, check=True).stdout.split()[-1]
key = next(line.split()[0] for line in open('/proc/sysvipc/shm') if line.split()[1] == segment)
print(port, key, segment, flush=True)
sys.stdin.read()
subprocess.run(['ipcrm', '-m', segment], check=True)
`

let scenes = 0

export async function makeScene(mode: Mode, program: string): Promise<Scene> {
  const { caller } = mode
  const directory = workDirectory(caller, `scene-${++scenes}`)
  const secret = join(directory, 'secret')
  const own = (path: string) => chownSync(path, caller.uid, caller.gid)
  writeFileSync(secret, 'secret')
  chmodSync(secret, 0o644)
  mkdirSync(join(directory, 'shared'), { recursive: true })
  mkdirSync(join(directory, 'given'))
  for (const path of [secret, join(directory, 'shared'), join(directory, 'given')]) own(path)
  makePrivileged(program, directory)
  const asCaller = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
  const socket = join(directory, 'shared', 'socket')
  const abstractName = `vial-attack-${process.pid}-${scenes}`
  const host = spawn('python3', ['-c', listener, socket, abstractName, join(directory, 'given')], {
    ...asCaller,
    cwd: directory,
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(host.stdout!, 'data')) as [Buffer]
  const [port, key] = String(line).split(' ').map(Number) as [number, number]
  const decoy = spawn('sleep', ['1000'], { ...asCaller, stdio: 'ignore' })
  await once(decoy, 'spawn')
  const memory = /^([0-9a-f]+)-\S+ r/m.exec(readFileSync(`/proc/${decoy.pid}/maps`, 'utf8'))![1]!
  return {
    mode,
    directory,
    secret,
    decoy: { pid: decoy.pid!, memory },
    port,
    socket,
    abstractName,
    shmKey: key,
    policy: (shows) => ({
      preset: 'system',
      ...mode.policy,
      filesystem: [{ bind: '/attack', from: program }, ...shows],
    }),
    weaken: (base, weak) => ({
      ...base,
      ...weak,
      namespaces: { ...base.namespaces, ...weak.namespaces },
      // What it shows takes the place of what was shown there.
      filesystem: [
        ...base.filesystem!.filter(
          (one) => !weak.filesystem?.some((over) => `${placeOf(one)}/`.startsWith(`${placeOf(over)}/`)),
        ),
        ...(weak.filesystem ?? []),
      ],
    }),
    close() {
      const alive = [host, decoy].map((one) => one.exitCode === null && one.signalCode === null)
      end(host, decoy)
      assert.deepEqual(alive, [true, true], 'an attack reached a process outside')
      assert.equal(readFileSync(secret, 'utf8'), 'secret')
      assert.equal(existsSync(socket), true)
    },
  }
}

function end(host: ChildProcess, decoy: ChildProcess): void {
  host.stdin!.end()
  decoy.kill('SIGKILL')
}

/** Copies of the attack program that are setuid and setgid root, and that have a file capability; and a device node. */
function makePrivileged(program: string, directory: string): void {
  if (process.getuid?.() !== 0) return
  const make = `
    cd "$1" || exit
    cp "$2" setuid && chown root:root setuid && chmod 6755 setuid &&
    cp "$2" capable && chmod 755 capable && setcap cap_net_raw+ep capable &&
    rm -f null && mknod -m 666 null c 1 3`
  const { status, stderr } = spawnSync('sh', ['-c', make, 'sh', directory, program], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}
