/** What the probe looks at, and what it tries: each row is a section. */
import type { Assembler } from '../../src/assembly/assembler.js'
import { capabilities } from '../../src/kernel/capabilities.js'
import {
  AF,
  AT,
  FSOPEN,
  IOPRIO_WHO,
  IPPROTO,
  KEYCTL,
  LANDLOCK,
  MAP,
  MNT,
  OPEN_TREE,
  PR,
  PRIO,
  S_IF,
  SECCOMP,
  SOCK,
  TIOC,
} from '../../src/kernel/flags.js'
import { namespaceNames, namespaces } from '../../src/kernel/namespaces.js'
import { RLIM_INFINITY, rlimits } from '../../src/kernel/rlimits.js'
import { signals } from '../../src/kernel/signals.js'
import { pack, structs } from '../../src/kernel/structs.js'
import type { SyscallName } from '../../src/kernel/syscalls.js'
import type { Operand } from '../../src/machine/instruction.js'

/** Leaves in `result` what is told. */
export type Call = (c: Assembler) => void

const own = (name: string) => `/proc/self/${name}`

export const files = [
  ...['status', 'stat', 'mountinfo', 'uid_map', 'gid_map', 'projid_map', 'setgroups', 'limits', 'cgroup'].map(own),
  ...['oom_score_adj', 'coredump_filter', 'personality', 'loginuid', 'sessionid', 'cmdline', 'environ', 'comm'].map(
    own,
  ),
  ...['auxv', 'attr/current', 'timens_offsets'].map(own),
  ...['hostname', 'domainname'].map((name) => `/proc/sys/kernel/${name}`),
]

export const links = [...['exe', 'cwd', 'root'], ...namespaceNames.map((name) => `ns/${namespaces[name].file}`)].map(
  own,
)

/** linux/keyctl.h: KEYCTL_GET_KEYRING_ID, KEYCTL_DESCRIBE; of the session's keyring, and the user's. */
const [keyringId, describesKey, sessionKeyring, userKeyring] = [0, 6, -3, -4]

/** What tells a text: it is given a buffer of so many bytes, and gives the length. */
export const texts: Readonly<Record<string, (c: Assembler, buffer: Operand, size: number) => void>> = {
  'working directory': (c, buffer, size) => c.attempt('getcwd', buffer, size),
  // _ses is one of its own, _uid_ses that of the user: keyrings(7).
  'session keyring': (c, buffer, size) => c.attempt('keyctl', describesKey, sessionKeyring, buffer, size, 0),
}

const call =
  (name: SyscallName, ...args: readonly Operand[]): Call =>
  (c) =>
    void c.attempt(name, ...args)

/** What it gives when it succeeds differs from one time to the next, as a pid does: 0 is told. */
const whether =
  (then: Call): Call =>
  (c) => {
    then(c)
    c.whenFailed(
      () => {},
      () => c.b.move(c.result, 0),
    )
  }

const prctl = (option: number, ...args: readonly Operand[]) =>
  call('prctl', option, ...[...args, 0, 0, 0, 0].slice(0, 4))

/** linux/prctl.h: what speculates. */
const speculations = { 'store bypass': 0, 'indirect branch': 1, 'L1D flush': 2 }

/** Of the process itself. */
export const questions: Readonly<Record<string, Call>> = {
  'parent-death signal': (c) => {
    const place = c.b.reserve(8)
    c.attempt('prctl', PR.GET_PDEATHSIG, place, 0, 0, 0)
    c.b.load(c.result, 32, place)
  },
  dumpable: prctl(PR.GET_DUMPABLE),
  'secure bits': prctl(PR.GET_SECUREBITS),
  'keeps capabilities': prctl(PR.GET_KEEPCAPS),
  'no new privileges': prctl(PR.GET_NO_NEW_PRIVS),
  'timer slack': prctl(PR.GET_TIMERSLACK),
  'huge pages disabled': prctl(PR.GET_THP_DISABLE),
  subreaper: (c) => {
    const place = c.b.reserve(8)
    c.attempt('prctl', PR.GET_CHILD_SUBREAPER, place, 0, 0, 0)
    c.b.load(c.result, 32, place)
  },
  ...Object.fromEntries(
    Object.entries(speculations).map(([name, which]) => [
      `speculation: ${name}`,
      prctl(PR.GET_SPECULATION_CTRL, which),
    ]),
  ),
  scheduler: call('sched_getscheduler', 0),
  priority: call('getpriority', PRIO.PROCESS, 0),
  'input and output priority': call('ioprio_get', IOPRIO_WHO.PROCESS, 0),
  personality: call('personality', 0xffffffff),
  'processors allowed': (c) => {
    const place = c.b.reserve(128)
    c.attempt('sched_getaffinity', 0, 128, place)
    c.whenFailed(
      () => {},
      () => c.b.load(c.result, 64, place),
    )
  },
  'alarm left': (c) => {
    const timer = c.b.reserve(32)
    c.attempt('getitimer', 0, timer)
    c.b.load(c.result, 64, timer, 16)
  },
  parent: call('getppid'),
  'leads its session': leads('getsid'),
  'leads its group': leads('getpgid'),
  'signals pending': (c) => {
    const set = c.b.reserve(8)
    c.attempt('rt_sigpending', set, 8)
    c.b.load(c.result, 64, set)
  },
  umask: call('umask', 0),
}

