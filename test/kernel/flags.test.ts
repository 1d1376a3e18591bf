import assert from 'node:assert/strict'
import test from 'node:test'
import * as flags from '../../src/kernel/flags.js'
import * as netlink from '../../src/kernel/netlink.js'
import { ask, differences, toolchains } from './compiler.js'

/** The headers that go together: the C library's wrap some of the kernel's and clash with the rest. */
const library = [
  'fcntl.h',
  'poll.h',
  'sched.h',
  'signal.h',
  'termios.h',
  'time.h',
  'net/if.h',
  'netinet/in.h',
  'netinet/tcp.h',
  'netinet/udp.h',
  'sys/inotify.h',
  'sys/ioctl.h',
  'sys/mman.h',
  'sys/mount.h',
  'sys/resource.h',
  'sys/socket.h',
  'sys/stat.h',
  'sys/wait.h',
  'linux/audit.h',
  'linux/bpf_common.h',
  'linux/close_range.h',
  'linux/ioprio.h',
  'linux/if_addr.h',
  'linux/keyctl.h',
  'linux/landlock.h',
  'linux/magic.h',
  'linux/memfd.h',
  'linux/netlink.h',
  'linux/openat2.h',
  'linux/prctl.h',
  'linux/rtnetlink.h',
  'linux/sched.h',
  'linux/seccomp.h',
  'linux/securebits.h',
  'linux/sockios.h',
]
/** The kernel's own idea of these differs from the C library's. */
const kernelOnly: Readonly<Record<string, string>> = { SA: 'asm/signal.h' }

/** A macro that came with a member of an enum, or with the enum. */
const cameWith: Readonly<Record<string, string>> = {
  'LANDLOCK.RULE_NET_PORT': 'LANDLOCK_ACCESS_NET_BIND_TCP',
  'RTA.OIF': 'RTA_MAX',
  'RTN.LOCAL': 'RTN_MAX',
  'RT_TABLE.LOCAL': 'RTN_MAX',
  'RT_SCOPE.UNIVERSE': 'RTN_MAX',
  'RT_SCOPE.HOST': 'RTN_MAX',
  'IFA.ADDRESS': 'IFA_MAX',
  'IFA.LOCAL': 'IFA_MAX',
}

/** Groups whose prefix in C is not their name and `_`. */
const prefixes: Readonly<Record<string, string>> = { S_IF: 'S_IF', S_IS: 'S_IS', SIGMASK: 'SIG_', TERMIOS: '' }
for (const group of ['WAIT', 'POLL', 'TIOC', 'TC', 'FIO', 'SIOC']) Object.assign(prefixes, { [group]: group })
const magics = [
  'SYSFS',
  'DEBUGFS',
  'TRACEFS',
  'SECURITYFS',
  'SELINUX',
  'SMACK',
  'BPF_FS',
  'BINFMTFS',
  'PSTOREFS',
  'EFIVARFS',
]
const exceptions: Readonly<Record<string, string>> = {
  ...Object.fromEntries(magics.map((name) => [`SUPER_MAGIC.${name}`, `${name}_MAGIC`])),
  'SUPER_MAGIC.PROC': 'PROC_SUPER_MAGIC',
  'SUPER_MAGIC.DEVPTS': 'DEVPTS_SUPER_MAGIC',
  'SUPER_MAGIC.CGROUP': 'CGROUP_SUPER_MAGIC',
  'SUPER_MAGIC.CGROUP2': 'CGROUP2_SUPER_MAGIC',
  'MNT.NOFOLLOW': 'UMOUNT_NOFOLLOW',
  'MAP.PROT_NONE': 'PROT_NONE',
  'MAP.PROT_READ': 'PROT_READ',
  'MAP.PROT_WRITE': 'PROT_WRITE',
  'MAP.PROT_EXEC': 'PROT_EXEC',
  'WAIT.NOTHREAD': '__WNOTHREAD',
  'WAIT.ALL': '__WALL',
  'WAIT.CLONE': '__WCLONE',
}

/** Newer than the oldest headers these tests are run with: Linux 6.1, glibc 2.36. */
const mayBeUnknown = new Set([
  'MOVE_MOUNT.BENEATH',
  'MFD.NOEXEC_SEAL',
  'MFD.EXEC',
  'F.SEAL_EXEC',
  'LANDLOCK.RULE_NET_PORT',
  'LANDLOCK.ACCESS_FS_TRUNCATE',
  'LANDLOCK.ACCESS_FS_IOCTL_DEV',
  'LANDLOCK.ACCESS_NET_BIND_TCP',
  'LANDLOCK.ACCESS_NET_CONNECT_TCP',
  'LANDLOCK.SCOPE_ABSTRACT_UNIX_SOCKET',
  'LANDLOCK.SCOPE_SIGNAL',
])

/** Names that are members of an enum and no macro, so that the preprocessor cannot tell whether they exist. */
const enumerated = /^(P|CLD|SI|SCM|FSCONFIG|PRIO|IOPRIO_WHO)\.|^LANDLOCK\.RULE_PATH/

function inC(name: string): string {
  const [group = '', member = ''] = name.split('.')
  return exceptions[name] ?? (group === 'WAIT' ? `W${member}` : `${prefixes[group] ?? `${group}_`}${member}`)
}

const constants = new Map(
  Object.entries({ ...flags, ...netlink }).flatMap(([group, members]) =>
    typeof members === 'object' && group !== 'auditArchitecture'
      ? Object.entries(members).map(([member, value]) => [`${group}.${member}`, value] as const)
      : [],
  ),
)

for (const tools of toolchains) {
  const { architecture, skip } = tools
  const options = skip === undefined ? {} : { skip }

  test(`flags are those of the ${architecture} headers`, options, () => {
    const found = new Map<string, string>()
    const sets = [
      { includes: library, names: [...constants.keys()].filter((name) => !(name.split('.')[0]! in kernelOnly)) },
      ...Object.entries(kernelOnly).map(([group, header]) => ({
        includes: [header],
        names: [...constants.keys()].filter((name) => name.startsWith(`${group}.`)),
      })),
    ]
    for (const { includes, names } of sets) {
      const expressions = new Map(names.map((name) => [name, inC(name)]))
      const guards = new Map(
        [...expressions]
          .filter(([name]) => !enumerated.test(name))
          .map(([name, macro]) => [name, cameWith[name] ?? macro]),
      )
      for (const [name, value] of ask(tools, { includes, expressions, guards })) found.set(name, value)
    }
    const { wrong, unknown } = differences(constants, found)
    assert.deepEqual(wrong, [])
    assert.deepEqual(
      unknown.filter((name) => !mayBeUnknown.has(name)),
      [],
    )
  })

  test(`open flags are the kernel's on ${architecture}`, options, () => {
    const open = flags.openFlags(architecture)
    const expressions = new Map(Object.keys(open).map((name) => [name, `O_${name}`]))
    const { wrong, unknown } = differences(
      new Map(Object.entries(open)),
      ask(tools, { includes: ['asm/fcntl.h'], expressions }),
    )
    assert.deepEqual([...wrong, ...unknown], [])
  })

  test(`seccomp sees ${architecture} as the header says`, options, () => {
    const macro = { x64: 'AUDIT_ARCH_X86_64', arm64: 'AUDIT_ARCH_AARCH64' }[architecture]
    const found = ask(tools, { includes: ['linux/audit.h'], expressions: new Map([['arch', `(unsigned)${macro}`]]) })
    assert.equal(found.get('arch'), String(flags.auditArchitecture[architecture]))
  })
}
