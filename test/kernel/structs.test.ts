import assert from 'node:assert/strict'
import test from 'node:test'
import { type Layout, pack, structs } from '../../src/kernel/structs.js'
import { ask, differences, toolchains } from './compiler.js'

const library = [
  'poll.h',
  'sched.h',
  'signal.h',
  'time.h',
  'net/if.h',
  'netinet/in.h',
  'sys/ioctl.h',
  'sys/mount.h',
  'sys/resource.h',
  'sys/socket.h',
  'sys/stat.h',
  'sys/statfs.h',
  'sys/uio.h',
  'sys/un.h',
  'linux/capability.h',
  'linux/filter.h',
  'linux/if_addr.h',
  'linux/landlock.h',
  'linux/netlink.h',
  'linux/openat2.h',
  'linux/rtnetlink.h',
  'linux/sched.h',
  'linux/seccomp.h',
]
/** The C library has a structure of the same name and another layout. */
const kernelOnly: Readonly<Record<string, string>> = { sigaction: 'asm/signal.h', termios: 'asm/termbits.h' }

const types: Readonly<Record<string, string>> = {
  siginfo: 'siginfo_t',
  cap_user_header: 'struct __user_cap_header_struct',
  cap_user_data: 'struct __user_cap_data_struct',
}
const members: Readonly<Record<string, string>> = { 'ifreq.name': 'ifr_name', 'ifreq.flags': 'ifr_flags' }

/** What Linux 6.1's headers do not have yet, and a macro that came with it (or after it). */
const newer: Readonly<Record<string, string>> = {
  'landlock_ruleset_attr:size': 'LANDLOCK_SCOPE_SIGNAL',
  'landlock_ruleset_attr.handled_access_net': 'LANDLOCK_ACCESS_NET_BIND_TCP',
  'landlock_ruleset_attr.scoped': 'LANDLOCK_SCOPE_SIGNAL',
  'landlock_net_port_attr:size': 'LANDLOCK_ACCESS_NET_BIND_TCP',
  'landlock_net_port_attr.allowed_access': 'LANDLOCK_ACCESS_NET_BIND_TCP',
  'landlock_net_port_attr.port': 'LANDLOCK_ACCESS_NET_BIND_TCP',
}

function facts(names: readonly string[]) {
  const expected = new Map<string, number>()
  const expressions = new Map<string, string>()
  const guards = new Map<string, string>()
  const fact = (key: string, of: string, value: number, expression: string) => {
    expected.set(key, value)
    expressions.set(key, expression)
    const guard = newer[of]
    if (guard !== undefined) guards.set(key, guard)
  }
  for (const name of names) {
    const layout: Layout = structs[name as keyof typeof structs]
    const type = types[name] ?? `struct ${name}`
    fact(`${name}:size`, `${name}:size`, layout.size, `sizeof(${type})`)
    for (const [field, { offset, size }] of Object.entries(layout.fields)) {
      const path = `${name}.${field}`
      const member = members[path] ?? field
      fact(`${path}:offset`, path, offset, `offsetof(${type}, ${member})`)
      fact(`${path}:size`, path, size, `sizeof(((${type} *)0)->${member})`)
    }
  }
  return { expected, expressions, guards }
}

for (const tools of toolchains) {
  const { architecture, skip } = tools
  test(`layouts are those of the ${architecture} headers`, skip === undefined ? {} : { skip }, () => {
    const sets = [
      { includes: library, names: Object.keys(structs).filter((name) => !(name in kernelOnly)) },
      ...Object.entries(kernelOnly).map(([name, header]) => ({ includes: [header], names: [name] })),
    ]
    for (const { includes, names } of sets) {
      const { expected, expressions, guards } = facts(names)
      const { wrong, unknown } = differences(expected, ask(tools, { includes, expressions, guards }))
      assert.deepEqual(wrong, [])
      assert.deepEqual(
        unknown.filter((key) => !guards.has(key)),
        [],
      )
    }
  })
}

test('pack puts numbers where the layout says, little endian', () => {
  const bytes = pack(structs.open_how, { flags: 0x10203, resolve: 0x8000_0000_0000_0000n })
  assert.deepEqual([...bytes], [3, 2, 1, 0, 0, 0, 0, 0, ...Array(8).fill(0), 0, 0, 0, 0, 0, 0, 0, 0x80])
})

test('pack takes negative numbers, text and bytes', () => {
  assert.deepEqual([...pack(structs.pollfd, { fd: -1, events: 1 })], [255, 255, 255, 255, 1, 0, 0, 0])
  const request = pack(structs.ifreq, { name: 'lo', flags: 0x41 })
  assert.deepEqual([...request.subarray(0, 4), request[16]], [0x6c, 0x6f, 0, 0, 0x41])
  assert.deepEqual([...pack(structs.seccomp_data, { args: Uint8Array.of(9) })].slice(15, 18), [0, 9, 0])
})

test('pack refuses what does not fit and fields that are not there', () => {
  assert.throws(() => pack(structs.pollfd, { events: 0x10000 }), RangeError)
  assert.throws(() => pack(structs.pollfd, { events: -0x8001 }), RangeError)
  assert.throws(() => pack(structs.ifreq, { name: 'a name of seventeen' }), RangeError)
  assert.throws(() => pack(structs.pollfd, { nothing: 1 } as object), TypeError)
})
