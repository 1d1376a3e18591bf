import assert from 'node:assert/strict'
import test from 'node:test'
import { abiFacts, abiSyscalls } from '../../src/kernel/abis.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import type { CapabilityName } from '../../src/kernel/capabilities.js'
import { compileSeccomp, profiles } from '../../src/seccomp/compileProfile.js'
import { type SeccompProfile, type Situation, situations } from '../../src/seccomp/profileSchema.js'
import { archs, callsOf, corners, numbers, ownAudits, random } from './calls.js'
import { type Call, decide, readProgram } from './interpreter.js'
import { naiveDecision, returns } from './naive.js'

const kernel = '6.18.0'
const sets: readonly (readonly [kept: string, readonly CapabilityName[], readonly Situation[]])[] = [
  ['no capability', [], []],
  [
    'capabilities',
    ['CAP_SYS_CHROOT', 'CAP_NET_RAW', 'CAP_MKNOD', 'CAP_SYS_ADMIN', 'CAP_SYS_TIME', 'CAP_SYS_NICE'],
    ['noNetwork'],
  ],
  ['what is shared', [], situations],
]
/** What the profiles test for: ioctls, flags of clone and open, families, modes, personalities; and the options of sockets. */
const values = corners(
  [
    0, 1, 2, 9, 10, 16, 17, 40, 0x5412, 0x541c, 0x5401, 0x7e020000, 0x10000, 0x20000, 0x10100, 0o100, 0o1000,
    0o20000000, 0x4b00, 0x4bff, 0x5600, 0x56ff, 0x890b, 0x8bff, 0x894c, 0x540c, 1024, 1026, 1038, 3, 6, 31, 35, 41, 42,
    46, 58, 100, 136, 262,
  ].map(BigInt),
)
const modes = [0x1000n, 0x2000n, 0x6000n, 0x8000n, 0xc000n, 0x4000n, 0x1_2000n, 0x20008n, 8n]

