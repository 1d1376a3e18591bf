/**
 * Constants of the kernel's interface, in groups: the name of the group is the prefix in C, so that `CLONE.NEWNS` is
 * CLONE_NEWNS. They are the same on both architectures unless a function gives them.
 *
 * A few use bit 31 or above, where JavaScript's `|` makes a number negative: they say so.
 */
import type { Architecture } from './architecture.js'

/** `linux/sched.h`; clone(2), unshare(2), setns(2). */
export const CLONE = {
  NEWTIME: 0x80,
  VM: 0x100,
  FS: 0x200,
  FILES: 0x400,
  SIGHAND: 0x800,
  PIDFD: 0x1000,
  PTRACE: 0x2000,
  VFORK: 0x4000,
  PARENT: 0x8000,
  THREAD: 0x10000,
  NEWNS: 0x20000,
  SYSVSEM: 0x40000,
  SETTLS: 0x80000,
  PARENT_SETTID: 0x100000,
  CHILD_CLEARTID: 0x200000,
  UNTRACED: 0x800000,
  CHILD_SETTID: 0x1000000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
  /** Bit 31. */
  IO: 0x80000000,
  /** Bit 32, only for clone3. */
  CLEAR_SIGHAND: 0x100000000,
  /** Bit 33, only for clone3. */
  INTO_CGROUP: 0x200000000,
} as const

/** `linux/mount.h`; mount_setattr(2). */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  _ATIME: 0x70,
  RELATIME: 0x0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
  NOSYMFOLLOW: 0x200000,
} as const

/** `linux/mount.h`; open_tree(2). */
export const OPEN_TREE = { CLONE: 0x1, CLOEXEC: 0o2000000 } as const

/** `linux/mount.h`; move_mount(2). BENEATH came with Linux 6.5. */
export const MOVE_MOUNT = {
  F_SYMLINKS: 0x1,
  F_AUTOMOUNTS: 0x2,
  F_EMPTY_PATH: 0x4,
  T_SYMLINKS: 0x10,
  T_AUTOMOUNTS: 0x20,
  T_EMPTY_PATH: 0x40,
  SET_GROUP: 0x100,
  BENEATH: 0x200,
} as const

/** The commands of fsconfig(2), `linux/mount.h`. */
export const FSCONFIG = {
  SET_FLAG: 0,
  SET_STRING: 1,
  SET_BINARY: 2,
  SET_PATH: 3,
  SET_PATH_EMPTY: 4,
  SET_FD: 5,
  CMD_CREATE: 6,
  CMD_RECONFIGURE: 7,
} as const

/** `asm-generic/fcntl.h`; flock(2). */
export const LOCK = { EX: 2, NB: 4 } as const

/** `linux/mount.h`; fsopen(2). */
export const FSOPEN = { CLOEXEC: 0x1 } as const

/** `linux/mount.h`; fsmount(2). */
export const FSMOUNT = { CLOEXEC: 0x1 } as const

/** `linux/mount.h`; fspick(2). */
export const FSPICK = { CLOEXEC: 0x1, SYMLINK_NOFOLLOW: 0x2, NO_AUTOMOUNT: 0x4, EMPTY_PATH: 0x8 } as const

/** `linux/mount.h`; mount(2). */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  SILENT: 32768,
  POSIXACL: 1 << 16,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  KERNMOUNT: 1 << 22,
  I_VERSION: 1 << 23,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const

/** `linux/fs.h`; umount2(2). NOFOLLOW is UMOUNT_NOFOLLOW. */
export const MNT = { FORCE: 1, DETACH: 2, EXPIRE: 4, NOFOLLOW: 8 } as const

/** `linux/fcntl.h`; the `*at` system calls. */
export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  EACCESS: 0x200,
  REMOVEDIR: 0x200,
  SYMLINK_FOLLOW: 0x400,
  NO_AUTOMOUNT: 0x800,
  EMPTY_PATH: 0x1000,
  STATX_SYNC_AS_STAT: 0x0,
  STATX_FORCE_SYNC: 0x2000,
  STATX_DONT_SYNC: 0x4000,
  RECURSIVE: 0x8000,
} as const

