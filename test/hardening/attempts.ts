/** Attempts from inside, each one line of Python, and what the kernel answered. */
import type { Policy } from '../../src/index.js'
import { type Caller, callers, runAs } from '../support/user.js'

const prelude = `
import ctypes, errno, json, os, resource, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
X64 = os.uname().machine == 'x86_64'
def call(name, *args):
    numbers = {'ptrace': (101, 117), 'keyctl': (250, 219), 'mount': (165, 40), 'mknodat': (259, 33), 'add_key': (248, 217), 'mount_setattr': (442, 442)}
    result = libc.syscall(numbers[name][0 if X64 else 1], *args)
    if result == -1: raise OSError(ctypes.get_errno(), name)
    return result
def unshare(flags):
    if libc.unshare(flags) == -1: raise OSError(ctypes.get_errno(), 'unshare')
def read(path, size=64): return os.read(os.open(path, os.O_RDONLY), size)
def writable(path): os.close(os.open(path, os.O_WRONLY))
def prctl(*args): return libc.prctl(*args)
def parent(pid): return int([l for l in open(f'/proc/{pid}/status') if l.startswith('PPid')][0].split()[1])
def inChild(work):
    ours, theirs = os.pipe()
    if os.fork() == 0:
        try: work(); os.write(theirs, b'0')
        except OSError as e: os.write(theirs, str(e.errno).encode())
        os._exit(0)
    os.wait()
    number = int(os.read(ours, 9))
    if number: raise OSError(number, '')
NEWUSER, NEWNS, NEWPID, NEWCGROUP = 0x10000000, 0x20000, 0x20000000, 0x2000000
answers = {}
for name, line in json.loads(sys.argv[1]).items():
    try:
        value = eval(line)
        answers[name] = value if isinstance(value, (int, str, list)) else value.decode() if isinstance(value, bytes) else 'done'
    except OSError as e: answers[name] = errno.errorcode.get(e.errno, str(e.errno))
print(json.dumps(answers))
`

/** What each attempt came to: the name of the error, or the value, or `done`. */
export function attempts<Name extends string>(
  caller: Caller,
  policy: Policy,
  lines: Readonly<Record<Name, string>>,
  options: Parameters<typeof runAs>[4] = {},
): Record<Name, string | number | string[]> {
  const answer = runAs(caller, policy, 'python3', ['-c', prelude, JSON.stringify(lines)], options)
  if (answer.error !== undefined || answer.exitCode !== 0) throw new Error(answer.error ?? answer.stderr)
  return JSON.parse(answer.stdout) as Record<Name, string | number | string[]>
}

export interface Mode {
  readonly name: string
  readonly caller: Caller
  readonly policy: Policy
}

// What stands behind the filter is what these are about.
const system: Policy = { preset: 'system', seccomp: 'none' }

/** Each way in which a sandbox can be obtained, with what the payload is outside. */
export const modes: readonly Mode[] = callers.flatMap((caller) => [
  { name: caller.name, caller, policy: system },
  ...(caller.uid !== 0
    ? []
    : [
        { name: 'root in root mode', caller, policy: { ...system, namespaces: { user: 'host' } } satisfies Policy },
        {
          name: 'root in root mode, still root inside',
          caller,
          policy: { ...system, namespaces: { user: 'host' }, identity: { uid: 0, gid: 0 } } satisfies Policy,
        },
      ]),
])

/** Whether the payload is the uid 0 of the host. */
export const isRootOutside = ({ caller, policy }: Mode) =>
  caller.uid === 0 && (policy.namespaces?.user !== 'host' || policy.identity?.uid === 0)

/** The same with these namespaces as well. */
export const sharing = (policy: Policy, namespaces: NonNullable<Policy['namespaces']>): Policy => ({
  ...policy,
  namespaces: { ...policy.namespaces, ...namespaces },
})
