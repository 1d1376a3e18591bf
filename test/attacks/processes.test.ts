import { attacks, open } from './attack.js'

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
    refused: ['ESRCH', 'EPERM'],
    weak: visible,
  },
  {
    tries: 'to trace a process outside',
    words: ({ decoy }) => ['trace', String(decoy.pid)],
    refused: ['ESRCH', 'EPERM'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'to trace pid 1',
    words: ['trace', '1'],
    refused: ['EPERM'],
    weak: { never: 'init is never dumpable, and the payload never has a capability over it' },
  },
  {
    tries: 'the memory of a process outside',
    words: ({ decoy }) => ['read-memory', String(decoy.pid), decoy.memory],
    refused: ['ESRCH', 'EPERM'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'a descriptor of a process outside',
    words: ({ decoy }) => ['steal-descriptor', String(decoy.pid)],
    refused: ['ESRCH', 'EPERM'],
    weak: { ...visible, capabilities: ['CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'a descriptor of pid 1',
    words: ['steal-descriptor', '1'],
    refused: ['EPERM'],
    weak: { never: 'init is never dumpable, and the payload never has a capability over it' },
  },
  {
    tries: 'the namespaces of pid 1',
    words: ['join', '/proc/1/ns/mnt'],
    refused: ['EACCES', 'EPERM'],
    weak: { never: 'init is in the namespaces of the payload itself' },
  },
  {
    tries: 'the network of a process outside',
    words: ({ decoy }) => ['join-by-pidfd', String(decoy.pid)],
    refused: ['ESRCH', 'EPERM'],
    weak: { ...visible, capabilities: ['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE'] },
    weakIn: ['root mode'],
  },
  {
    tries: 'more of the processor than its share',
    words: ['priority'],
    refused: ['EACCES', 'EPERM'],
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
    refused: ['EACCES', 'EPERM'],
    weak: { ...open, capabilities: ['CAP_SYS_RESOURCE'] },
    weakIn: ['root mode'],
    needs: ['CAP_SYS_RESOURCE'],
  },
])