/** `linux/openat2.h`; openat2(2). */
export const RESOLVE = {
  NO_XDEV: 0x1,
  NO_MAGICLINKS: 0x2,
  NO_SYMLINKS: 0x4,
  BENEATH: 0x8,
  IN_ROOT: 0x10,
  CACHED: 0x20,
} as const

/** `linux/magic.h`; statfs(2). There PROC_SUPER_MAGIC, SYSFS_MAGIC and so on: of what shows the kernel. */
export const SUPER_MAGIC = {
  PROC: 0x9fa0,
  SYSFS: 0x62656572,
  DEVPTS: 0x1cd1,
  CGROUP: 0x27e0eb,
  CGROUP2: 0x63677270,
  DEBUGFS: 0x64626720,
  TRACEFS: 0x74726163,
  SECURITYFS: 0x73636673,
  SELINUX: 0xf97cff8c,
  SMACK: 0x43415d53,
  BPF_FS: 0xcafe4a11,
  BINFMTFS: 0x42494e4d,
  PSTOREFS: 0x6165676c,
  EFIVARFS: 0xde5e81e4,
} as const

/** `linux/fs.h`; renameat2(2). */
export const RENAME = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const

/** `linux/close_range.h`; close_range(2). */
export const CLOSE_RANGE = { UNSHARE: 2, CLOEXEC: 4 } as const

/** `linux/prctl.h`; prctl(2). CAP_AMBIENT_… are the second argument of CAP_AMBIENT. */
export const PR = {
  SET_PDEATHSIG: 1,
  GET_PDEATHSIG: 2,
  GET_DUMPABLE: 3,
  SET_DUMPABLE: 4,
  GET_KEEPCAPS: 7,
  SET_KEEPCAPS: 8,
  SET_NAME: 15,
  GET_NAME: 16,
  GET_SECCOMP: 21,
  SET_SECCOMP: 22,
  CAPBSET_READ: 23,
  CAPBSET_DROP: 24,
  GET_TSC: 25,
  SET_TSC: 26,
  GET_SECUREBITS: 27,
  SET_SECUREBITS: 28,
  SET_TIMERSLACK: 29,
  GET_TIMERSLACK: 30,
  SET_MM: 35,
  SET_CHILD_SUBREAPER: 36,
  GET_CHILD_SUBREAPER: 37,
  SET_NO_NEW_PRIVS: 38,
  GET_NO_NEW_PRIVS: 39,
  SET_THP_DISABLE: 41,
  GET_THP_DISABLE: 42,
  CAP_AMBIENT: 47,
  CAP_AMBIENT_IS_SET: 1,
  CAP_AMBIENT_RAISE: 2,
  CAP_AMBIENT_LOWER: 3,
  CAP_AMBIENT_CLEAR_ALL: 4,
  GET_SPECULATION_CTRL: 52,
  SET_SPECULATION_CTRL: 53,
  SET_PTRACER: 0x59616d61,
} as const

/** `linux/keyctl.h`; keyctl(2). */
export const KEYCTL = { JOIN_SESSION_KEYRING: 1 } as const

/** `linux/securebits.h`; capabilities(7). */
export const SECBIT = {
  NOROOT: 1 << 0,
  NOROOT_LOCKED: 1 << 1,
  NO_SETUID_FIXUP: 1 << 2,
  NO_SETUID_FIXUP_LOCKED: 1 << 3,
  KEEP_CAPS: 1 << 4,
  KEEP_CAPS_LOCKED: 1 << 5,
  NO_CAP_AMBIENT_RAISE: 1 << 6,
  NO_CAP_AMBIENT_RAISE_LOCKED: 1 << 7,
} as const