function leads(asked: 'getsid' | 'getpgid'): Call {
  return (c) => {
    const own = c.b.temporary()
    c.b.move(own, c.attempt('getpid'))
    c.attempt(asked, 0)
    c.b.when(
      c.result,
      'eq',
      own,
      () => c.b.move(c.result, 1),
      () => c.b.move(c.result, 0),
    )
  }
}

/** The descriptor, or the error. */
const opens =
  (path: string, flag: 'RDONLY' | 'WRONLY' | 'RDWR' | 'PATH'): Call =>
  (c) =>
    void c.attempt('openat', AT.FDCWD, c.b.text(path), c.open[flag] | c.open.NOCTTY | c.open.NONBLOCK, 0)

/** Makes something, and removes it again. */
const makes =
  (path: string, make: (c: Assembler, path: Operand) => void, flags = 0): Call =>
  (c) => {
    const made = c.b.temporary()
    const place = c.b.text(path)
    make(c, place)
    c.b.move(made, c.result)
    c.whenFailed(
      () => {},
      () => c.attempt('unlinkat', AT.FDCWD, place, flags),
    )
    c.b.move(c.result, made)
  }

const createsFile = (directory: string): Call =>
  makes(`${directory}/probe-file`, (c, path) => {
    const mode = c.open.WRONLY | c.open.CREAT | c.open.EXCL
    c.attempt('openat', AT.FDCWD, path, mode, 0o600)
  })

const makesNode = (type: number, device = 0): Call =>
  makes('/tmp/probe-node', (c, path) => {
    c.attempt('mknodat', AT.FDCWD, path, type | 0o600, device)
  })

/** How often it succeeds before it fails, and what the failure was: `1000 * times + errno`. */
const untilItFails =
  (again: Call, most: number): Call =>
  (c) => {
    const { b } = c
    const times = b.temporary()
    b.move(times, 0)
    b.loop(({ leave }) => {
      again(c)
      c.whenFailed(leave)
      b.move(c.result, 0)
      b.compute(times, times, 'add', 1)
      b.when(times, 'eq', most, leave)
    })
    b.compute(times, times, 'mul', 1000)
    b.compute(c.result, times, 'sub', c.result)
  }

const raises = (name: keyof typeof rlimits): Call => {
  const most = pack(structs.rlimit64, { rlim_cur: RLIM_INFINITY, rlim_max: RLIM_INFINITY })
  return (c) => void c.attempt('prlimit64', 0, rlimits[name], c.b.bytes(most, 8), 0)
}

/** A domain of Landlock's is inherited, and a process may have sixteen: landlock(7). */
const addsDomain: Call = (c) => {
  const { b } = c
  const { size, fields } = structs.landlock_ruleset_attr
  const attributes = b.reserve(size, 8)
  const ruleset = b.temporary()
  b.store(64, attributes, fields.handled_access_fs.offset, LANDLOCK.ACCESS_FS_MAKE_BLOCK)
  b.move(ruleset, c.attempt('landlock_create_ruleset', attributes, 8, 0))
  c.whenFailed(
    () => {},
    () => {
      const restricted = b.temporary()
      b.move(restricted, c.attempt('landlock_restrict_self', ruleset, 0))
      c.attempt('close', ruleset)
      b.move(c.result, restricted)
    },
  )
}

const clones = (flags: number): Call =>
  whether((c) => {
    c.attempt('clone', flags | signals.SIGCHLD, 0, 0, 0, 0)
    c.b.when(c.result, 'eq', 0, () => c.exit(0))
  })

