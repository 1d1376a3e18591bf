/** Names of system calls, by topic: what everyday programs call whatever the arguments are, and what they do without. */
import type { AnySyscallName } from '../../kernel/abis.js'

type Calls = readonly AnySyscallName[]

// biome-ignore format: a list to be read
const files: Calls = [
  'access', 'cachestat', 'chdir', 'chmod', 'chown', 'close', 'close_range', 'copy_file_range', 'creat', 'dup', 'dup2', 'dup3',
  'faccessat', 'faccessat2', 'fadvise64', 'fallocate', 'fchdir', 'fchmod', 'fchmodat', 'fchmodat2', 'fchown', 'fchownat',
  'fdatasync', 'fgetxattr', 'file_getattr', 'file_setattr', 'flistxattr', 'flock', 'fremovexattr', 'fsetxattr', 'fstat',
  'fstatfs', 'fsync', 'ftruncate', 'futimesat', 'getcwd', 'getdents', 'getdents64', 'getxattr', 'getxattrat',
  'inotify_add_watch', 'inotify_init', 'inotify_init1', 'inotify_rm_watch', 'lchown', 'lgetxattr', 'link', 'linkat',
  'listxattr', 'listxattrat', 'llistxattr', 'lremovexattr', 'lseek', 'lsetxattr', 'lstat', 'mkdir', 'mkdirat', 'newfstatat',
  'open', 'openat', 'openat2', 'pipe', 'pipe2', 'pread64', 'preadv', 'preadv2', 'pwrite64', 'pwritev', 'pwritev2', 'read',
  'readahead', 'readlink', 'readlinkat', 'readv', 'removexattr', 'removexattrat', 'rename', 'renameat', 'renameat2', 'rmdir',
  'sendfile', 'setxattr', 'setxattrat', 'splice', 'stat', 'statfs', 'statx', 'symlink', 'symlinkat', 'sync', 'sync_file_range',
  'syncfs', 'tee', 'truncate', 'umask', 'unlink', 'unlinkat', 'utime', 'utimensat', 'utimes', 'vmsplice', 'write', 'writev',
]

// biome-ignore format: a list to be read
const memory: Calls = [
  'brk', 'madvise', 'map_shadow_stack', 'membarrier', 'memfd_create', 'memfd_secret', 'mincore', 'mlock', 'mlock2', 'mlockall',
  'mmap', 'mprotect', 'mremap', 'mseal', 'msync', 'munlock', 'munlockall', 'munmap', 'pkey_alloc', 'pkey_free', 'pkey_mprotect',
  'process_mrelease', 'remap_file_pages',
]

// biome-ignore format: a list to be read
const processes: Calls = [
  'arch_prctl', 'execve', 'execveat', 'exit', 'exit_group', 'fork', 'futex', 'futex_requeue', 'futex_wait', 'futex_waitv',
  'futex_wake', 'get_robust_list', 'getcpu', 'getpgid', 'getpgrp', 'getpid', 'getppid', 'getpriority', 'getrlimit', 'getrusage',
  'getrandom', 'getsid', 'gettid', 'ioprio_get', 'pidfd_open', 'prctl', 'restart_syscall', 'rseq', 'sched_get_priority_max',
  'sched_get_priority_min', 'sched_getaffinity', 'sched_getattr', 'sched_getparam', 'sched_getscheduler',
  'sched_rr_get_interval', 'sched_yield', 'set_robust_list', 'set_tid_address', 'setpgid', 'setsid', 'sysinfo', 'times',
  'uname', 'uprobe', 'uretprobe', 'vfork', 'wait4', 'waitid',
]

// biome-ignore format: a list to be read
const identity: Calls = [
  'capget', 'capset', 'getegid', 'geteuid', 'getgid', 'getgroups', 'getresgid', 'getresuid', 'getuid', 'setfsgid', 'setfsuid',
  'setgid', 'setgroups', 'setregid', 'setresgid', 'setresuid', 'setreuid', 'setuid',
]

// biome-ignore format: a list to be read
const signals: Calls = [
  'alarm', 'kill', 'pause', 'pidfd_send_signal', 'rt_sigaction', 'rt_sigpending', 'rt_sigprocmask', 'rt_sigqueueinfo',
  'rt_sigreturn', 'rt_sigsuspend', 'rt_sigtimedwait', 'rt_tgsigqueueinfo', 'sigaltstack', 'signalfd', 'signalfd4', 'tgkill',
  'tkill',
]

// biome-ignore format: a list to be read
const time: Calls = [
  'clock_getres', 'clock_gettime', 'clock_nanosleep', 'getitimer', 'gettimeofday', 'nanosleep', 'setitimer', 'time',
  'timer_create', 'timer_delete', 'timer_getoverrun', 'timer_gettime', 'timer_settime', 'timerfd_create', 'timerfd_gettime',
  'timerfd_settime',
]

/** To wait, for events of others and of its own threads. */
// biome-ignore format: a list to be read
export const waiting: Calls = [
  'epoll_create', 'epoll_create1', 'epoll_ctl', 'epoll_pwait', 'epoll_pwait2', 'epoll_wait', 'eventfd', 'eventfd2', 'poll',
  'ppoll', 'pselect6', 'select',
]

// biome-ignore format: a list to be read
const communication: Calls = [
  'accept', 'accept4', 'bind', 'connect', 'getpeername', 'getsockname', 'getsockopt', 'listen', 'mq_getsetattr', 'mq_notify',
  'mq_open', 'mq_timedreceive', 'mq_timedsend', 'mq_unlink', 'msgctl', 'msgget', 'msgrcv', 'msgsnd', 'recvfrom', 'recvmmsg',
  'recvmsg', 'semctl', 'semget', 'semop', 'semtimedop', 'shmat', 'shmctl', 'shmdt', 'shmget', 'shutdown',
]

/** By which a program takes rights from itself. */
// biome-ignore format: a list to be read
const hardening: Calls = [
  'landlock_add_rule', 'landlock_create_ruleset', 'landlock_restrict_self', 'lsm_get_self_attr', 'lsm_list_modules', 'seccomp',
]

/** What programs try first and then do without, if they hear that it does not exist. */
// biome-ignore format: a list to be read
export const absent: Calls = [
  'clone3', 'io_cancel', 'io_destroy', 'io_getevents', 'io_pgetevents', 'io_setup', 'io_submit', 'io_uring_enter',
  'io_uring_register', 'io_uring_setup', 'listmount', 'open_tree_attr', 'statmount',
]

export const everyday: Calls = [
  ...files,
  ...memory,
  ...processes,
  ...identity,
  ...signals,
  ...time,
  ...waiting,
  ...communication,
  ...hardening,
]