/** File types in a mode, `linux/stat.h`; inode(7). `MT` is S_IFMT, the mask. */
export const S_IF = {
  MT: 0o170000,
  SOCK: 0o140000,
  LNK: 0o120000,
  REG: 0o100000,
  BLK: 0o60000,
  DIR: 0o40000,
  CHR: 0o20000,
  IFO: 0o10000,
} as const

/** Set-id and sticky bits of a mode, `linux/stat.h`; inode(7). */
export const S_IS = { UID: 0o4000, GID: 0o2000, VTX: 0o1000 } as const

/** `asm-generic/fcntl.h`, `linux/fcntl.h`; fcntl(2). FD_CLOEXEC is what SETFD takes. */
export const F = {
  DUPFD: 0,
  GETFD: 1,
  SETFD: 2,
  GETFL: 3,
  SETFL: 4,
  GETLK: 5,
  SETLK: 6,
  SETLKW: 7,
  SETOWN: 8,
  GETOWN: 9,
  SETSIG: 10,
  GETSIG: 11,
  SETLEASE: 1024,
  NOTIFY: 1026,
  DUPFD_CLOEXEC: 1030,
  SETPIPE_SZ: 1031,
  GETPIPE_SZ: 1032,
  ADD_SEALS: 1033,
  GET_SEALS: 1034,
  SET_FILE_RW_HINT: 1038,
  OFD_GETLK: 36,
  OFD_SETLK: 37,
  OFD_SETLKW: 38,
  SEAL_SEAL: 0x1,
  SEAL_SHRINK: 0x2,
  SEAL_GROW: 0x4,
  SEAL_WRITE: 0x8,
  SEAL_FUTURE_WRITE: 0x10,
  /** Linux 6.3. */
  SEAL_EXEC: 0x20,
} as const

/** `asm-generic/fcntl.h`; fcntl(2). */
export const FD = { CLOEXEC: 1 } as const

/** `linux/memfd.h`; memfd_create(2). NOEXEC_SEAL and EXEC came with Linux 6.3. */
export const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, HUGETLB: 4, NOEXEC_SEAL: 8, EXEC: 16 } as const

/** Options of wait4(2) and waitid(2), `linux/wait.h`; in C they begin with W or, where Linux's own, with __W. */
export const WAIT = {
  NOHANG: 1,
  UNTRACED: 2,
  STOPPED: 2,
  EXITED: 4,
  CONTINUED: 8,
  NOWAIT: 0x1000000,
  NOTHREAD: 0x20000000,
  ALL: 0x40000000,
  /** Bit 31. */
  CLONE: 0x80000000,
} as const

/** What waitid(2) waits for, `linux/wait.h`. */
export const P = { ALL: 0, PID: 1, PGID: 2, PIDFD: 3 } as const

/** The si_code of a SIGCHLD, `asm-generic/siginfo.h`; sigaction(2). */
export const CLD = { EXITED: 1, KILLED: 2, DUMPED: 3, TRAPPED: 4, STOPPED: 5, CONTINUED: 6 } as const

/** The si_code of a signal that a process sent, `asm-generic/siginfo.h`; sigaction(2). */
export const SI = { USER: 0, KERNEL: 0x80, QUEUE: -1, TIMER: -2, TKILL: -6 } as const

/** How rt_sigprocmask changes the mask, `asm-generic/signal-defs.h`; sigprocmask(2). In C: SIG_BLOCK… */
export const SIGMASK = { BLOCK: 0, UNBLOCK: 1, SETMASK: 2 } as const

/** Handlers that are not functions, `asm-generic/signal-defs.h`; signal(2). */
export const SIG = { DFL: 0, IGN: 1 } as const

/** `asm/signal.h`; sigaction(2). RESTORER is not for programs written in C, and x64 demands it of a handler. */
export const SA = {
  NOCLDSTOP: 0x1,
  NOCLDWAIT: 0x2,
  SIGINFO: 0x4,
  RESTORER: 0x4000000,
  ONSTACK: 0x8000000,
  RESTART: 0x10000000,
  NODEFER: 0x40000000,
  /** Bit 31. */
  RESETHAND: 0x80000000,
} as const

