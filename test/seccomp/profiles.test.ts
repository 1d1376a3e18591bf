import assert from 'node:assert/strict'
import test from 'node:test'
import { abiFacts, abiSyscalls } from '../../src/kernel/abis.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import type { CapabilityName } from '../../src/kernel/capabilities.js'
import { compileSeccomp, profiles } from '../../src/seccomp/compile.js'
import type { SeccompProfile } from '../../src/seccomp/schema.js'
import { archs, callsOf, corners, numbers, ownAudits, random } from './calls.js'
import { type Call, decide, readProgram } from './interpreter.js'
import { naiveDecision, returns } from './naive.js'

const kernel = '6.18.0'
const sets: readonly (readonly CapabilityName[])[] = [
  [],
  ['CAP_SYS_CHROOT', 'CAP_NET_RAW', 'CAP_MKNOD', 'CAP_SYS_ADMIN', 'CAP_SYS_TIME', 'CAP_SYS_NICE'],
]
/** What the profiles test for: ioctls, flags of clone and open, families, modes, personalities. */
const values = corners(
  [
    0, 1, 2, 9, 10, 16, 17, 40, 0x5412, 0x541c, 0x5401, 0x7e020000, 0x10000, 0x20000, 0x10100, 0o100, 0o1000,
    0o20000000,
  ].map(BigInt),
)
const modes = [0x1000n, 0x2000n, 0x6000n, 0x8000n, 0xc000n, 0x4000n, 0x1_2000n, 0x20008n, 8n]

for (const name of Object.keys(profiles) as (keyof typeof profiles)[]) {
  for (const architecture of architectures) {
    for (const capabilities of sets) {
      const kept = capabilities.length === 0 ? 'no capability' : 'capabilities'
      test(`${name} on ${architecture} with ${kept} decides as the profile says`, () => {
        const { program } = compileSeccomp(name, { architecture, capabilities, kernel })!
        const code = readProgram(program)
        const next = random(1)
        let asked = 0
        for (const arch of archs) {
          const own = ownAudits(architecture).includes(arch)
          for (const number of numbers) {
            for (const call of callsOf(number, arch, [...values, ...modes], own ? 40 : 1, next)) {
              const expected = naiveDecision(profiles[name], architecture, capabilities, call)
              if (decide(code, call) !== expected) assert.equal(decide(code, call), expected, JSON.stringify(call, big))
              asked++
            }
          }
        }
        assert.ok(asked > 50_000)
      })
    }
  }
}

test('the profiles are short', () => {
  for (const name of Object.keys(profiles) as (keyof typeof profiles)[])
    for (const architecture of architectures)
      assert.ok(compileSeccomp(name, { architecture, kernel })!.program.length <= 1100, name)
})

test('a profile is compiled once for an architecture and capabilities', () => {
  const options = { architecture: 'x64', kernel } as const
  assert.equal(compileSeccomp('default', options), compileSeccomp('default', { ...options, capabilities: [] }))
  assert.notEqual(compileSeccomp('default', options), compileSeccomp('default', { ...options, architecture: 'arm64' }))
  assert.notEqual(
    compileSeccomp('default', options),
    compileSeccomp('default', { ...options, capabilities: ['CAP_MKNOD'] }),
  )
  assert.equal(compileSeccomp('none', options), undefined)
})

const big = (_: string, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value)

const EPERM = returns.errno + 1
const ENOSYS = returns.errno + 38
const EAFNOSUPPORT = returns.errno + 97
const { allow } = returns

function answer(
  name: keyof typeof profiles,
  call: string,
  args: readonly (number | bigint)[] = [],
  architecture: Architecture = 'x64',
) {
  const code = readProgram(compileSeccomp(name, { architecture, kernel })!.program)
  const asked: Call = {
    number: abiSyscalls(architecture).get(call)!,
    arch: abiFacts[architecture].audit,
    args: Array.from({ length: 6 }, (_, index) => BigInt(args[index] ?? 0)),
  }
  return decide(code, asked)
}