const newNamespaces = Object.fromEntries(
  namespaceNames.flatMap((name) => [
    [`unshare ${name}`, call('unshare', namespaces[name].flag)],
    // clone(2) has no room for it: its low byte is a signal.
    ...(name === 'time' ? [] : ([[`clone ${name}`, clones(namespaces[name].flag)]] as const)),
  ]),
)

const sockets = {
  'unix socket': [AF.UNIX, SOCK.STREAM, 0],
  'tcp socket': [AF.INET, SOCK.STREAM, 0],
  'udp socket': [AF.INET6, SOCK.DGRAM, 0],
  'raw socket': [AF.INET, SOCK.RAW, IPPROTO.ICMP],
  'netlink socket': [AF.NETLINK, SOCK.RAW, 0],
  'packet socket': [AF.PACKET, SOCK.RAW, 0],
  'vsock socket': [AF.VSOCK, SOCK.STREAM, 0],
  'alg socket': [AF.ALG, SOCK.SEQPACKET, 0],
} as const

const text = (value: string) => (c: Assembler) => c.b.text(value)

/** With arguments that are made where the program is. */
const with_ =
  (name: SyscallName, ...args: readonly (Operand | ((c: Assembler) => Operand))[]): Call =>
  (c) =>
    void c.attempt(name, ...args.map((one) => (typeof one === 'function' ? one(c) : one)))