/** `asm-generic/mman-common.h`, `linux/mman.h`; mmap(2). The protections keep their PROT_ prefix. */
export const MAP = {
  PROT_NONE: 0,
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  SHARED: 0x1,
  PRIVATE: 0x2,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  NORESERVE: 0x4000,
  POPULATE: 0x8000,
  STACK: 0x20000,
  FIXED_NOREPLACE: 0x100000,
} as const

/** Flags of a network interface, `linux/if.h`; netdevice(7). */
export const IFF = { UP: 0x1, BROADCAST: 0x2, LOOPBACK: 0x8, POINTOPOINT: 0x10, RUNNING: 0x40, NOARP: 0x80 } as const

/** ioctls of sockets, `linux/sockios.h`; netdevice(7). */
export const SIOC = {
  ADDRT: 0x890b,
  GIFFLAGS: 0x8913,
  SIFFLAGS: 0x8914,
  GIFADDR: 0x8915,
  SIFADDR: 0x8916,
  SIFNETMASK: 0x891c,
  SIFMTU: 0x8922,
  GIFINDEX: 0x8933,
  GSKNS: 0x894c,
} as const

/** `linux/socket.h`; socket(2). */
export const AF = { UNSPEC: 0, UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17, ALG: 38, VSOCK: 40 } as const

/** `linux/net.h`; socket(2). */
export const SOCK = {
  STREAM: 1,
  DGRAM: 2,
  RAW: 3,
  SEQPACKET: 5,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const

/** `linux/socket.h`; socket(7), unix(7). */
export const SOL = { SOCKET: 1 } as const
export const SO = { REUSEADDR: 2, TYPE: 3, ERROR: 4 } as const
export const SCM = { RIGHTS: 1, CREDENTIALS: 2 } as const
export const MSG = {
  OOB: 0x1,
  PEEK: 0x2,
  DONTWAIT: 0x40,
  WAITALL: 0x100,
  NOSIGNAL: 0x4000,
  CMSG_CLOEXEC: 0x40000000,
} as const

/** `linux/in.h`, `linux/in6.h`; ip(7). MPTCP came with Linux 5.6. */
export const IPPROTO = { IP: 0, ICMP: 1, TCP: 6, UDP: 17, IPV6: 41, ICMPV6: 58, MPTCP: 262 } as const

/** Options of setsockopt(2) by level: `linux/in.h`, `linux/in6.h`, `linux/tcp.h`, `linux/udp.h`. MCAST is for both ip(7) and ipv6(7). */
export const IP = { FREEBIND: 15, ADD_MEMBERSHIP: 35, ADD_SOURCE_MEMBERSHIP: 39 } as const
export const IPV6 = { ADD_MEMBERSHIP: 20, V6ONLY: 26, JOIN_ANYCAST: 27 } as const
export const MCAST = { JOIN_GROUP: 42, JOIN_SOURCE_GROUP: 46 } as const
export const TCP = { ULP: 31 } as const
export const UDP = { ENCAP: 100 } as const

/** Whose priority, `linux/resource.h`; setpriority(2). */
export const PRIO = { PROCESS: 0, PGRP: 1, USER: 2 } as const

/** Whose I/O priority, `linux/ioprio.h`; ioprio_set(2). */
export const IOPRIO_WHO = { PROCESS: 1, PGRP: 2, USER: 3 } as const

/** `linux/inotify.h`; inotify(7). */
export const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  MOVE_SELF: 0x800,
  Q_OVERFLOW: 0x4000,
  IGNORED: 0x8000,
  ONLYDIR: 0x1000000,
} as const

/** `asm-generic/poll.h`; poll(2). */
export const POLL = {
  IN: 0x1,
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  NVAL: 0x20,
  RDNORM: 0x40,
  WRNORM: 0x100,
  RDHUP: 0x2000,
} as const

