/**
 * The profile `default`: what everyday programs call. What is not here either has no namespace, so that it would reach
 * the whole machine (clocks, keys, modules, swap…), or is a large part of the kernel that such programs do without
 * (bpf, perf, io_uring, userfaultfd, new mounts…). docs/seccomp.md says why for each.
 */
import type { AnySyscallName } from '../../kernel/abis.js'
import { CLONE } from '../../kernel/flags.js'
import type { SeccompProfile } from '../schema.js'

type Calls = readonly AnySyscallName[]

// biome-ignore-start format: lists to be read, not long columns
const files: Calls = [
  'access', 'cachestat', 'chdir', 'chmod', 'chown', 'close', 'close_range', 'copy_file_range', 'creat', 'dup', 'dup2', 'dup3',
  'faccessat', 'faccessat2', 'fadvise64', 'fallocate', 'fchdir', 'fchmod', 'fchmodat', 'fchmodat2', 'fchown', 'fchownat', 'fcntl',
  'fdatasync', 'fgetxattr', 'file_getattr', 'file_setattr', 'flistxattr', 'flock', 'fremovexattr', 'fsetxattr', 'fstat', 'fstatfs',
  'fsync', 'ftruncate', 'futimesat', 'getcwd', 'getdents', 'getdents64', 'getxattr', 'getxattrat', 'inotify_add_watch',
  'inotify_init', 'inotify_init1', 'inotify_rm_watch', 'lchown', 'lgetxattr', 'link', 'linkat', 'listxattr', 'listxattrat',
  'llistxattr', 'lremovexattr', 'lseek', 'lsetxattr', 'lstat', 'mkdir', 'mkdirat', 'newfstatat', 'open', 'openat', 'openat2',
  'pipe', 'pipe2', 'pread64', 'preadv', 'preadv2', 'pwrite64', 'pwritev', 'pwritev2', 'read', 'readahead', 'readlink',
  'readlinkat', 'readv', 'removexattr', 'removexattrat', 'rename', 'renameat', 'renameat2', 'rmdir', 'sendfile', 'setxattr',
  'setxattrat', 'splice', 'stat', 'statfs', 'statx', 'symlink', 'symlinkat', 'sync', 'sync_file_range', 'syncfs', 'tee', 'truncate',
  'umask', 'unlink', 'unlinkat', 'utime', 'utimensat', 'utimes', 'vmsplice', 'write', 'writev',
]
const memory: Calls = [
  'brk', 'madvise', 'map_shadow_stack', 'membarrier', 'memfd_create', 'memfd_secret', 'mincore', 'mlock', 'mlock2', 'mlockall',
  'mmap', 'mprotect', 'mremap', 'mseal', 'msync', 'munlock', 'munlockall', 'munmap', 'pkey_alloc', 'pkey_free', 'pkey_mprotect',
  'process_mrelease', 'remap_file_pages',
]
const processes: Calls = [
  'arch_prctl', 'execve', 'execveat', 'exit', 'exit_group', 'fork', 'futex', 'futex_requeue', 'futex_wait', 'futex_waitv',
  'futex_wake', 'get_robust_list', 'getcpu', 'getpgid', 'getpgrp', 'getpid', 'getppid', 'getpriority', 'getrlimit', 'getrusage',
  'getrandom', 'getsid', 'gettid', 'ioprio_get', 'ioprio_set', 'pidfd_open', 'prctl', 'prlimit64', 'restart_syscall', 'rseq',
  'sched_get_priority_max', 'sched_get_priority_min', 'sched_getaffinity', 'sched_getattr', 'sched_getparam',
  'sched_getscheduler', 'sched_rr_get_interval', 'sched_setaffinity', 'sched_setattr', 'sched_setparam', 'sched_setscheduler',
  'sched_yield', 'set_robust_list', 'set_tid_address', 'setpgid', 'setpriority', 'setrlimit', 'setsid', 'sysinfo', 'times', 'uname',
  'uprobe', 'uretprobe', 'vfork', 'wait4', 'waitid',
]
const identity: Calls = [
  'capget', 'capset', 'getegid', 'geteuid', 'getgid', 'getgroups', 'getresgid', 'getresuid', 'getuid', 'setfsgid', 'setfsuid',
  'setgid', 'setgroups', 'setregid', 'setresgid', 'setresuid', 'setreuid', 'setuid',
]
const signals: Calls = [
  'alarm', 'kill', 'pause', 'pidfd_send_signal', 'rt_sigaction', 'rt_sigpending', 'rt_sigprocmask', 'rt_sigqueueinfo', 'rt_sigreturn',
  'rt_sigsuspend', 'rt_sigtimedwait', 'rt_tgsigqueueinfo', 'sigaltstack', 'signalfd', 'signalfd4', 'tgkill', 'tkill',
]
const time: Calls = [
  'clock_getres', 'clock_gettime', 'clock_nanosleep', 'getitimer', 'gettimeofday', 'nanosleep', 'setitimer', 'time', 'timer_create',
  'timer_delete', 'timer_getoverrun', 'timer_gettime', 'timer_settime', 'timerfd_create', 'timerfd_gettime', 'timerfd_settime',
]
const waiting: Calls = [
  'epoll_create', 'epoll_create1', 'epoll_ctl', 'epoll_pwait', 'epoll_pwait2', 'epoll_wait', 'eventfd', 'eventfd2', 'io_cancel',
  'io_destroy', 'io_getevents', 'io_pgetevents', 'io_setup', 'io_submit', 'poll', 'ppoll', 'pselect6', 'select',
]
const communication: Calls = [
  'accept', 'accept4', 'bind', 'connect', 'getpeername', 'getsockname', 'getsockopt', 'listen', 'mq_getsetattr', 'mq_notify', 'mq_open',
  'mq_timedreceive', 'mq_timedsend', 'mq_unlink', 'msgctl', 'msgget', 'msgrcv', 'msgsnd', 'recvfrom', 'recvmmsg', 'recvmsg', 'semctl',
  'semget', 'semop', 'semtimedop', 'sendmmsg', 'sendmsg', 'sendto', 'setsockopt', 'shmat', 'shmctl', 'shmdt', 'shmget', 'shutdown',
]
/** By which a program takes rights from itself. */
const hardening: Calls = [
  'landlock_add_rule', 'landlock_create_ruleset', 'landlock_restrict_self', 'lsm_get_self_attr', 'lsm_list_modules', 'seccomp',
]
/** What programs try first and then do without, if they hear that it does not exist. */
const absent: Calls = ['clone3', 'io_uring_enter', 'io_uring_register', 'io_uring_setup', 'listmount', 'open_tree_attr', 'statmount']
// biome-ignore-end format: lists to be read, not long columns

