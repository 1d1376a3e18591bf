/** Hosts that cannot make sandboxes: simulated by a user namespace with a limit of 0, and by a filter around vial. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notInstalled } from '../support/needs.js'
import { user, vial, workDirectory } from '../support/user.js'

const caller = user
const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')

function under(before: readonly string[], args: readonly string[]) {
  const [name = '', ...rest] = [...before, process.execPath, main, ...args]
  return spawnSync(name, rest, {
    encoding: 'utf8',
    cwd: workDirectory(caller, 'hosts'),
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', HOME: workDirectory(caller, 'home') },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

interface Report {
  readonly works: boolean
  readonly findings: readonly { readonly name: string; readonly works: boolean; readonly repair?: string }[]
}
const failures = (stdout: string) =>
  Object.fromEntries(
    (JSON.parse(stdout) as Report).findings.filter(({ works }) => !works).map((one) => [one.name, one]),
  )

const limited = (name: string) => ['unshare', '-Ur', 'sh', '-c', `echo 0 > /proc/sys/user/${name}; exec "$@"`, 'sh']

/** Loads a filter that answers system calls with an error, and executes the rest of its arguments. */
const filtered = (number: number, errno: number) => [
  'python3',
  '-c',
  `
import ctypes, os, struct, sys
rows = [(0x20, 0, 0, 0), (0x15, 0, 1, ${number}), (0x06, 0, 0, 0x50000 | ${errno}), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *row) for row in rows))
class Program(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(rows), ctypes.addressof(code))), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
`,
]

test('vial doctor finds that this host works, as run does', () => {
  const { status, stdout } = vial(caller, ['doctor', '--json'])
  const report = JSON.parse(stdout) as Report
  assert.equal(vial(caller, ['run', '--', 'true']).status, status)
  assert.equal(report.works, status === 0)
  const names = report.findings.map(({ name }) => name)
  for (const name of ['user namespace', 'time namespace', 'mount API', 'Landlock', 'seccomp filter', 'ranges of ids'])
    assert.ok(names.includes(name), name)
  assert.match(vial(caller, ['doctor']).stdout, /^Linux .*\n\nyes {2}vial run\n/)
})

describe('without user namespaces', () => {
  test('run says what forbids them', () => {
    const { status, stderr } = under(limited('max_user_namespaces'), ['run', '--', 'true'])
    assert.match(
      stderr,
      /cannot make a user namespace: No space left on device\n {6}sysctl -w user\.max_user_namespaces=15000\n/,
    )
    assert.equal(status, 125)
  })

  test('doctor names the command that repairs it, once', () => {
    const { status, stdout } = under(limited('max_user_namespaces'), ['doctor', '--json'])
    assert.equal(status, 1)
    const found = failures(stdout)
    assert.equal(found['user namespace']?.repair, 'sysctl -w user.max_user_namespaces=15000')
    assert.equal(found['net namespace']?.repair, undefined)
  })
})

test('a limit of one kind of namespace is named', () => {
  const { status, stdout } = under(limited('max_net_namespaces'), ['doctor', '--json'])
  assert.equal(status, 1)
  const found = failures(stdout)
  assert.equal(found['user namespace'], undefined)
  assert.equal(found['net namespace']?.repair, 'sysctl -w user.max_net_namespaces=15000')
})

describe('below a filter', { skip: process.arch !== 'x64' && 'the filter is written for x64' }, () => {
  test('an old kernel, without mount_setattr', { skip: notInstalled('python3') }, () => {
    const { status, stderr } = under(filtered(442, 38), ['run', '--', 'true'])
    assert.match(
      stderr,
      /Function not implemented\n {6}refused here: mount_setattr \(ENOSYS\); by a kernel older than 5\.12/,
    )
    assert.equal(status, 125)
    const doctor = under(filtered(442, 38), ['doctor', '--json'])
    assert.equal(doctor.status, 1)
    assert.match(failures(doctor.stdout)['mount API']?.repair ?? '', /Linux 5\.12 or newer/)
  })

  test('a container that forbids unshare', { skip: notInstalled('python3') }, () => {
    const doctor = under(filtered(272, 1), ['doctor', '--json'])
    assert.equal(doctor.status, 1)
    assert.match(
      failures(doctor.stdout)['user namespace']?.repair ?? '',
      /docker run --security-opt seccomp=unconfined/,
    )
  })
})

test('a cache that cannot be used is named', () => {
  const { status, stdout } = vial(caller, ['doctor', '--json'], { env: { VIAL_CACHE: '/proc/vials' } })
  assert.equal(status, 1)
  assert.match(failures(stdout)['a cache for vials']?.repair ?? '', /VIAL_CACHE=/)
})

test('a caller without an account', () => {
  assert.equal(under([], ['doctor', '--json']).status, 0)
})

test('a reader may stop early', () => {
  const { status, stderr } = under(['sh', '-c', '"$@" | head -n 1', 'sh'], ['explain'])
  assert.deepEqual([status, stderr], [0, ''])
})
