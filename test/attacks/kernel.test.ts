import { attacks, holding, open } from './attack.js'

const rooted = ['root mode'] as const
const killed = ['SIGSYS', 'ENOSYS', 'EPERM', 'SIGSEGV']

await attacks('what the kernel shares', [
  { tries: 'a key of its own', words: ['add-key'], refused: ['EPERM', 'ENOSYS'], weak: open },
  { tries: 'the keys of the session', words: ['session-keys'], refused: ['EPERM', 'ENOSYS'], weak: open },
  { tries: 'a key by an upcall', words: ['request-key'], refused: ['EPERM', 'ENOSYS'], weak: open },
  { tries: 'BPF', words: ['bpf'], refused: ['EPERM', 'ENOSYS'], weak: holding('CAP_BPF'), weakIn: rooted },
  { tries: 'perf events', words: ['perf'], refused: ['EPERM', 'ENOSYS'], weak: holding('CAP_PERFMON'), weakIn: rooted },
  { tries: 'page faults by userfaultfd', words: ['userfaultfd'], refused: ['EPERM', 'ENOSYS'], weak: open },
  { tries: 'io_uring', words: ['io-uring'], refused: ['EPERM', 'ENOSYS'], weak: open },
  {
    tries: 'another kernel (kexec)',
    words: ['kexec'],
    refused: ['EPERM', 'ENOSYS'],
    guest: true,
    weak: holding('CAP_SYS_BOOT'),
    weakIn: rooted,
  },
  { tries: 'a restart', words: ['reboot'], refused: ['EPERM', 'ENOSYS'], weak: holding('CAP_SYS_BOOT') },
  { tries: 'swap', words: ['swapon'], refused: ['EPERM', 'ENOSYS'], weak: holding('CAP_SYS_ADMIN'), weakIn: rooted },
  {
    tries: 'process accounting',
    words: ['acct'],
    refused: ['EPERM', 'ENOSYS'],
    weak: holding('CAP_SYS_PACCT'),
    weakIn: rooted,
  },
  {
    tries: 'a kernel module',
    words: ['init-module'],
    refused: ['EPERM', 'ENOSYS'],
    guest: true,
    weak: holding('CAP_SYS_MODULE'),
    weakIn: rooted,
  },
  {
    tries: 'to remove a kernel module',
    words: ['delete-module'],
    refused: ['EPERM', 'ENOSYS'],
    guest: true,
    weak: holding('CAP_SYS_MODULE'),
    weakIn: rooted,
  },
  {
    tries: 'the clock of all',
    words: ['clock'],
    refused: ['EPERM', 'ENOSYS'],
    weak: holding('CAP_SYS_TIME'),
    weakIn: rooted,
  },
  {
    tries: "the kernel's log",
    words: ['syslog'],
    refused: ['EPERM', 'ENOSYS'],
    weak: holding('CAP_SYSLOG'),
    weakIn: rooted,
  },
  { tries: 'addresses that are not random', words: ['personality'], refused: ['EPERM'], weak: open },
  {
    tries: 'a page at address zero',
    words: ['map-zero'],
    refused: ['EPERM', 'EACCES'],
    weak: holding('CAP_SYS_RAWIO'),
    weakIn: rooted,
  },
  { tries: 'input for the terminal (TIOCSTI)', words: ['tiocsti'], refused: ['EPERM', 'EIO'], weak: open },
  {
    tries: 'the same with bits that the kernel does not read',
    words: ['tiocsti-upper'],
    refused: ['EPERM', 'EIO'],
    weak: open,
  },
  { tries: 'to paste on the console (TIOCLINUX)', words: ['tioclinux'], refused: ['EPERM'], weak: open },
  ...(process.arch === 'x64'
    ? [
        { tries: 'the system calls of i386', words: ['int80'], refused: killed, guest: true, weak: open },
        { tries: 'the system calls of x32', words: ['x32'], refused: killed, weak: open },
        {
          tries: 'I/O ports',
          words: ['iopl'],
          refused: ['EPERM', 'ENOSYS'],
          guest: true,
          weak: holding('CAP_SYS_RAWIO'),
          weakIn: rooted,
        },
        { tries: 'a local descriptor table', words: ['modify-ldt'], refused: ['EPERM', 'ENOSYS'], weak: open },
      ]
    : []),
])