for (const name of Object.keys(profiles) as (keyof typeof profiles)[]) {
  for (const architecture of architectures) {
    for (const [kept, capabilities, situations] of sets) {
      test(`${name} on ${architecture} with ${kept} decides as the profile says`, () => {
        const { program } = compileSeccomp(name, { architecture, capabilities, situations, kernel })!
        const code = readProgram(program)
        const next = random(1)
        let asked = 0
        for (const arch of archs) {
          const own = ownAudits(architecture).includes(arch)
          for (const number of numbers) {
            for (const call of callsOf(number, arch, [...values, ...modes], own ? 40 : 1, next)) {
              const expected = naiveDecision(profiles[name], architecture, capabilities, call, situations)
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
      assert.ok(compileSeccomp(name, { architecture, kernel, situations: ['noNetwork'] })!.program.length <= 1600, name)
})

test('a profile is compiled once for an architecture and capabilities', () => {
  const options = { architecture: 'x64', kernel } as const
  assert.equal(compileSeccomp('default', options), compileSeccomp('default', { ...options, capabilities: [] }))
  assert.notEqual(compileSeccomp('default', options), compileSeccomp('default', { ...options, architecture: 'arm64' }))
  assert.notEqual(
    compileSeccomp('default', options),
    compileSeccomp('default', { ...options, capabilities: ['CAP_MKNOD'] }),
  )
  assert.notEqual(
    compileSeccomp('default', options),
    compileSeccomp('default', { ...options, situations: ['noNetwork'] }),
  )
  assert.equal(compileSeccomp('none', options), undefined)
})

const big = (_: string, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value)

const [EPERM, ENOENT, ENODEV, EINVAL, ENOTTY, ENOSYS, ENOPROTOOPT, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT] = [
  1, 2, 19, 22, 25, 38, 92, 93, 95, 97,
].map((number) => returns.errno + number)
const { allow } = returns

function answer(
  name: keyof typeof profiles,
  call: string,
  args: readonly (number | bigint)[] = [],
  situations: readonly Situation[] = [],
  architecture: Architecture = 'x64',
) {
  const code = readProgram(compileSeccomp(name, { architecture, situations, kernel })!.program)
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
  const absent = 'clone3 io_uring_setup io_uring_enter io_uring_register io_setup io_submit io_getevents io_pgetevents'
  for (const name of absent.split(' ')) assert.equal(answer('default', name), ENOSYS, name)
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
  for (const family of [1, 2, 10]) assert.equal(answer('default', 'socket', [family, 1]), allow)
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

test('default refuses leases, and what of fcntl it does not know', () => {
  for (const profile of ['default', 'strict', 'nested'] as const) {
    for (const high of [0n, 1n << 32n])
      for (const command of [1024n, 1026n, 1039n, 1040n, 0xffffffffn])
        assert.equal(answer(profile, 'fcntl', [0, high | command]), EINVAL, `${profile} ${command}`)
    for (const command of [0, 1, 2, 3, 4, 5, 6, 7, 8, 36, 37, 38, 1025, 1030, 1031, 1033, 1038])
      assert.equal(answer(profile, 'fcntl', [0, command]), allow, `${profile} ${command}`)
  }
})

test('default knows TCP, UDP and ping, and no other protocol of the internet', () => {
  const [stream, datagram, raw, cloexec] = [1, 2, 3, 0o2000000]
  for (const family of [2, 10]) {
    for (const [type, protocol] of [
      [stream, 0],
      [stream | cloexec, 6],
      [datagram, 17],
      [datagram, 1],
      [datagram, 58],
      [raw, 255],
    ] as const)
      assert.equal(answer('default', 'socket', [family, type, protocol]), allow, `${type} ${protocol}`)
    for (const [type, protocol] of [
      [stream, 262],
      [stream | cloexec, 262],
      [stream, 256],
      [stream, 132],
      [5, 132],
      [datagram, 136],
      [datagram, 115],
      [6, 33],
      [10, 0x300],
      [0, 0],
    ] as const)
      for (const high of [0n, 1n << 32n])
        assert.equal(
          answer('default', 'socket', [family, high | BigInt(type), high | BigInt(protocol)]),
          EPROTONOSUPPORT,
          `${type} ${protocol}`,
        )
    assert.equal(answer('default', 'socketpair', [family, stream, 262]), EAFNOSUPPORT)
  }
  assert.equal(answer('default', 'socketpair', [1, 5, 0]), allow)
})

test('default refuses options that load another protocol, or join others', () => {
  const options: readonly (readonly [number, number, number | undefined])[] = [
    [6, 31, ENOENT],
    [17, 100, ENOPROTOOPT],
    ...[35, 39, 42, 46].map((name) => [0, name, ENODEV] as const),
    ...[20, 27, 42, 46].map((name) => [41, name, ENODEV] as const),
    // TCP_NODELAY, TCP_KEEPINTVL, SO_REUSEADDR, IP_TTL, IP_MULTICAST_IF, IPV6_V6ONLY, UDP_SEGMENT; and the same numbers elsewhere.
    ...[
      [6, 1],
      [6, 5],
      [1, 2],
      [0, 2],
      [0, 32],
      [41, 26],
      [17, 103],
      [1, 31],
      [1, 35],
      [41, 35],
      [0, 20],
      [6, 42],
    ].map(([level, name]) => [level!, name!, allow] as const),
  ]
  for (const high of [0n, 1n << 32n])
    for (const [level, name, expected] of options)
      assert.equal(
        answer('default', 'setsockopt', [3, high | BigInt(level), high | BigInt(name)]),
        expected,
        `${level} ${name}`,
      )
})

test('default sends nothing out of band', () => {
  for (const [call, place] of [
    ['sendto', 3],
    ['sendmmsg', 3],
    ['sendmsg', 2],
  ] as const) {
    const flags = (value: number | bigint) => Array.from({ length: 4 }, (_, index) => (index === place ? value : 1))
    for (const value of [1, 0x4001, 0x100000001n, 0xffffffff])
      assert.equal(answer('default', call, flags(value)), EOPNOTSUPP, `${call} ${value}`)
    for (const value of [0, 0x4000, 0x40, 0x100000000n])
      assert.equal(answer('default', call, flags(value)), allow, call)
  }
})

test('default refuses what leaves a terminal unusable, and the requests of a console', () => {
  for (const request of [0x540a, 0x540c, 0x541d, 0x894c]) assert.equal(answer('default', 'ioctl', [0, request]), EPERM)
  for (const request of [0x4b00, 0x4b49, 0x4bff, 0x5600, 0x5606, 0x56ff])
    assert.equal(answer('default', 'ioctl', [0, request]), ENOTTY)
  for (const request of [0x5401, 0x5402, 0x540b, 0x540d, 0x5413, 0x5414, 0x4aff, 0x4c00, 0x55ff, 0x5700])
    assert.equal(answer('default', 'ioctl', [0, request]), allow, String(request))
})

test('where no network is granted, default refuses the requests of network devices', () => {
  // SIOCADDRT, SIOCGIFNAME, SIOCGIFCONF, SIOCSIFFLAGS, SIOCGIFHWADDR, SIOCETHTOOL, SIOCDEVPRIVATE, SIOCSIWESSID, the last private one.
  const requests = [0x890b, 0x8910, 0x8912, 0x8914, 0x8927, 0x8946, 0x89f0, 0x8b1a, 0x8bff]
  for (const request of requests) {
    for (const high of [0n, 1n << 32n])
      assert.equal(answer('default', 'ioctl', [0, high | BigInt(request)], ['noNetwork']), ENODEV, request.toString(16))
    assert.equal(answer('default', 'ioctl', [0, request]), allow)
    assert.equal(answer('nested', 'ioctl', [0, request], ['noNetwork']), allow)
  }
  for (const request of [0x8902, 0x8905, 0x8906, 0x8c00, 0x541b])
    assert.equal(answer('default', 'ioctl', [0, request], ['noNetwork']), allow)
})

test('default changes no process of others, where these can be named', () => {
  const others = ['prlimit64', 'sched_setaffinity', 'sched_setattr', 'sched_setparam', 'sched_setscheduler']
  for (const name of others) {
    const args = (pid: number | bigint) => [pid, 7, 1n << 40n]
    assert.equal(answer('default', name, args(77)), allow, name)
    assert.equal(answer('default', name, args(1)), EPERM, name)
    for (const pid of [77, 1, 0x10000004d])
      assert.equal(answer('default', name, args(pid), ['sharedPids']), EPERM, name)
    for (const pid of [0, 1n << 32n]) assert.equal(answer('default', name, args(pid), ['sharedPids']), allow, name)
  }
  // To look at a limit.
  assert.equal(answer('default', 'prlimit64', [77, 7, 0, 1n << 40n], ['sharedPids']), allow)
  for (const [name, process, group, user] of [
    ['setpriority', 0, 1, 2],
    ['ioprio_set', 1, 2, 3],
  ] as const) {
    assert.equal(answer('default', name, [user, 0]), EPERM)
    for (const which of [process, group]) {
      assert.equal(answer('default', name, [which, 77]), allow, name)
      assert.equal(answer('default', name, [which, 77], ['sharedPids']), EPERM, name)
      assert.equal(answer('default', name, [which, 0], ['sharedPids']), allow, name)
    }
    assert.equal(answer('default', name, [process, 0], ['sharedSession']), allow, name)
    assert.equal(answer('default', name, [group, 0], ['sharedSession']), EPERM, name)
  }
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

test('strict lets threads wait and be woken, and reaches no other process by it', () => {
  const [unix, inet, stream, datagram, cloexec] = [1, 2, 1, 2, 0o2000000]
  for (const name of ['epoll_create1', 'epoll_ctl', 'epoll_pwait', 'epoll_wait', 'eventfd2', 'pipe2', 'rt_sigsuspend'])
    assert.equal(answer('strict', name), allow, name)
  for (const high of [0n, 1n << 32n]) {
    const pair = (family: number, type: number) =>
      answer('strict', 'socketpair', [high | BigInt(family), high | BigInt(type)])
    assert.deepEqual([pair(unix, stream), pair(unix, stream | cloexec)], [allow, allow])
    assert.deepEqual([pair(unix, datagram), pair(unix, 5), pair(inet, stream)], [EPERM, EPERM, EPERM])
    // SCHED_OTHER, which it has; SCHED_FIFO, SCHED_IDLE.
    assert.deepEqual(
      [0n, 1n, 5n].map((policy) => answer('strict', 'sched_setscheduler', [1, high | policy])),
      [returns.errno, EPERM, EPERM],
    )
    // CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_BOOTTIME_ALARM, a clock of a process.
    assert.deepEqual(
      [1n, 2n, 3n, 9n, 0xfffffffan].map((clock) => answer('strict', 'timer_create', [high | clock])),
      [allow, EPERM, EPERM, EPERM, EPERM],
    )
  }
  for (const name of ['recvfrom', 'sendto']) {
    const [nowait, quiet, outOfBand, errors] = [0x40, 0x4000, 1, 0x2000]
    const ask = (flags: number, address: bigint) => answer('strict', name, [0, 1, 2, flags, address])
    assert.deepEqual([ask(0, 0n), ask(nowait | quiet, 0n)], [allow, allow])
    for (const address of [1n, 1n << 32n]) assert.equal(ask(0, address), EPERM)
    for (const flags of [outOfBand, errors, nowait | outOfBand]) assert.equal(ask(flags, 0n), EPERM)
  }
  // SO_TYPE, SO_ERROR; SO_PEERCRED, SO_REUSEADDR; and TCP_CORK, which has the number of SO_TYPE.
  assert.deepEqual(
    [3, 4, 17, 2].map((option) => answer('strict', 'getsockopt', [0, 1, option])),
    [allow, allow, EPERM, EPERM],
  )
  assert.equal(answer('strict', 'getsockopt', [0, 6, 3]), EPERM)
  const others = 'sendmsg sendmmsg recvmsg recvmmsg connect bind listen accept4 splice sendfile setsockopt socket'
  for (const name of others.split(' ')) assert.equal(answer('strict', name), EPERM, name)
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