/** What to ask statx(2) for, `linux/stat.h`. */
export const STATX = {
  TYPE: 0x1,
  MODE: 0x2,
  NLINK: 0x4,
  UID: 0x8,
  GID: 0x10,
  ATIME: 0x20,
  MTIME: 0x40,
  CTIME: 0x80,
  INO: 0x100,
  SIZE: 0x200,
  BLOCKS: 0x400,
  BASIC_STATS: 0x7ff,
  BTIME: 0x800,
  MNT_ID: 0x1000,
  ATTR_MOUNT_ROOT: 0x2000,
} as const

/** `linux/resource.h`; getrusage(2). */
export const RUSAGE = { SELF: 0, CHILDREN: -1, THREAD: 1 } as const

/** ioctls of terminals, `asm-generic/ioctls.h`; ioctl_tty(2). GPTN is bit 31. */
export const TIOC = {
  EXCL: 0x540c,
  SCTTY: 0x540e,
  GPGRP: 0x540f,
  SPGRP: 0x5410,
  STI: 0x5412,
  GWINSZ: 0x5413,
  SWINSZ: 0x5414,
  LINUX: 0x541c,
  CONS: 0x541d,
  NOTTY: 0x5422,
  SETD: 0x5423,
  GSID: 0x5429,
  GPTN: 0x80045430,
  SPTLCK: 0x40045431,
  GPTPEER: 0x5441,
} as const

/** Modes and flow control of a terminal, `asm-generic/ioctls.h`; ioctl_tty(2). */
export const TC = { GETS: 0x5401, SETS: 0x5402, XONC: 0x540a, OON: 1 } as const

/** Modes of a terminal, `asm-generic/termbits.h`; termios(3). */
export const TERMIOS = {
  ...{ IGNBRK: 0x1, BRKINT: 0x2, PARMRK: 0x8, ISTRIP: 0x20, INLCR: 0x40, IGNCR: 0x80, ICRNL: 0x100 },
  ...{ IXON: 0x400, IUTF8: 0x4000, OPOST: 0x1, CSIZE: 0x30, CS8: 0x30, PARENB: 0x100 },
  ...{ ISIG: 0x1, ICANON: 0x2, ECHO: 0x8, ECHONL: 0x40, IEXTEN: 0x8000 },
  // Indices of control characters.
  ...{ VTIME: 5, VMIN: 6 },
} as const

/** ioctls of any file, `asm-generic/ioctls.h`; ioctl(2). */
export const FIO = { NBIO: 0x5421, NREAD: 0x541b, NCLEX: 0x5450, CLEX: 0x5451, ASYNC: 0x5452 } as const

/** `linux/time.h`; clock_gettime(2). */
export const CLOCK = {
  REALTIME: 0,
  MONOTONIC: 1,
  PROCESS_CPUTIME_ID: 2,
  THREAD_CPUTIME_ID: 3,
  MONOTONIC_RAW: 4,
  REALTIME_COARSE: 5,
  MONOTONIC_COARSE: 6,
  BOOTTIME: 7,
  TAI: 11,
} as const

/** `linux/seccomp.h`; seccomp(2). MODE_FILTER is for prctl, SET_MODE_FILTER for seccomp. RET_KILL_PROCESS is bit 31. */
export const SECCOMP = {
  MODE_STRICT: 1,
  MODE_FILTER: 2,
  SET_MODE_STRICT: 0,
  SET_MODE_FILTER: 1,
  GET_ACTION_AVAIL: 2,
  GET_NOTIF_SIZES: 3,
  FILTER_FLAG_TSYNC: 1,
  FILTER_FLAG_LOG: 2,
  FILTER_FLAG_SPEC_ALLOW: 4,
  FILTER_FLAG_NEW_LISTENER: 8,
  FILTER_FLAG_TSYNC_ESRCH: 16,
  FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
  RET_KILL_PROCESS: 0x80000000,
  RET_KILL_THREAD: 0x0,
  RET_TRAP: 0x30000,
  RET_ERRNO: 0x50000,
  RET_USER_NOTIF: 0x7fc00000,
  RET_TRACE: 0x7ff00000,
  RET_LOG: 0x7ffc0000,
  RET_ALLOW: 0x7fff0000,
  RET_DATA: 0xffff,
} as const

