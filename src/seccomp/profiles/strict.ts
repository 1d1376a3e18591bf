/**
 * The profile `strict`: a program that computes, with what it reads from its standard input and from files, and writes
 * to its standard output. It can start threads but no process, open files only to read, and use no network. execve has
 * to be there: it is how the program itself is started, after the filter is in force.
 */
import { CLONE } from '../../kernel/flags.js'
import type { SeccompProfile } from '../schema.js'
import { fcntlRules } from './files.js'

const newNamespace =
  CLONE.NEWNS | CLONE.NEWCGROUP | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWUSER | CLONE.NEWPID | CLONE.NEWNET
/** O_ACCMODE, O_CREAT, O_TRUNC and __O_TMPFILE, the same on all ABIs: without any of them a file is opened to be read. */
const writing = 0o3 | 0o100 | 0o1000 | 0o20000000
/** TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX: is it a terminal, how wide; ioctl_tty(2). */
const harmless = [0x5401, 0x5413, 0x541b, 0x5421, 0x5451, 0x5450]

export const strictProfile: SeccompProfile = {
  default: { errno: 'EPERM' },
  rules: [
    {
      // biome-ignore format: lists to be read, by topic
      calls: [
        'read', 'readv', 'pread64', 'preadv', 'preadv2', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'lseek', 'close',
        'close_range', 'dup', 'dup2', 'dup3', 'poll', 'ppoll', 'select', 'pselect6',
        'stat', 'lstat', 'fstat', 'newfstatat', 'statx', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat', 'getdents',
        'getdents64', 'getcwd', 'fadvise64',
        'brk', 'mmap', 'mprotect', 'mremap', 'munmap', 'madvise', 'map_shadow_stack', 'mseal', 'membarrier',
        'execve', 'exit', 'exit_group', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq', 'futex', 'futex_wait', 'futex_wake',
        'futex_requeue', 'futex_waitv', 'sched_yield', 'sched_getaffinity', 'getcpu', 'prctl', 'uretprobe', 'restart_syscall',
        'getpid', 'gettid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'getpgrp', 'getrlimit', 'getrusage', 'uname', 'sysinfo',
        'rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'sigaltstack', 'tgkill',
        'time', 'times', 'gettimeofday', 'clock_gettime', 'clock_getres', 'clock_nanosleep', 'nanosleep', 'getrandom',
      ],
      do: 'allow',
    },
    { calls: ['clone3', 'openat2'], do: { errno: 'ENOSYS' } },
    ...fcntlRules,
    { calls: ['open'], when: [{ arg: 1, mask: writing, eq: 0 }], do: 'allow' },
    { calls: ['openat'], when: [{ arg: 2, mask: writing, eq: 0 }], do: 'allow' },
    // A new thread; a new process has not this flag.
    { calls: ['clone'], when: [{ arg: 0, mask: CLONE.THREAD | newNamespace, eq: CLONE.THREAD }], do: 'allow' },
    // To look at a limit, not to change it.
    { calls: ['prlimit64'], when: [{ arg: 2, eq: 0 }], do: 'allow' },
    { calls: ['ioctl'], when: [{ arg: 1, mask: 0xffffffff, in: harmless }], do: 'allow' },
  ],
}