test('default refuses what has no namespace of its own', () => {
  const refused =
    'acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount mount_setattr move_mount name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key setdomainname sethostname setns settimeofday swapoff swapon syslog umount2 unshare userfaultfd'
  for (const name of refused.split(' ')) assert.equal(answer('default', name), EPERM, name)
  for (const name of ['clone3', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'])
    assert.equal(answer('default', name), ENOSYS, name)
})

test('default looks at arguments as the kernel takes them', () => {
  for (const high of [0n, 1n << 32n, 0xffffffffn << 32n]) {
    assert.equal(answer('default', 'ioctl', [0, high | 0x5412n]), EPERM, 'TIOCSTI')
    assert.equal(answer('default', 'ioctl', [0, high | 0x541cn]), EPERM, 'TIOCLINUX')
    assert.equal(answer('default', 'ioctl', [0, high | 0x5423n]), EPERM, 'TIOCSETD')
    assert.equal(answer('default', 'socket', [high | 40n]), EAFNOSUPPORT, 'AF_VSOCK')
    assert.equal(answer('default', 'clone', [high | 0x10000000n]), EPERM, 'CLONE_NEWUSER')
  }
  assert.equal(answer('default', 'ioctl', [0, 0x5413]), allow)
  for (const family of [1, 2, 10]) assert.equal(answer('default', 'socket', [family]), allow)
  for (const family of [0, 3, 16 + 32, 17, 21, 29, 30, 31, 38, 40, 44])
    assert.equal(answer('default', 'socket', [family]), EAFNOSUPPORT)
  assert.equal(answer('default', 'socket', [16, 3, 0]), allow, 'NETLINK_ROUTE')
  assert.equal(answer('default', 'socket', [16, 3, 15]), EAFNOSUPPORT, 'NETLINK_KOBJECT_UEVENT')
  assert.equal(answer('default', 'clone', [0x3d0f00]), allow, 'a thread')
  for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
    assert.equal(answer('default', 'clone', [0x11 | flag]), EPERM)
  assert.equal(answer('default', 'mknodat', [0, 0, 0o20666]), EPERM, 'a device')
  assert.equal(answer('default', 'mknodat', [0, 0, 0o10666]), allow, 'a pipe')
  assert.equal(answer('default', 'personality', [0x40000]), EPERM, 'ADDR_NO_RANDOMIZE')
  assert.equal(answer('default', 'personality', [0xffffffff]), allow)
})

test('strict opens to read, starts threads and no process', () => {
  assert.equal(answer('strict', 'openat', [0, 0, 0o2000000]), allow)
  for (const flags of [1, 2, 3, 0o100, 0o1000, 0o20200000])
    assert.equal(answer('strict', 'openat', [0, 0, flags]), EPERM)
  assert.equal(answer('strict', 'clone', [0x3d0f00]), allow)
  assert.equal(answer('strict', 'clone', [0x11]), EPERM)
  for (const name of ['fork', 'vfork', 'socket', 'kill', 'unlink', 'mkdir'])
    assert.equal(answer('strict', name), EPERM, name)
  assert.equal(answer('strict', 'prlimit64', [0, 7, 0, 1n << 40n]), allow)
  assert.equal(answer('strict', 'prlimit64', [0, 7, 1n << 40n]), EPERM)
})

test('calls newer than the tables do not exist, and other ABIs kill', () => {
  const code = readProgram(compileSeccomp('default', { architecture: 'x64', kernel })!.program)
  const args = Array(6).fill(0n)
  for (const number of [470, 547, 0x3fffffff, 0xffffffff])
    assert.equal(decide(code, { number, arch: abiFacts.x64.audit, args }), ENOSYS)
  assert.equal(decide(code, { number: 0x40000000 + 39, arch: abiFacts.x64.audit, args }), returns.killProcess)
  assert.equal(decide(code, { number: 20, arch: abiFacts.i386.audit, args }), returns.killProcess)
  assert.equal(decide(code, { number: 172, arch: abiFacts.arm64.audit, args }), returns.killProcess)
})

test("arm's private calls are not newer where a rule names them", () => {
  const profile: SeccompProfile = {
    default: { errno: 'EPERM' },
    abis: ['arm32'],
    rules: [{ calls: ['cacheflush'], when: [{ arg: 0, eq: 0 }], do: 'allow' }],
  }
  const code = readProgram(compileSeccomp(profile, { architecture: 'arm64', kernel })!.program)
  const ask = (number: number, first: bigint) =>
    decide(code, { number, arch: abiFacts.arm32.audit, args: [first, 0n, 0n, 0n, 0n, 0n] })
  assert.deepEqual([ask(0xf0002, 0n), ask(0xf0002, 1n), ask(0xf0003, 0n)], [allow, EPERM, ENOSYS])
})
