/** The kinds of namespaces, namespaces(7): all that differs between them in names and numbers, in the order of most need. */
import { CLONE } from './flags.js'

/** A kind of namespace. The text above each row is what an editor shows of its key in a policy. */
interface Namespace {
  /** Its name in /proc/PID/ns, which its sysctl has too. */
  readonly file: string
  /** For clone(2), unshare(2) and setns(2). */
  readonly flag: number
  /** What is the host's where there is no new one, for people. */
  readonly shares: string
}

export const namespaces = {
  /** Ids, capabilities, and who is root: user_namespaces(7). `host`: root mode. */
  user: { file: 'user', flag: CLONE.NEWUSER, shares: 'user and group ids: root mode, without a user namespace' },
  /** What is mounted where: mount_namespaces(7). Anything but `new` excludes `filesystem`, `preset` and `fill`. */
  mount: { file: 'mnt', flag: CLONE.NEWNS, shares: 'all files, where they are outside' },
  /** Processes: pid_namespaces(7). `host`: those of the caller are seen. */
  pid: {
    file: 'pid',
    flag: CLONE.NEWPID,
    shares: 'processes: they are seen, and those of the same user may be signalled',
  },
  /** Interfaces, addresses, ports and abstract sockets: network_namespaces(7). `network` says the same of `new` and `host`. */
  net: {
    file: 'net',
    flag: CLONE.NEWNET,
    shares: 'the network: its interfaces, its loopback and its abstract sockets',
  },
  /** System V objects and POSIX message queues: ipc_namespaces(7). */
  ipc: {
    file: 'ipc',
    flag: CLONE.NEWIPC,
    shares: 'System V memory, semaphores and queues, and POSIX message queues',
  },
  /** Host name and domain name: uts_namespaces(7). */
  uts: { file: 'uts', flag: CLONE.NEWUTS, shares: 'the host name' },
  /** What /proc/self/cgroup says: cgroup_namespaces(7). */
  cgroup: { file: 'cgroup', flag: CLONE.NEWCGROUP, shares: 'the names of control groups' },
  /** Uptime and the monotonic clock: time_namespaces(7). Offsets make a new one that is ahead by so many seconds. */
  time: {
    file: 'time',
    flag: CLONE.NEWTIME,
    shares: 'the clocks that count from the start: uptime and the monotonic one',
  },
} as const satisfies Readonly<Record<string, Namespace>>

export type NamespaceName = keyof typeof namespaces
export const namespaceNames = Object.keys(namespaces) as readonly NamespaceName[]

/** The flags of several. */
export const cloneFlags = (names: readonly NamespaceName[]): number =>
  names.reduce((all, name) => all | namespaces[name].flag, 0)

/** Each that clone(2) can make: of the low byte of its flags, where CLONE_NEWTIME is, it makes the signal (CSIGNAL). */
export const madeByClone = namespaceNames.filter((name) => namespaces[name].flag > 0xff)

/** The sysctl that says how many there may be in a user namespace: user_table[] of kernel/ucount.c. */
export const limitOf = (name: NamespaceName): string => `user.max_${namespaces[name].file}_namespaces`
/** Its file. */
export const limitFileOf = (name: NamespaceName): string => `/proc/sys/${limitOf(name).replace('.', '/')}`