/** What succeeds changes nothing for the next, or does so in a child only. Where root may, there is nothing to do it to. */
export const attempts: Readonly<Record<string, Call>> = {
  'mount somewhere': with_('mount', text('none'), text('/nowhere'), text('tmpfs'), 0, 0),
  'unmount something': with_('umount2', text('/nowhere'), MNT.DETACH),
  'fsopen tmpfs': with_('fsopen', text('tmpfs'), FSOPEN.CLOEXEC),
  'open_tree of the root': with_('open_tree', AT.FDCWD, text('/'), OPEN_TREE.CLONE),
  'pivot_root nowhere': with_('pivot_root', text('/nowhere'), text('/nowhere')),
  'chroot to the root': with_('chroot', text('/')),
  ...newNamespaces,
  'setns to nothing': call('setns', 0, 0),
  'be traced': call('ptrace', 0, 0, 0, 0),
  'seize pid 1': call('ptrace', 0x4206, 1, 0, 0),
  'read the memory of pid 1': (c) => {
    const { b } = c
    const vector = b.reserve(structs.iovec.size)
    b.store(64, vector, structs.iovec.fields.iov_base.offset, b.reserve(8))
    b.store(64, vector, structs.iovec.fields.iov_len.offset, 8)
    c.attempt('process_vm_readv', 1, vector, 1, vector, 1, 0)
  },
  'a descriptor of pid 1': (c) => {
    const pidfd = c.b.temporary()
    c.b.move(pidfd, c.attempt('pidfd_open', 1, 0))
    c.attempt('pidfd_getfd', pidfd, 0, 0)
  },
  'signal pid 1': call('kill', 1, 0),
  'environment of pid 1': opens('/proc/1/environ', 'RDONLY'),
  'program of pid 1': opens('/proc/1/exe', 'PATH'),
  'root of pid 1': opens('/proc/1/root', 'PATH'),
  'a namespace of pid 1': opens('/proc/1/ns/mnt', 'RDONLY'),
  'a session keyring': whether(call('keyctl', KEYCTL.JOIN_SESSION_KEYRING, 0, 0, 0, 0)),
  "the user's keyring": whether(call('keyctl', keyringId, userKeyring, 0)),
  'add a key': whether(with_('add_key', text('user'), text('probe'), text('x'), 1, sessionKeyring)),
  'request a key': whether(with_('request_key', text('user'), text('vial-no-such-key'), 0, sessionKeyring)),
  bpf: call('bpf', 0, 0, 0),
  perf_event_open: call('perf_event_open', 0, 0, -1, -1, 0),
  userfaultfd: call('userfaultfd', 0),
  io_uring_setup: call('io_uring_setup', 0, 0),
  open_by_handle_at: call('open_by_handle_at', AT.FDCWD, 0, 0),
  kexec_load: call('kexec_load', 0, 0, 0, 0xffff),
  init_module: call('init_module', 0, 0, 0),
  'reboot by a wrong number': call('reboot', 0, 0, 0, 0),
  'swap on nothing': with_('swapon', text('/nowhere'), 0),
  'account to nothing': with_('acct', text('/nowhere')),
  "the kernel's log": call('syslog', 10, 0, 0),
  'name the host nothing': call('sethostname', 0, -1),
  'another personality': call('personality', 0x0040000),
  'a filter of its own': call('seccomp', SECCOMP.GET_ACTION_AVAIL, 0, 0),
  'memory that is secret': call('memfd_secret', 0),
  'a file in memory': with_('memfd_create', text('probe'), 0),
  'become root': call('setuid', 0),
  'become another user': call('setuid', 4321),
  'become another group': call('setgid', 4321),
  'have no groups': call('setgroups', 0, 0),
  'other secure bits': prctl(PR.SET_SECUREBITS, 0),
  'keep capabilities': prctl(PR.SET_KEEPCAPS, 1),
  'an ambient capability': prctl(PR.CAP_AMBIENT, PR.CAP_AMBIENT_RAISE, capabilities.CAP_CHOWN),
  'no parent-death signal': prctl(PR.SET_PDEATHSIG, 0),
  'speculation again': prctl(PR.SET_SPECULATION_CTRL, 0, 2),
  'a higher priority': call('setpriority', PRIO.PROCESS, 0, -1),
  'a lower priority': call('setpriority', PRIO.PROCESS, 0, 19),
  'real-time input and output': call('ioprio_set', IOPRIO_WHO.PROCESS, 0, (1 << 13) | 4),
  'real-time scheduling': (c) => {
    const parameters = c.b.reserve(8)
    c.b.store(32, parameters, 0, 1)
    c.attempt('sched_setscheduler', 0, 1, parameters)
  },
  'lock its memory': call('mlockall', 1),
  'a session of its own': whether(call('setsid')),
  ...Object.fromEntries(
    (Object.keys(rlimits) as (keyof typeof rlimits)[]).map((name) => [`raise ${name}`, raises(name)]),
  ),
  'open files': untilItFails(opens('/dev/null', 'RDONLY'), 4000),
  'a gigabyte of memory': whether(
    call('mmap', 0, 2 ** 30, MAP.PROT_READ | MAP.PROT_WRITE, MAP.PRIVATE | MAP.ANONYMOUS, -1, 0),
  ),
  'a file of a megabyte': (c) => {
    const file = c.b.temporary()
    c.b.move(file, c.attempt('openat', AT.FDCWD, c.b.text('/tmp'), c.open.RDWR | c.open.TMPFILE, 0o600))
    c.attempt('ftruncate', file, 2 ** 20)
  },
  'domains of Landlock': untilItFails(addsDomain, 32),
  'a file in the root': createsFile(''),
  'a file in /usr': createsFile('/usr'),
  'a file in /etc': createsFile('/etc'),
  'a file in /tmp': createsFile('/tmp'),
  'a file in /dev': createsFile('/dev'),
  'a file in /work': createsFile('/work'),
  'a pipe': makesNode(S_IF.IFO),
  'a device that hides a file': makesNode(S_IF.CHR),
  'a device': makesNode(S_IF.CHR, 0x103),
  'a disk': makesNode(S_IF.BLK, 0x700),
  'a device of its own': opens('/dev/null', 'RDWR'),
  'its terminal': opens('/dev/tty', 'RDWR'),
  'a new terminal': whether(opens('/dev/ptmx', 'RDWR')),
  'type into its input': (c) => void c.attempt('ioctl', 0, TIOC.STI, c.b.text('x')),
  'write a map of ids': opens('/proc/self/uid_map', 'WRONLY'),
  'write a name of the kernel': opens('/proc/sys/kernel/hostname', 'WRONLY'),
  'write a limit of the kernel': opens('/proc/sys/vm/overcommit_memory', 'WRONLY'),
  'ask the kernel to crash': opens('/proc/sysrq-trigger', 'WRONLY'),
  'read the memory of the kernel': opens('/proc/kcore', 'RDONLY'),
  "read the kernel's messages": opens('/dev/kmsg', 'RDONLY'),
  'be killed last': (c) => {
    const file = c.b.temporary()
    c.b.move(file, c.attempt('openat', AT.FDCWD, c.b.text('/proc/self/oom_score_adj'), c.open.WRONLY, 0))
    c.attempt('write', file, c.b.text('-1000'), 5)
  },
  ...Object.fromEntries(Object.entries(sockets).map(([name, args]) => [name, call('socket', ...args)])),
}