/** The kernel takes these arguments as 32 bits, and so does a test with this mask: what stands above is no way around. */
const int = 0xffffffff

const address = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17 } as const
const netlinkRoute = 0
const newNamespace =
  CLONE.NEWNS | CLONE.NEWCGROUP | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWUSER | CLONE.NEWPID | CLONE.NEWNET

/** Both type into a terminal as if its user did: ioctl_tty(2), TIOCLINUX(2const). */
const typing = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c } as const
/** S_IFIFO, S_IFREG, S_IFSOCK and none, which means S_IFREG: everything but device nodes; mknod(2). */
const fileTypes = { mask: 0xf000, in: [0, 0x1000, 0x8000, 0xc000] }
/** PER_LINUX, PER_LINUX32, both with UNAME26, and the question which it is: none weakens a program; personality(2). */
const personalities = [0, 0x8, 0x20000, 0x20008, 0xffffffff]

export const defaultProfile: SeccompProfile = {
  default: { errno: 'EPERM' },
  rules: [
    {
      calls: [
        ...files,
        ...memory,
        ...processes,
        ...identity,
        ...signals,
        ...time,
        ...waiting,
        ...communication,
        ...hardening,
      ],
      do: 'allow',
    },
    { calls: [...absent], do: { errno: 'ENOSYS' } },
    { calls: ['clone'], when: [{ arg: 0, mask: newNamespace, eq: 0 }], do: 'allow' },
    { calls: ['ioctl'], when: [{ arg: 1, mask: int, notIn: Object.values(typing) }], do: 'allow' },
    {
      calls: ['socket', 'socketpair'],
      when: [{ arg: 0, mask: int, in: [address.unix, address.inet, address.inet6] }],
      do: 'allow',
    },
    {
      calls: ['socket'],
      when: [
        { arg: 0, mask: int, eq: address.netlink },
        { arg: 2, mask: int, eq: netlinkRoute },
      ],
      do: 'allow',
    },
    {
      calls: ['socket'],
      when: [{ arg: 0, mask: int, eq: address.packet }],
      capability: 'CAP_NET_RAW',
      do: 'allow',
    },
    // As if the kernel had been built without them.
    { calls: ['socket', 'socketpair'], do: { errno: 'EAFNOSUPPORT' } },
    { calls: ['mknod', 'mknodat'], capability: 'CAP_MKNOD', do: 'allow' },
    { calls: ['mknod'], when: [{ arg: 1, ...fileTypes }], do: 'allow' },
    { calls: ['mknodat'], when: [{ arg: 2, ...fileTypes }], do: 'allow' },
    { calls: ['personality'], when: [{ arg: 0, mask: int, in: personalities }], do: 'allow' },
    { calls: ['chroot'], capability: 'CAP_SYS_CHROOT', do: 'allow' },
    { calls: ['sethostname', 'setdomainname'], capability: 'CAP_SYS_ADMIN', do: 'allow' },
    {
      calls: ['adjtimex', 'clock_adjtime', 'clock_settime', 'settimeofday'],
      capability: 'CAP_SYS_TIME',
      do: 'allow',
    },
    {
      calls: ['get_mempolicy', 'mbind', 'migrate_pages', 'move_pages', 'set_mempolicy', 'set_mempolicy_home_node'],
      capability: 'CAP_SYS_NICE',
      do: 'allow',
    },
  ],
}
