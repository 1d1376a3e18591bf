import { attacks, holding, open } from './attack.js'
import type { Scene } from './scene.js'

/** The host's processes, visible, and none of the walls behind the namespace. */
const visible = {
  ...open,
  namespaces: { pid: 'host' },
  identity: { uid: 0, gid: 0 },
} as const

await attacks('other processes', [
  {
    tries: 'a signal to a process outside',
    words: ({ decoy }) => ['signal', String(decoy.pid)],
    refused: ['ESRCH'],
    weak: visible,
  },
  {
    tries: 'to trace a process outside',
    words: ({ decoy }) => ['trace', String(decoy.pid)],
    refused: ['EPERM'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  { tries: 'to be traced by its parent', words: ['traceme'], refused: ['EPERM'], weak: open },
  {
    tries: 'to trace pid 1',
    words: ['trace', '1'],
    refused: ['EPERM'],
    weak: { ...open, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'the memory of a process outside',
    words: ({ decoy }) => ['read-memory', String(decoy.pid), decoy.memory],
    refused: ['EPERM'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'a descriptor of a process outside',
    words: ({ decoy }) => ['steal-descriptor', String(decoy.pid)],
    refused: ['ESRCH'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'a descriptor of pid 1',
    words: ['steal-descriptor', '1'],
    refused: ['EPERM'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the namespaces of pid 1',
    words: ['join', '/proc/1/ns/mnt'],
    refused: ['EACCES'],
    weak: { ...holding('CAP_SYS_ADMIN', 'CAP_SYS_CHROOT'), init: 'payload' },
  },
  {
    tries: 'the network of a process outside',
    words: ({ decoy }) => ['join-by-pidfd', String(decoy.pid)],
    refused: ['ESRCH'],
    weak: { ...visible, capabilities: ['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'advice about the memory of a process outside',
    words: ({ decoy }) => ['advise', String(decoy.pid), decoy.memory],
    refused: ['ESRCH'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE', 'CAP_SYS_NICE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'the memory of pid 1',
    words: ['read-memory', '1', '400000'],
    refused: ['EPERM'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'what pid 1 has mapped',
    words: ['mapped-files', '1'],
    refused: ['EACCES'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'a namespace by the pidfd of pid 1',
    words: ['namespace-of-pidfd', '1'],
    refused: ['EACCES'],
    lacking: 'ENOTTY',
    weak: { ...open, init: 'payload' },
  },
  ...(['user', 'pid'] as const).map((name) => ({
    tries: `the ${name} namespace around its own`,
    words: ['parent-namespace', `/proc/self/ns/${name}`],
    refused: ['EPERM'],
    // ioctl_nsfs(2): only one that lies beneath the caller's own, or is it.
    weak: open,
    control: ['parent-of-child', name],
  })),
  {
    tries: 'the mount namespaces of others, one after the other',
    words: ['earlier-mounts'],
    refused: ['EPERM'],
    lacking: 'ENOTTY',
    // Only from the first namespaces of the machine: may_see_all_namespaces() of kernel/nscommon.c.
    weak: { ...holding('CAP_SYS_ADMIN'), namespaces: { pid: 'host' } },
    weakIn: ['root mode'],
  },
  {
    tries: 'a namespace by its handle',
    words: ['namespace-by-handle', '/proc/self/ns/net'],
    refused: ['EPERM'],
    lacking: 'EOPNOTSUPP',
    weak: open,
  },
  {
    tries: 'when timers of pid 1 ring',
    words: ['timer-slack', '1'],
    refused: ['EPERM', 'EROFS'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the signals of a process outside',
    words: ({ decoy }) => ['own-signals', String(decoy.pid)],
    refused: ['ESRCH'],
    weak: visible,
  },
  ...(['limit-of', 'niceness-of', 'io-priority-of', 'processors-of', 'scheduler-of'] as const).flatMap((word) => [
    {
      tries: `to change a process outside: ${word}`,
      words: ({ decoy }: Scene) => [word, String(decoy.pid)],
      refused: ['ESRCH'],
      weak: visible,
      // No process changes these of one that has more capabilities: cap_safe_nice() in security/commoncap.c.
      weakIn: word === 'limit-of' ? (['ordinary user', 'root', 'root mode'] as const) : (['ordinary user'] as const),
    },
    {
      tries: `to change pid 1: ${word}`,
      words: [word, '1'],
      refused: ['EPERM'],
      weak: { ...open, init: 'payload' } as const,
    },
  ]),
  // As above, where they can be named: the filter is the only wall.
  ...(['limit-of', 'niceness-of', 'io-priority-of', 'processors-of', 'scheduler-of'] as const).map((word) => ({
    tries: `to change a process of the host that it sees: ${word}`,
    words: ({ decoy }: Scene) => [word, String(decoy.pid)],
    refused: ['EPERM'],
    base: { namespaces: { pid: 'host' } } as const,
    weak: visible,
    weakIn: word === 'limit-of' ? (['ordinary user', 'root', 'root mode'] as const) : (['ordinary user'] as const),
  })),
  {
    tries: 'the priority of all processes of its user, pid 1 among them',
    words: ['niceness-of-user'],
    refused: ['EPERM'],
    weak: open,
  },
  {
    tries: 'more of the processor than its share',
    words: ['priority'],
    refused: ['EACCES'],
    weak: { ...open, capabilities: ['CAP_SYS_NICE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'a real-time priority',
    words: ['real-time'],
    refused: ['EPERM'],
    weak: { ...open, capabilities: ['CAP_SYS_NICE'] },
    weakIn: ['root mode'],
  },
  {
    tries: "to have the host's crash handler called (RLIMIT_CORE)",
    words: ['crash-handler'],
    refused: ['EPERM'],
    weak: open,
  },
  {
    tries: 'to raise a limit again',
    words: ['limit'],
    refused: ['EPERM'],
    weak: { ...open, capabilities: ['CAP_SYS_RESOURCE'] },
    weakIn: ['root mode'],
    needs: ['CAP_SYS_RESOURCE'],
  },
  {
    tries: 'to be spared when memory runs out',
    words: ['oom-score'],
    refused: ['EACCES'],
    weak: { ...open, capabilities: ['CAP_SYS_RESOURCE'] },
    weakIn: ['root mode'],
    needs: ['CAP_SYS_RESOURCE'],
  },
])
