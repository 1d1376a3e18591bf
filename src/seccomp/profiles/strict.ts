/**
 * The profile `strict`: a program that computes, with what it reads from its standard input and from files, and writes
 * to its standard output. It can start threads but no process, open files only to read, and use no network. execve has
 * to be there: it is how the program itself is started, after the filter is in force. test/seccomp/languages.ts runs a
 * program of each language under it.
 */
import { AF, CLOCK, CLONE, MSG, SO, SOCK, SOL } from '../../kernel/flags.js'
import { cloneFlags, madeByClone } from '../../kernel/namespaces.js'
import type { SeccompProfile } from '../profileSchema.js'
import { waiting } from './everyday.js'
import { fcntlRules } from './fcntl.js'
import { int } from './int.js'

const newNamespace = cloneFlags(madeByClone)
/** O_ACCMODE, O_CREAT, O_TRUNC and __O_TMPFILE, the same on all ABIs: without any of them a file is opened to be read. */
const writing = 0o3 | 0o100 | 0o1000 | 0o20000000
/** TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX: is it a terminal, how wide; ioctl_tty(2). */
const harmless = [0x5401, 0x5413, 0x541b, 0x5421, 0x5451, 0x5450]
/** SCHED_OTHER of `linux/sched.h`: what every payload has; sched(7). */
const schedOther = 0

export const strictProfile: SeccompProfile = {
  default: { errno: 'EPERM' },
  rules: [
    {
      // biome-ignore format: lists to be read, by topic
      calls: [
        'read', 'readv', 'pread64', 'preadv', 'preadv2', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'lseek', 'close',
        'close_range', 'dup', 'dup2', 'dup3',
        'stat', 'lstat', 'fstat', 'newfstatat', 'statx', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat', 'getdents',
        'getdents64', 'getcwd', 'fadvise64',
        'brk', 'mmap', 'mprotect', 'mremap', 'munmap', 'madvise', 'map_shadow_stack', 'mseal', 'membarrier',
        'execve', 'exit', 'exit_group', 'arch_prctl', 'set_tid_address', 'set_robust_list', 'rseq', 'futex', 'futex_wait', 'futex_wake',
        'futex_requeue', 'futex_waitv', 'sched_yield', 'sched_getaffinity', 'getcpu', 'prctl', 'uretprobe', 'restart_syscall',
        'getpid', 'gettid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'getpgrp', 'getrlimit', 'getrusage', 'uname', 'sysinfo',
        'capget', 'sched_getparam', 'sched_getscheduler', 'sched_get_priority_max', 'sched_get_priority_min',
        'rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'rt_sigsuspend', 'sigaltstack', 'tgkill',
        'time', 'times', 'gettimeofday', 'clock_gettime', 'clock_getres', 'clock_nanosleep', 'nanosleep', 'getrandom',
      ],
      do: 'allow',
    },
    // Event loops and garbage collectors wake their own threads: Node and Go by epoll, eventfd and pipes, Ruby and Guile by pipes.
    { calls: [...waiting, 'pipe', 'pipe2'], do: 'allow' },
    // Java opens no file by java.nio without it. No call of this profile sends a descriptor or a page over it. The mask is SOCK_TYPE_MASK.
    {
      calls: ['socketpair'],
      when: [
        { arg: 0, mask: int, eq: AF.UNIX },
        { arg: 1, mask: 0xf, eq: SOCK.STREAM },
      ],
      do: 'allow',
    },
    // A socket may be standard input or output: Node gives its children pairs of them. It is read, written and looked at.
    { calls: ['getsockname', 'getpeername'], do: 'allow' },
    {
      calls: ['getsockopt'],
      when: [
        { arg: 1, mask: int, eq: SOL.SOCKET },
        { arg: 2, mask: int, in: [SO.TYPE, SO.ERROR] },
      ],
      do: 'allow',
    },
    {
      calls: ['recvfrom', 'sendto'],
      when: [
        { arg: 3, mask: int - MSG.DONTWAIT - MSG.NOSIGNAL, eq: 0 },
        // No address: of the other end, or to another.
        { arg: 4, eq: 0 },
      ],
      do: 'allow',
    },
    // Ruby's clock for its threads. Timers of CPU time are other code, which had holes.
    { calls: ['timer_create'], when: [{ arg: 0, mask: int, in: [CLOCK.REALTIME, CLOCK.MONOTONIC] }], do: 'allow' },
    { calls: ['timer_settime', 'timer_gettime', 'timer_getoverrun', 'timer_delete'], do: 'allow' },
    // Mono gives each thread the policy that it has.
    { calls: ['sched_setscheduler'], when: [{ arg: 1, mask: int, eq: schedOther }], do: { errno: 0 } },
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