/** `linux/bpf_common.h`; the classic BPF of seccomp(2). */
export const BPF = {
  LD: 0x0,
  ALU: 0x4,
  JMP: 0x5,
  RET: 0x6,
  W: 0x0,
  ABS: 0x20,
  K: 0x0,
  AND: 0x50,
  JA: 0x0,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
} as const

/** `linux/landlock.h`; landlock(7). FS_REFER: ABI 2; FS_TRUNCATE: 3; NET: 4; FS_IOCTL_DEV: 5; SCOPE: 6. */
export const LANDLOCK = {
  CREATE_RULESET_VERSION: 1,
  RULE_PATH_BENEATH: 1,
  RULE_NET_PORT: 2,
  ACCESS_FS_EXECUTE: 1 << 0,
  ACCESS_FS_WRITE_FILE: 1 << 1,
  ACCESS_FS_READ_FILE: 1 << 2,
  ACCESS_FS_READ_DIR: 1 << 3,
  ACCESS_FS_REMOVE_DIR: 1 << 4,
  ACCESS_FS_REMOVE_FILE: 1 << 5,
  ACCESS_FS_MAKE_CHAR: 1 << 6,
  ACCESS_FS_MAKE_DIR: 1 << 7,
  ACCESS_FS_MAKE_REG: 1 << 8,
  ACCESS_FS_MAKE_SOCK: 1 << 9,
  ACCESS_FS_MAKE_FIFO: 1 << 10,
  ACCESS_FS_MAKE_BLOCK: 1 << 11,
  ACCESS_FS_MAKE_SYM: 1 << 12,
  ACCESS_FS_REFER: 1 << 13,
  ACCESS_FS_TRUNCATE: 1 << 14,
  ACCESS_FS_IOCTL_DEV: 1 << 15,
  ACCESS_NET_BIND_TCP: 1 << 0,
  ACCESS_NET_CONNECT_TCP: 1 << 1,
  SCOPE_ABSTRACT_UNIX_SOCKET: 1 << 0,
  SCOPE_SIGNAL: 1 << 1,
} as const

/** What open flags are called, and [x64, arm64]. `asm/fcntl.h`, `asm-generic/fcntl.h`; open(2). */
const openTable = {
  RDONLY: [0o0, 0o0],
  WRONLY: [0o1, 0o1],
  RDWR: [0o2, 0o2],
  CREAT: [0o100, 0o100],
  EXCL: [0o200, 0o200],
  NOCTTY: [0o400, 0o400],
  TRUNC: [0o1000, 0o1000],
  APPEND: [0o2000, 0o2000],
  NONBLOCK: [0o4000, 0o4000],
  DIRECTORY: [0o200000, 0o40000],
  NOFOLLOW: [0o400000, 0o100000],
  LARGEFILE: [0o100000, 0o400000],
  CLOEXEC: [0o2000000, 0o2000000],
  PATH: [0o10000000, 0o10000000],
  TMPFILE: [0o20200000, 0o20040000],
} as const satisfies Record<string, readonly [x64: number, arm64: number]>

export type OpenFlag = keyof typeof openTable

export function openFlags(architecture: Architecture): Readonly<Record<OpenFlag, number>> {
  const column = architecture === 'x64' ? 0 : 1
  const flags = Object.entries(openTable).map(([name, row]) => [name, row[column]])
  return Object.fromEntries(flags) as Record<OpenFlag, number>
}

/** How a seccomp filter sees the architecture of a system call, `linux/audit.h`: AUDIT_ARCH_X86_64, …_AARCH64. Bit 31. */
export const auditArchitecture: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 }
